"""Where a command's files go, told before the load where they can't go there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.preparation import Preparation

PROFILE = """\
target: demo
requests: [{get: /}]
phases: [{name: baseline, rate: 10/s, for: 1s}]
slos: [p50 < 1s]
"""


@pytest.mark.parametrize("command", ["spike", "capacity"])
def test_without_a_place_for_the_result_nothing_is_sent(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line is wrong then; no run took place that could prove nothing."""
    monkeypatch.setattr(Preparation, "prepare", None)  # what goes before a load
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "loadtool-results").touch()
    remedy = "free the disk or choose another place with --out"
    said = rf"loadtool: loadtool-results/.*: cannot be written: %s; {remedy}\n"
    assert cli.main([command, "-p", str(profile), "-q"]) == 2
    assert re.fullmatch(said % "a file is in the way", capsys.readouterr().err)
    (place / "loadtool-results").unlink()
    place.rmdir()
    assert cli.main([command, "-p", str(profile), "-q"]) == 2
    assert re.fullmatch(said % "No such file or directory", capsys.readouterr().err)
