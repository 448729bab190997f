"""The scale of the live view's rows of response times, in the gutter that they have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_snapshots import STAGE, active, slos, snapshot

from loadtool.report.axis import GUTTER
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
