"""Figures of every size stand in the same columns, whole and apart from each other."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest
from report_snapshots import STAGE, slos, snapshot
from rich.cells import cell_len

from loadtool.measure.outcome import OUTCOMES
from loadtool.measure.snapshot import PhaseNow, Snapshot
from loadtool.report.live_figures import Grid, clients, objectives, sending, states, table
from loadtool.report.now import Now

FIGURE = re.compile(r"n/a|∞|[\d,]+(\.\d+)?[kMG]?(/s| ms| s)?")


def figures_of(seed: int) -> Snapshot:
    """Figures of every size, consistent or not."""
    draw = random.Random(seed)

    def count() -> int:
        return int(draw.choice([0, 1, 10 ** draw.uniform(0, 10)]))

    def rate() -> float:
        return draw.choice([0.0, 1.0, 10 ** draw.uniform(-2, 7)])

    def time() -> float | None:
        return draw.choice([None, math.inf, 0.0, 10 ** draw.uniform(-3, 6.5)])

    scheduled = count()
    return replace(
        snapshot(36.0),
        scheduled=scheduled, attempts=int(scheduled * draw.uniform(0, 99)),
        outcomes={name: count() for name in OUTCOMES},
        phases=tuple(
            PhaseNow(p.name, "", count(), count(), count(), count(), time(), time(), time())
            for p in STAGE.phases
        ),
        offered_per_s=rate(), ok_per_s=rate(), shed_per_s=rate(), errors_per_s=rate(),
        p50_ms=time(), p99_ms=time(), lag_p99_ms=time(),
        in_flight=count(), waiting=count(), connections=count(),
        client={"retries": count(), "throttled": count(), "exhausted": count()},
    )  # fmt: skip


@pytest.mark.parametrize("width", [40, 59, 60, 80, 140])
@pytest.mark.parametrize("seed", range(30))
def test_columns_stay_whatever_stands_in_them(seed: int, width: int) -> None:
    now = Now(STAGE, figures_of(seed))
    grid = Grid(width, [p.name for p in STAGE.phases])
    assert grid.width <= width
    header = grid.header().plain
    ends = [grid.label + grid.cell * (i + 1) for i in range(len(grid.columns))]
    assert all(header[:end].endswith(c.name) for end, c in zip(ends, grid.columns, strict=True))
    for row in table(now, grid, by_phase=True):
        text = row.plain
        assert len(text) == cell_len(text) == grid.width
        for end in ends:
            cell = text[end - grid.cell : end]
            assert cell[0] == " ", f"{cell!r} touches the column before it"
            assert not cell.strip() or FIGURE.fullmatch(cell.strip()), cell
    names = re.compile("lag p99|waiting|connections|attempts|retries|held back|over budget")
    for write in (sending, clients):
        line, quiet = (write(n, grid, width) for n in (now, Now(STAGE, snapshot(0.0))))
        assert [m.span() for m in names.finditer(line.plain)] == [
            m.span() for m in names.finditer(quiet.plain)
        ]
        assert line.cell_len <= width


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0.31, "0.310 ms"), (12.34, "12.3 ms"), (999.0, "999 ms"), (1234.0, "1.23 s "), (61_000.0, "61 s "),
        (float("inf"), "∞   "), (None, "n/a"),
    ],
)  # fmt: skip
def test_units_of_time_begin_in_one_place(ms: float | None, shown: str) -> None:
    (row, *_) = table(Now(STAGE, replace(snapshot(36.0), p50_ms=ms)), Grid(80), by_phase=False)
    assert row.plain[49:59] == f"{shown:>10}"


@pytest.mark.parametrize(
    ("n", "shown"),
    [(0, "0"), (1_234_567, "1,234,567"), (12_345_678, "12,300k"), (1_234_567_890, "1,230M")],
)
def test_a_count_without_room_is_shortened(n: int, shown: str) -> None:
    now = Now(STAGE, replace(snapshot(36.0), scheduled=n))
    assert table(now, Grid(80), by_phase=False)[-1].plain[9:19] == f"{shown:>10}"


def test_what_clients_do_is_told_as_a_ratio_and_counts() -> None:
    marks = {"retries": 1203, "throttled": 10, "withheld": 2, "exhausted": 4}
    now = Now(STAGE, replace(snapshot(36.0), scheduled=4000, attempts=5000, client=marks))
    assert clients(now, Grid(80), 80).plain.split() == [
        "clients", "attempts", "1.25x", "retries", "1,203", "held", "back", "12",
    ]  # fmt: skip


def test_slos_are_counted_by_how_they_stand() -> None:
    known = slos(36.0)
    known = [replace(known[0], status="fail"), replace(known[1], samples=0), *known[2:]]
    now = Now(STAGE, snapshot(36.0), slos=known)
    assert states(now).plain == "✓ 2  ✗ 1  · 1"
    lines = [line.plain.rstrip() for line in objectives(now, 80, 2)]
    assert lines[0].startswith("✗ p95 < 250ms during baseline")
    assert lines[1] == "  and 3 more SLOs: ✓ 2  · 1"
    assert [len(objectives(now, 80, n)) for n in (0, 1, 3, 4, 9)] == [0, 1, 3, 4, 4]


@pytest.mark.parametrize(("t", "rate"), [(0.0, 20), (4.9, 20), (5.0, 50), (30.0, 500), (73.9, 50), (74.0, 0)])
def test_the_planned_rate_is_that_of_the_curve(t: float, rate: float) -> None:
    assert STAGE.rate(t) == rate
