"""The pictures of the report, against runs whose curve is known."""

from __future__ import annotations

import pytest

from loadtool.measure.result import Engine, PhaseFigures, Result, Slice
from loadtool.report.axis import GUTTER
from loadtool.report.grid import printed
from loadtool.report.pictures import RATE_HEIGHT, timeline


def steady(elapsed_s: float, last: int) -> Result:
    """100/s, all ok, in slices of a second; `last` arrivals in the last one, which the run's end cuts."""
    whole = int(elapsed_s)
    series = [Slice(t=t, scheduled=100, ok=100, p50=1, p99=1) for t in range(whole)]
    return Result(
        loadtool="0", started="", seed=1, profile={}, profile_file="", engine=Engine(), elapsed_s=elapsed_s,
        good_within_ms=1, phases=[PhaseFigures(name="baseline", start_s=0, end_s=elapsed_s)],
        series=[*series, Slice(t=whole, scheduled=last, ok=last, p50=1, p99=1)],
    )  # fmt: skip


def rate_rows(result: Result) -> list[str]:
    lines = printed(timeline(result, 80), width=80, color=False).splitlines()
    return [line[GUTTER:] for line in lines[1 : 1 + RATE_HEIGHT]]


@pytest.mark.parametrize(("elapsed_s", "last"), [(2.5, 50), (0.5, 50), (3.25, 25), (0.001, 0)])
def test_a_slice_that_the_run_s_end_cuts_is_no_drop_in_the_rate(elapsed_s: float, last: int) -> None:
    rows = rate_rows(steady(elapsed_s, last))
    assert rows
    assert all(len(set(row)) <= 1 for row in rows), rows
    assert len({len(row) for row in rows if row}) <= 1


def test_a_scrap_of_a_slice_is_no_peak() -> None:
    rows = rate_rows(steady(2.001, 1))  # 1,000/s, if it were believed
    assert set(rows[0]) == {"█"}, "100/s is the top of the picture"
