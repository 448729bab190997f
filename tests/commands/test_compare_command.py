"""`loadtool compare` and `--baseline`: files in, tables, files and exit codes out."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.errors import OutputError
from loadtool.measure.result import Result
from loadtool.report.result_file import write_atomically

sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))
from compare_samples import Second, run

HOSTILE = '<script>alert(1)</script>|"&'


def steady(us: int) -> Result:
    result = run(baseline=[Second([us] * 50) for _ in range(12)])
    result.profile["name"] = HOSTILE
    return result


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, us in (("a", 10_000), ("a2", 10_100), ("b", 13_000), ("b2", 13_100)):
        write_atomically(steady(us), tmp_path / f"{name}.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_comparison_says_what_is_worse(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "a.json", "b.json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    line = next(line for line in out.splitlines() if line.startswith("p50"))
    assert line.split() == [
        "p50", "10", "ms", "13", "ms", "+30.0%", "+30.0%", "…", "+30.0%", ">99.9%", "-", "worse",
    ]  # fmt: skip
    assert "probabilities are from the spread of blocks of slices within one run a side" in out


def test_several_runs_a_side(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "a.json", "a2.json", "vs", "b.json", "b2.json"]) == 0
    assert "probabilities are from the spread from run to run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        (["p50 worse by 10%"], 1),
        (["p50 worse by 50%"], 0),
        (["recovery worse by 1s"], 3),
        (["recovery worse by 1s", "p50 worse by 10%"], 1),
    ],
)
def test_gates_are_the_exit_code(
    files: Path, capsys: pytest.CaptureFixture[str], gates: list[str], code: int
) -> None:
    options = [word for gate in gates for word in ("--fail-if", gate)]
    assert cli.main(["compare", "a.json", "b.json", *options]) == code
    out = capsys.readouterr().out
    assert all(gate in out for gate in gates)


class Page(HTMLParser):
    """The tags of a page, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_files_are_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--json", "c.json", "--markdown", "c.md", "--html", "c.html", "--fail-if", "p50 worse by 50%"]
    assert cli.main(["compare", "a.json", "b.json", *options]) == 0
    assert capsys.readouterr().out.endswith("wrote c.json\nwrote c.md\nwrote c.html\n")
    data = json.loads((files / "c.json").read_text())
    assert data["format"] == 1
    p50 = next(f for f in data["figures"] if (f["metric"], f["where"]) == ("p50", ""))
    assert (p50["label"], p50["probability"], p50["infinite"]) == ("worse", 1.0, [])
    assert p50["change"] == pytest.approx(0.3, rel=0.01)
    assert [(g["text"], g["decision"]) for g in data["gates"]] == [("p50 worse by 50%", "clear")]
    table = [line for line in (files / "c.md").read_text().splitlines() if line.startswith("| p50")]
    assert table[0].endswith("| 🔴 worse |")
    assert {line.count("|") for line in table} == {8}
    page = Page((files / "c.html").read_text())
    assert page.open == []
    assert "script" not in page.tags


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.json"], "got 1 result, want two results, or several a side: a1.json a2.json vs b1.json b2.json"),
        (["a.json", "b.json", "b2.json"],
         "got 3 results, want two results, or several a side: a1.json a2.json vs b1.json b2.json"),
        (["a.json", "vs"], "vs: got no result after it, want some on both sides"),
        (["a.json", "vs", "b.json", "vs", "b.json"], "got the word vs 2 times, want it once"),
        (["a.json", "b.json", "--fail-if", "p99 < 3"],
         "--fail-if: got p99 < 3, want a gate such as 'p99 worse by 10%'"),
        (["a.json", "none.json"],
         "none.json: cannot be read: No such file or directory; want a result.json or its directory"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    files: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["compare", *words]) == 2
    assert capsys.readouterr().err == f"loadtool: {said}\n"


