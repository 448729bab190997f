"""The slowest arrivals of a traced run, in every report that people read."""

from __future__ import annotations

import re

import pytest
from report_samples import HOSTILE, passed

from loadtool.measure.result import Result
from loadtool.measure.slow_arrival import SLOWEST, SlowArrival
from loadtool.report.formats import FORMATS
from loadtool.report.html import tables
from loadtool.report.terminal import render

TRACES = [f"{0xABC + i:032x}" for i in range(SLOWEST)]


def traced() -> Result:
    result = passed()
    result.slowest = [
        SlowArrival(
            trace, HOSTILE if i == 3 else "checkout", 34.5 + i, 2000.0 - 100 * i, "timeout" if i < 2 else "ok"
        )
        for i, trace in enumerate(TRACES)
    ]
    return result


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one."""
    return re.split(r"\n(?=\S)", text.partition(title)[2].partition("\n")[2])[0]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_shows_each_trace_whole(width: int) -> None:
    lines = section(render(traced(), width=width), "\nSlowest ").splitlines()
    assert [re.findall(r"[0-9a-f]{32}", line) for line in lines if "0000" in line] == [[t] for t in TRACES]
    assert all(len(line) <= width for line in lines)
    first = next(line for line in lines if TRACES[0] in line)
    assert first.split()[:3] == ["2", "s", TRACES[0]]
    assert first.split()[-1] == "checkout"
    if width > 60:
        assert first.split()[3:6] == ["34.5", "s", "timeout"]


def test_markdown_has_them_as_a_table() -> None:
    text = FORMATS["markdown"].render(traced()).partition("### Slowest\n\n")[2].partition("\n\n")[0]
    rows = text.splitlines()
    assert rows[2] == f"| checkout | `{TRACES[0]}` | timeout | 34.5 s | 2 s |"
    assert len(rows) == 2 + SLOWEST
    assert "<script>" not in text


def test_the_page_has_them_as_a_table() -> None:
    (found,) = (s for s in tables.sections(traced()) if s.title == "Slowest")
    assert len(found.tables[0].rows) == SLOWEST
    page = FORMATS["html"].render(traced())
    assert all(trace in page for trace in TRACES)
    assert "<script>alert(1)</script> &" not in page


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_a_run_without_traces_says_nothing_of_them(name: str) -> None:
    assert "Slowest" not in FORMATS[name].render(passed())
    assert "Slowest" not in render(passed())


def test_a_trace_that_is_none_stays_text() -> None:
    result = traced()
    result.slowest[0].trace = "`|<b>\n"  # of a result that others have written
    assert "<b>" not in FORMATS["markdown"].render(result).partition("### Slowest")[2]
    assert "\n`" not in render(result)
