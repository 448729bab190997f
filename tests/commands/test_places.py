"""Where a command's files go, told before the load where they can't go there."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
import trustme

from loadtool import capacity, cli, run
from loadtool.commands import outputs
from loadtool.preparation import Preparation
from loadtool.report.result_file import read, write_atomically

sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))
import compare_samples

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


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a profile, results, and other names of them; a run would be a traceback."""
    monkeypatch.setattr(run, "spike", None)
    monkeypatch.setattr(capacity, "capacity", None)
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(PROFILE)
    Path("runs").mkdir()
    for us, name in enumerate(("b.json", "runs/result.json"), 10_000):
        seconds = [compare_samples.Second([us] * 50) for _ in range(12)]
        write_atomically(compare_samples.run(baseline=seconds), Path(name))
    Path("link").symlink_to("b.json")
    os.link("b.json", "hard.json")
    Path("way").symlink_to("runs")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "given", "other"),
    [
        ("spike -p s.yaml --junit", "s.yaml", "--profile"),
        ("spike -p s.yaml --json", "runs/../s.yaml", "--profile"),
        ("capacity -p runs/../s.yaml --json", "s.yaml", "--profile"),
        ("spike -p s.yaml --baseline runs --baseline b.json --csv", "link", "--baseline"),
        ("spike -p s.yaml --baseline way --html", "runs/result.json", "--baseline"),
        ("report runs --baseline link --markdown", "b.json", "--baseline"),
        ("compare b.json runs --markdown", "hard.json", "BASELINE"),
        ("compare runs b.json --json", "b.json", "CANDIDATE"),
        ("compare runs vs b.json way --html", "runs/result.json", "BASELINE"),
    ],
)
def test_no_output_takes_the_place_of_what_is_read(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, given: str, other: str
) -> None:
    files = [path for path in place.rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    assert cli.main([*words.split(), given]) == 2
    option = words.split()[-1]
    said = f"loadtool: {option}: got {given}, want another file than {other}\n"
    assert capsys.readouterr() == ("", said)
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(
    ("words", "given", "key"),
    [
        ("spike -q -p p.yaml --csv", "carts.csv", "data.row"),
        ("capacity -q -p p.yaml --json", "./ca.pem", "client.tls.ca"),
        ("spike -q -p p.yaml --html", "photo.png", "multipart.photo of POST /"),
        ("spike -q -p replay.yaml --junit", "access.log", "replay"),
    ],
)
def test_no_output_takes_the_place_of_what_the_profile_reads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    given: str,
    key: str,
) -> None:
    monkeypatch.setattr(Preparation, "prepare", None)
    monkeypatch.chdir(tmp_path)
    Path("carts.csv").write_text("cart\na\n")
    Path("photo.png").write_bytes(b"x")
    trustme.CA().cert_pem.write_to_path("ca.pem")
    Path("access.log").write_text('::1 - - [24/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n')
    Path("p.yaml").write_text(
        PROFILE.replace("get: /", 'post: "/", multipart: {photo: {file: photo.png}}').replace(
            "target: demo", "target: https://127.0.0.1:1"
        )
        + "data: {row: carts.csv}\nclient: {tls: {ca: ca.pem}}\n"
    )
    Path("replay.yaml").write_text("target: demo\nreplay: access.log\nslos: [p50 < 1s]\n")
    before = Path(given).read_bytes()
    assert cli.main([*words.split(), given]) == 2
    option = words.split()[-1]
    said = f"loadtool: {option}: got {Path(given)}, want another file than {key} of the profile\n"
    assert capsys.readouterr() == ("", said)
    assert Path(given).read_bytes() == before


def test_a_broken_baseline_is_told_before_the_load(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    baseline = json.loads(Path("b.json").read_text())
    baseline["series"][3]["hdr"] = "HISTFAAAAA=="
    Path("b.json").write_text(json.dumps(baseline))
    assert cli.main(["spike", "-q", "-p", "s.yaml", "--baseline", "b.json", "--different-profiles"]) == 2
    assert capsys.readouterr().err.startswith("loadtool: b.json: ")


def test_a_baseline_may_be_brought_up_to_date(place: Path) -> None:
    words = "report runs --baseline b.json --different-profiles --json b.json"
    assert cli.main(words.split()) == 0
    assert read(place / "b.json") == read(place / "runs")


def test_pipes_and_devices_take_every_report(place: Path) -> None:
    files: dict[str, Path | None] = {"json": Path("/dev/null"), "csv": Path("/dev/null")}
    assert len(outputs.wanted(files, inputs=[("--profile", Path("/dev/null"))])) == 2


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/y.html"])
def test_a_name_that_is_too_long_is_a_wrong_command_line(
    place: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ("spike -p s.yaml --html", "compare b.json runs --html", "report b.json --html"):
        assert cli.main([*words.split(), name]) == 2
        assert capsys.readouterr().err.endswith("want a file that can be written: File name too long\n")