@pytest.mark.parametrize(
    ("words", "broken"),
    [
        ("compare a.json a2.json vs b.json b2.json", "a.json a2.json b.json b2.json"),
        ("report b.json --baseline a.json --baseline a2.json", "a2.json b.json"),
        ("compare a.json runs", "runs/result.json"),
    ],
)
def test_a_broken_result_among_several_is_named(
    files: Path, capsys: pytest.CaptureFixture[str], words: str, broken: str
) -> None:
    (files / "runs").mkdir()
    write_atomically(steady(10_000), files / "runs" / "result.json")
    for name in broken.split():
        before = (files / name).read_text()
        data = json.loads(before)
        data["series"][0]["hdr"] = "HISTFXXX"
        (files / name).write_text(json.dumps(data))
        assert cli.main(words.split()) == 2
        said = rf"loadtool: {name}: result: series\[0\].hdr: not an HdrHistogram in V2 form: .*\n"
        assert re.fullmatch(said, capsys.readouterr().err)
        (files / name).write_text(before)


def test_other_profiles_are_compared_only_when_told_to(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = steady(10_000)
    other.profile["arrivals"] = "constant"
    write_atomically(other, files / "other.json")
    assert cli.main(["compare", "a.json", "other.json"]) == 2
    assert '  arrivals: "poisson" and "constant"' in capsys.readouterr().err  # which is the default
    assert cli.main(["compare", "a.json", "other.json", "--different-profiles"]) == 0
    assert 'the profiles differ in arrivals: "poisson" and "constant"' in capsys.readouterr().out


def test_a_report_may_be_compared(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "b.json", "--baseline", "a.json"]) == 0
    assert "Compared with the baseline" in capsys.readouterr().out


def test_why_a_run_proves_nothing_is_said_once(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    invalid = steady(10_000)
    invalid.verdict, invalid.reasons = "invalid", ["it was late"]
    write_atomically(invalid, files / "invalid.json")
    options = ["--markdown", "c.md", "--html", "c.html", "--json", "c.json"]
    assert cli.main(["compare", "invalid.json", "b.json", *options]) == 0
    pages = [capsys.readouterr().out, (files / "c.md").read_text(), (files / "c.html").read_text()]
    assert [page.count("it was late") for page in pages] == [1, 1, 1]
    assert {f["note"] for f in json.loads((files / "c.json").read_text())["figures"]} == {
        "baseline: it is invalid: it was late"
    }


def told_codes(page: str) -> dict[int, str]:
    """The entries of a help page's "Exit codes"."""
    entries = re.findall(r"^ +(\d+)  (.*(?:\n     +[a-z(].*)*)", page.partition("Exit codes:\n")[2], re.M)
    return {int(code): " ".join(text.split()) for code, text in entries}


@pytest.mark.parametrize("words", [["report", "a.json"], ["compare", "a.json", "b.json"]], ids=lambda w: w[0])
def test_the_codes_of_results_and_files_are_those_of_the_help(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    cli.main([words[0], "--help"])
    told = told_codes(capsys.readouterr().out)
    other = json.loads((files / "b.json").read_text())
    other["profile"]["arrivals"] = "constant"
    (files / "other.json").write_text(json.dumps(other))
    (files / "broken.json").write_text("{")
    (files / "taken").mkdir()
    differ = [*words, "--baseline", "other.json"] if words[0] == "report" else [*words[:2], "other.json"]
    for wrong, said in (
        ([words[0], *["broken.json"] * (len(words) - 1)], "a result can't be read"),
        ([words[0], *["missing.json"] * (len(words) - 1)], "a result can't be read"),
        (differ, "the profiles differ"),
        ([*words, "--html", "taken"], "a file can't be written; none is then"),
    ):
        assert cli.main([*wrong, "--markdown", "all.md"]) == 2
        assert said in told[2]
        assert not (files / "all.md").exists()

    def full(text: str, path: Path) -> None:
        raise OutputError(f"{path}: cannot be written: the disk is full")

    monkeypatch.setattr("loadtool.report.result_file.write_text_atomically", full)
    assert cli.main([*words, "--markdown", "all.md"]) == 3
    assert "a file was lost while it was being written" in told[3]
