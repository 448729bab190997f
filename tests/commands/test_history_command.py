"""`loadtool history`: which files it reads, and what it says of broken ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.measure.result import Engine, Result
from loadtool.report.result_file import write_atomically


def leave(directory: Path, name: str, started: str) -> None:
    result = Result("0.1.0", started, 1, {"name": name}, "p.yaml", Engine(), 1.0, 500.0, verdict="pass")
    write_atomically(result, directory / started.replace(":", "") / "result.json")


def test_the_last_runs_of_each_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in (1, 2, 3):
        leave(tmp_path, "shop", f"2026-01-0{day}T00:00:00Z")
    leave(tmp_path, "other", "2026-01-02T01:00:00Z")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "result.json").write_text("{")
    assert cli.main(["history", str(tmp_path), "--limit", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [(r["profile"], r["started"][:10]) for r in json.loads(out)["runs"]] == [
        ("other", "2026-01-02"), ("shop", "2026-01-02"), ("shop", "2026-01-03"),
    ]  # fmt: skip
    broken = tmp_path / "gone" / "result.json"
    assert err.startswith(f"loadtool: left out: {broken}:1: not JSON:")
    assert cli.main(["history", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.index("other ─") < out.index("shop ─")
    assert out.count("2026-01-0") == 4


def test_a_directory_without_results_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"loadtool: {tmp_path}: no result in it that can be read\n"
    assert cli.main(["history", str(tmp_path / "x")]) == 2
    said = f"loadtool: {tmp_path / 'x'}: no such directory; name the one that holds the results of runs\n"
    assert capsys.readouterr().err == said


def test_what_is_no_file_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(tmp_path, "shop", "2026-01-01T00:00:00Z")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "result.json")
    leave(tmp_path / "2026-01-02.json", "shop", "2026-01-02T00:00:00Z")
    assert cli.main(["history", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [r["started"][:10] for r in json.loads(out)["runs"]] == ["2026-01-01"]
    assert err == ""
