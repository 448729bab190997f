"""What becomes of a run's result: files, standard output, GitHub, and the exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtool import cli, run
from loadtool.commands import outputs
from loadtool.errors import OutputError
from loadtool.measure.result import Engine, PhaseFigures, Result, SloFigure
from loadtool.report import result_file, terminal
from loadtool.report.formats import FORMATS


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same behaviour on a developer's terminal and in CI."""
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def result(verdict: str = "pass") -> Result:
    """A small result as a run leaves it."""
    status = "fail" if verdict == "fail" else "pass"
    return Result(
        loadtool="0.1.0",
        started="2026-03-01T12:00:00.000+00:00",
        seed=1,
        profile={"name": "p"},
        profile_file="p.yaml",
        engine=Engine(),
        elapsed_s=1.0,
        good_within_ms=500.0,
        verdict=verdict,
        reasons=["1 SLO failed"] if verdict == "fail" else [],
        slos=[SloFigure("error rate < 1%", 12, "error rate", None, None, 0.5, 0.01, status, 100, None)],
    )


class Running:
    """Stands in for a run that ends with a result."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, verdict: str, code: int, failures: Sequence[OutputError] = ()
    ) -> None:
        self.options: run.RunOptions | None = None
        self.view: run.View | None = None
        self.ran = False
        self._finished = run.Finished(
            result(verdict), code, Path("d"), [Path("d/result.json")], list(failures)
        )
        monkeypatch.setattr(run, "spike", self)

    def __call__(self, load: object, options: run.RunOptions, view: run.View) -> run.Finished:
        self.options, self.view, self.ran = options, view, True
        return self._finished


@pytest.mark.parametrize(
    ("verdict", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3), ("interrupted", 130)]
)
def test_the_verdict_is_the_exit_code_and_files_are_named(
    verdict: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    Running(monkeypatch, verdict, code)
    junit, json, page = tmp_path / "new" / "slos.xml", tmp_path / "r.json", tmp_path / "s.md"
    words = ["spike", "-p", "p.yaml", "--junit", str(junit), "--json", str(json), "--markdown", str(page)]
    assert cli.main([*words, "--quiet"]) == code
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith(f"wrote d/result.json\nwrote {json}\nwrote {junit}\nwrote {page}\n")
    assert verdict.upper() in out.upper()
    assert junit.read_text().startswith("<?xml")
    assert f'"verdict": "{verdict}"' in json.read_text()
    assert verdict in page.read_text()


@pytest.mark.parametrize("person", [True, False])
def test_a_person_is_told_what_to_do_with_the_result(
    person: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Running(monkeypatch, "pass", 0)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: person)
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 0
    told = capsys.readouterr().out.endswith(
        "wrote d/result.json\n\n"
        "to look into it:   loadtool report d --html report.html\n"
        "to compare it:     loadtool compare d OTHER-RUN\n"
    )
    assert told == person


def test_ctrl_c_while_the_report_is_made_tells_where_the_result_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    Running(monkeypatch, "pass", 0)
    monkeypatch.setattr(terminal, "render", interrupted)
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 130
    assert capsys.readouterr() == (
        "",
        "the result is in d/result.json: `loadtool report d` makes the report again\nloadtool: interrupted\n",
    )


def test_options_reach_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(monkeypatch, "pass", 0)
    words = "spike -p p.yaml -q --workers 3 --toxiproxy http://t:1 --allow-host a --allow-host b --out o"
    assert cli.main(words.split()) == 0
    assert running.options == run.RunOptions(3, "http://t:1", ("a", "b"), Path("o"))


@pytest.mark.parametrize("command", ["spike", "report"])
def test_every_format_of_the_table_has_its_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([command, "--help"])
    files = capsys.readouterr().out.partition("Files to write:")[2].partition("\n\n")[0]
    offered = {word for word in files.split() if word.startswith("--")} - {"--out"}
    assert offered == {f.option for f in FORMATS.values()}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_cannot_be_written_stops_the_run_before_it_begins(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    running = Running(monkeypatch, "pass", 0)
    (tmp_path / "file").write_text("")
    for bad, why in (
        (tmp_path, "it is a directory"),
        (tmp_path / "file" / "x", f"{tmp_path / 'file'} is no directory"),
    ):
        assert cli.main(["spike", "-p", "p.yaml", f"--{name}", str(bad)]) == 2
        assert capsys.readouterr().err == (
            f"loadtool: --{name}: got {bad}, want a file that can be written: {why}\n"
        )
    assert not running.ran


def test_two_reports_cannot_share_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["spike", "-p", "p.yaml", "--json", "x", "--junit", "./x"]) == 2
    assert capsys.readouterr().err == "loadtool: --junit: got x, want another file than --json\n"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
@pytest.mark.parametrize("place", ["d/result.json", "d/../d/result.json", "link"])
def test_no_report_takes_the_place_of_the_result(
    place: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    running = Running(monkeypatch, "pass", 0)
    Path("d").mkdir()
    result_file.write_atomically(result(), Path("d/result.json"))
    before = Path("d/result.json").read_bytes()
    Path("link").symlink_to("d/result.json")
    for words, other in (
        (["spike", "-p", "p.yaml", "--out", "d"], "the result.json of --out"),
        (["report", "d"], "RESULT_JSON"),
        (["report", "d/result.json"], "RESULT_JSON"),
    ):
        assert cli.main([*words, f"--{name}", place]) == 2
        assert capsys.readouterr().err == f"loadtool: --{name}: got {place}, want another file than {other}\n"
    assert not running.ran
    assert Path("d/result.json").read_bytes() == before


def test_the_result_may_be_asked_for_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Running(monkeypatch, "pass", 0)
    place = tmp_path / "d" / "result.json"
    assert cli.main(["spike", "-p", "p.yaml", "-q", "--out", str(place.parent), "--json", str(place)]) == 0
    assert cli.main(["report", str(place), "--json", str(place)]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("verdict", "code", "exit_code"), [("pass", 0, 3), ("fail", 1, 1)])
def test_a_report_lost_after_the_run_is_said_and_never_passes(
    verdict: str,
    code: int,
    exit_code: int,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Running(monkeypatch, verdict, code)
    assert cli.main(["spike", "-p", "p.yaml", "--quiet", f"--{name}", "/dev/full"]) == exit_code
    out, err = capsys.readouterr()
    assert err.startswith("loadtool: /dev/full: cannot be written: No space left on device")
    assert "wrote d/result.json" in out
    assert "wrote /dev/full" not in out


def with_phases(*names: str) -> Result:
    """A result of these phases."""
    measured = result()
    measured.phases = [PhaseFigures(name=name, start_s=i, end_s=i + 1) for i, name in enumerate(names)]
    return measured


def test_a_report_of_parts_has_a_file_for_each(tmp_path: Path) -> None:
    for given, parts in (("run.hgrm", ["run.a.hgrm", "run.b.hgrm"]), ("x", ["x.a.hgrm", "x.b.hgrm"])):
        written, failures = outputs.write(with_phases("a", "b"), [outputs.Wanted("hgrm", tmp_path / given)])
        assert (written, failures) == ([tmp_path / name for name in (given, *parts)], [])
        assert all("#[Buckets" in path.read_text() for path in written)


def test_a_part_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "run.b.hgrm").mkdir()
    want = [outputs.Wanted("json", tmp_path / "run.c.hgrm"), outputs.Wanted("hgrm", tmp_path / "run.hgrm")]
    written, failures = outputs.write(with_phases("a", "b", "c"), want)
    assert [path.name for path in written] == ["run.c.hgrm", "run.hgrm", "run.a.hgrm"]
    assert [str(f) for f in failures] == [
        f"{tmp_path}/run.b.hgrm: cannot be written: Is a directory; free the disk or choose another place",
        f"{tmp_path}/run.c.hgrm: not written: another report went there; rename one",
    ]
    assert (tmp_path / "run.c.hgrm").read_text().startswith("{")


def test_a_result_that_could_not_be_written_never_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Running(monkeypatch, "pass", 0, [OutputError("result.json: cannot be written: full")])
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 3
    assert capsys.readouterr().err == "loadtool: result.json: cannot be written: full\n"


def test_github_gets_its_summary_and_annotations_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Running(monkeypatch, "fail", 1)
    summary = tmp_path / "summary.md"
    summary.write_text("what another step wrote\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 1
    assert "::error" not in capsys.readouterr().out
    page = summary.read_text()
    assert page.startswith("what another step wrote\n")
    assert "error rate" in page

    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert cli.main(["spike", "-p", "p.yaml", "--quiet"]) == 1
    assert "::error file=p.yaml,line=12," in capsys.readouterr().out


def test_a_working_directory_that_was_removed_is_no_reason_to_lose_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> str:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "getcwd", gone)
    assert outputs.tell_github(result("fail"), {"GITHUB_ACTIONS": "true"}) == []
    assert "::error" in capsys.readouterr().out
