"""The run slice by slice as a table: the figures behind every chart on the time axis."""

from __future__ import annotations

from loadtool.report import figures
from loadtool.report.html.story import Moment, Story
from loadtool.report.html.tables import Cell, Column, Table

_COLUMNS = (
    Column("time", number=False),
    Column("phase and faults", number=False),
    Column("scheduled"),
    Column("ok"),
    Column("shed"),
    Column("errors"),
    Column("good"),
    Column("attempts"),
    Column("in flight"),
    Column("p50"),
    Column("p90"),
    Column("p99"),
    Column("send lag p99"),
)


def slices(story: Story) -> Table | None:
    """One row a slice; None if there are none."""
    if not story.moments:
        return None
    return Table("Every slice of the run", _COLUMNS, tuple(_row(story, m) for m in story.moments))


def _row(story: Story, m: Moment) -> tuple[Cell, ...]:
    s = m.slice
    counts = (s.scheduled, s.ok, s.shed, m.errors, s.good, s.attempts, s.in_flight)
    times = (m.quantile(s.p50), m.p90, m.quantile(s.p99), s.lag_p99)
    return (
        Cell(m.when),
        Cell(story.around(m.middle_s)),
        *(Cell(figures.count(n)) for n in counts),
        *(Cell(figures.duration(ms)) for ms in times),
    )
