from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import SAMPLES, failed, passed

from loadtool.measure.result import Result
from loadtool.report.annotations import render
from loadtool.report.text import clean

Command = tuple[str, dict[str, str], str]


def unescape(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for code, char in pairs:
        text = text.replace(code, char)
    return text


# What GitHub's runner undoes, in its order (src/Runner.Common/ActionCommand.cs).
DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


def read(result: Result, **places: str) -> list[Command]:
    """The commands as the runner takes them."""
    found = []
    for line in render(result, **places).splitlines():
        match = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
        assert match, line
        pairs = (p.split("=", 1) for p in match[2].split(","))
        found.append((match[1], {k: unescape(v, PROPERTY) for k, v in pairs}, unescape(match[3], DATA)))
    return found


def test_failed_slos_are_errors_at_their_lines_and_open_ones_warnings() -> None:
    assert render(failed()).splitlines() == [
        "::error file=profiles/checkout.yaml,line=42,title=SLO failed%3A error rate < 0.1%25"
        "::measured 0.758%25, threshold 0.1%25, 95%25 interval 0.590 – 0.940%25, 10,200 samples",
        "::error file=profiles/checkout.yaml,line=43,"
        "title=SLO failed%3A p99 < 1s during slow-store for checkout"
        "::measured ∞, threshold 1 s, 95%25 interval 980 ms – ∞, 420 samples",
        "::warning file=profiles/checkout.yaml,line=45,title=SLO inconclusive%3A p99.9 < 2s during warmup"
        "::measured 96 ms, threshold 2 s, 95%25 interval 96 ms – ∞, 100 samples, only 100 samples",
    ]


def test_a_passed_run_says_nothing() -> None:
    assert render(passed()) == ""


def test_what_failed_beside_a_sound_run_is_a_warning() -> None:
    r = passed()
    r.warnings = ["teardown: it failed"]
    assert [(level, message) for level, _, message in read(r)] == [("warning", "teardown: it failed")]


@pytest.mark.parametrize("name", ["invalid", "interrupted"])
def test_a_run_that_proves_nothing_is_an_error_with_its_reasons(name: str) -> None:
    r = SAMPLES[name]()
    ((level, properties, message),) = read(r)
    assert level == "error"
    assert properties == {"file": "profiles/checkout.yaml", "title": f"checkout-10x: {name}"}
    assert message.splitlines()[1:] == r.reasons


def test_an_slo_without_a_line_points_at_the_file() -> None:
    ((_, _, _), (level, properties, _)) = read(SAMPLES["empty"]())
    assert level == "warning"
    assert properties == {"file": "nothing.yaml", "title": "SLO inconclusive: p99 < 1s"}


@pytest.mark.parametrize(
    ("file", "directory", "shown"),
    [
        ("profiles/a.yaml", "/home/ci/repo", "profiles/a.yaml"),
        ("a.yaml", "/home/ci/repo/load", "load/a.yaml"),
        ("../a.yaml", "/home/ci/repo/load", "a.yaml"),
        ("/home/ci/repo/load/a.yaml", "/elsewhere", "load/a.yaml"),
        ("/tmp/a.yaml", "/home/ci/repo", "/tmp/a.yaml"),
        ("../../other/a.yaml", "/home/ci/repo/load", "../../other/a.yaml"),
        ("../repo2/a.yaml", "/home/ci/repo", "../repo2/a.yaml"),
    ],
)
def test_paths_are_those_of_the_checkout(file: str, directory: str, shown: str) -> None:
    r = failed()
    r.profile_file = file
    commands = read(r, workspace="/home/ci/repo/", directory=directory)
    assert {properties["file"] for _, properties, _ in commands} == {shown}


def test_github_shows_ten_of_a_level_so_the_tenth_counts_the_rest() -> None:
    r = failed()
    r.slos = [replace(r.slos[1], line=i) for i in range(1, 13)]
    commands = read(r)
    assert [p.get("line") for _, p, _ in commands] == [*map(str, range(1, 10)), None]
    assert commands[-1][1]["title"] == "3 more"
    r.slos = r.slos[:10]
    assert [p.get("line") for _, p, _ in read(r)] == list(map(str, range(1, 11)))


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
def test_any_text_stays_in_its_place(text: str, note: str, file: str) -> None:
    r = failed()
    r.slos = [replace(r.slos[1], text=text, note=note)]
    r.profile_file = file
    ((level, properties, message),) = read(r)
    assert level == "error"
    assert properties["title"] == clean(f"SLO failed: {text}")
    assert properties.get("file", "") == clean(file)
    assert properties["line"] == "42"
    assert message.endswith(clean(note))
