"""What the live view draws with: signs that the terminal takes, and scales that fit in the gutter."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from report_snapshots import STAGE, active, slos, snapshot
from rich.console import Console

from loadtool.report.axis import GUTTER
from loadtool.report.live import suits
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now


@pytest.mark.parametrize(
    ("p50", "label"),
    [
        (0.009, "p50≤10µs"),
        (0.12, "p50≤150µs"),
        (0.21, "p50≤250µs"),
        (0.55, "p50≤600µs"),
        (1.0, "p50≤1ms"),
        (1.3, "p50≤1.5ms"),
        (2.2, "p50≤2.5ms"),
        (130.0, "p50≤150ms"),
        (999.0, "p50≤1s"),
        (1300.0, "p50≤1.5s"),
        (3_500_000.0, "p50≤4000s"),
        (None, "p50"),
    ],
)
def test_a_row_of_blocks_tells_the_unit_of_its_scale(p50: float | None, label: str) -> None:
    taken = snapshot(36.0)
    recent = tuple(replace(point, p50=p50) for point in taken.recent)
    now = Now(STAGE, replace(taken, recent=recent), active(36.0), slos(36.0))
    row = Pictures().lines(now, 80, 8)[-1].plain
    assert row[: GUTTER - 1] == label.rjust(GUTTER - 1)


@pytest.mark.parametrize(("encoding", "good"), [("utf-8", True), ("ascii", False), ("iso-8859-1", False)])
def test_no_picture_is_drawn_in_question_marks(encoding: str, good: bool) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    console = Console(file=file, force_terminal=True, width=80, height=24, _environ={"TERM": "xterm"})
    assert suits(console) == good
