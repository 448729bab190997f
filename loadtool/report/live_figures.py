"""The figures of the live view, in columns that stay where they are whatever their size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadtool.measure.result import SloFigure
from loadtool.report import figures, slos
from loadtool.report.folding import fitted
from loadtool.report.now import Now
from loadtool.report.pictures import ERROR_GLYPH, SHED_GLYPH
from loadtool.report.text import clean

NARROW: Final = 60  # columns of the terminal below which labels are short

_LABEL: Final = (7, 9, 16)  # cells of a row's label: short, usual, and the most that a phase's name gets
_CELL: Final = (9, 10)  # cells of a column: at least, at most
_VALUE: Final = 10  # cells of an SLO's value
_GAP: Final = 3  # between fields of one line
_UNIT: Final = 2  # cells of a unit of time, so that `ms` and `s` begin in the same place
_STATUS: Final = {
    "pass": ("✓", "green"),
    "fail": ("✗", "bold red"),
    "inconclusive": ("…", "dim"),
}
_OPEN: Final = ("·", "dim")  # nothing is known of it yet


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: its mark in the picture, and its colour there. Those with the least `keep` go first."""

    name: str
    keep: int
    glyph: str = ""
    style: str = "bold"


_COLUMNS: Final = (
    _Column("offered", 3, "─"),
    _Column("ok", 7, "█", "green"),
    _Column("shed", 4, SHED_GLYPH, "yellow"),
    _Column("errors", 5, ERROR_GLYPH, "red"),
    _Column("p50", 2, style="cyan"),
    _Column("p99", 6, style="magenta"),
    _Column("in flight", 1),
)


class Grid:
    """Where figures stand in `width` cells: it follows from that and from the names of the phases shown."""

    def __init__(self, width: int, names: Sequence[str] = ()) -> None:
        longest = max((cell_len(clean(name)) for name in names), default=0)
        short, usual, most = _LABEL
        self.label = short if width < NARROW else min(max(usual, longest + 1), most)
        n = min(max((width - self.label) // _CELL[0], 1), len(_COLUMNS))
        kept = sorted(_COLUMNS, key=lambda c: -c.keep)[:n]
        self.columns = [c for c in _COLUMNS if c in kept]
        self.cell = min(max((width - self.label) // n, 1), _CELL[1])

    @property
    def width(self) -> int:
        return self.label + self.cell * len(self.columns)

    def header(self) -> Text:
        text = Text(" " * self.label)
        for c in self.columns:
            glyph = f"{c.glyph} " if c.glyph and len(c.name) + 2 < self.cell else ""
            text.append(" " * max(self.cell - len(c.name) - len(glyph), 0))
            text.append(glyph, style=c.style).append(c.name, style="dim")
        return text

    def row(self, label: str, cells: dict[str, str], *, style: str = "", quiet: Sequence[str] = ()) -> Text:
        """The cells by the names of their columns; those of `quiet` say that there is nothing to say."""
        text = Text(fitted(label, self.label - 1), style="")
        text.stylize(style or "dim")
        text.pad_right(self.label - text.cell_len)
        for c in self.columns:
            shown = "dim" if c.name in quiet else style or c.style
            text.append(f"{cells.get(c.name, ''):>{self.cell}}", style=shown)
        return text

    @property
    def room(self) -> int:
        """Cells of a figure: one stays free between two columns."""
        return self.cell - 1


def table(now: Now, grid: Grid, *, by_phase: bool) -> list[Text]:
    """What comes and goes now, what came of each phase if wanted, and of all."""
    s = now.snapshot
    rates = {"offered": s.offered_per_s, "ok": s.ok_per_s, "shed": s.shed_per_s, "errors": s.errors_per_s}
    cells = {name: _rate(rate, grid.room) for name, rate in rates.items()}
    cells |= {"p50": _time(s.p50_ms), "p99": _time(s.p99_ms), "in flight": _count(s.in_flight, grid.room)}
    rows = [grid.row("now", cells, quiet=[name for name, rate in rates.items() if not rate])]
    if by_phase:
        rows += [_phase(now, name, grid) for name in dict.fromkeys(p.name for p in now.stage.phases)]
    counts = {"offered": s.scheduled, "ok": s.ok, "shed": s.shed, "errors": s.errors}
    told = {name: _count(n, grid.room) for name, n in counts.items()}
    rows.append(grid.row("so far", told, quiet=[name for name, n in counts.items() if not n]))
    return rows


def _phase(now: Now, name: str, grid: Grid) -> Text:
    """A phase so far."""
    p = next((p for p in now.snapshot.phases if p.name == name), None)
    here = now.stage.phase(now.t) == name
    if p is None or not p.scheduled:
        return grid.row(clean(name), {}, style="bold" if here else "dim")
    counts = {"offered": p.scheduled, "ok": p.ok, "shed": p.shed, "errors": p.errors}
    cells = {name: _count(n, grid.room) for name, n in counts.items()}
    cells |= {"p50": _time(p.p50_ms), "p99": _time(p.p99_ms)}
    row = grid.row(clean(name), cells, quiet=[name for name, n in counts.items() if not n])
    if here:
        row.stylize("not dim bold", 0, grid.label)
    return row


def sending(now: Now, grid: Grid, width: int) -> Text:
    """How the generator fares."""
    s = now.snapshot
    return _fields(
        "sending",
        grid,
        width,
        ("lag p99", _time(s.lag_p99_ms), 8),
        ("waiting", _count(s.waiting, 7), 7),
        ("connections", _count(s.connections, 7), 7),
    )


def clients(now: Now, grid: Grid, width: int) -> Text:
    """What clients do that try again or hold back, since the start."""
    s, marks = now.snapshot, now.snapshot.client
    held = marks.get("throttled", 0) + marks.get("withheld", 0)
    # Arrivals under way have attempts already; the ratio is of those that came, as in the report.
    return _fields(
        "clients",
        grid,
        width,
        ("attempts", figures.ratio(s.attempts / s.scheduled) if s.scheduled else figures.NOTHING, 8),
        ("retries", _count(marks.get("retries", 0), 7), 7),
        ("held back", _count(held, 7), 7),
        ("over budget", _count(marks.get("exhausted", 0), 7), 7),
    )


def _fields(label: str, grid: Grid, width: int, *fields: tuple[str, str, int]) -> Text:
    text = Text(label.ljust(grid.label), style="")
    text.stylize("dim")
    for name, value, room in fields:
        gap = _GAP if text.cell_len > grid.label else 1
        if text.cell_len + gap + len(name) + 1 + room > width:
            break
        text.append(" " * gap + name, style="dim").append(f" {value:>{room}}", style="bold")
    return text


def objectives(now: Now, width: int, most: int) -> list[Text]:
    """The SLOs as they stand, in the profile's order: at most so many lines, the last one for the rest."""
    known = {s.text: s for s in now.slos}
    texts = max((cell_len(clean(text)) for text in now.stage.slos), default=0)
    room = min(texts + 2, width - _VALUE - 1)
    wanted = now.stage.slos
    shown = len(wanted) if len(wanted) <= most else max(most - 1, 0)
    lines = [_objective(text, known.get(text), room, width) for text in wanted[:shown]]
    if shown < len(wanted) and most > 0:
        more = figures.plural(len(wanted) - shown, "more SLO")
        lines.append(Text.assemble((f"  and {more}: ", "dim"), states(now, wanted[shown:])))
    return lines


def states(now: Now, wanted: Sequence[str] | None = None) -> Text:
    """How many SLOs stand how: `✓ 3  ✗ 1  · 2`; of all if none are named."""
    known = {s.text: s for s in now.slos}
    counts = Counter(_state(known.get(text)) for text in (now.stage.slos if wanted is None else wanted))
    text = Text()
    for state in (*_STATUS.values(), _OPEN):
        if counts[state]:
            text.append("  " * bool(text.plain)).append(f"{state[0]} {counts[state]}", style=state[1])
    return text


def _state(slo: SloFigure | None) -> tuple[str, str]:
    return _STATUS.get(slo.status, _OPEN) if slo is not None and slo.samples > 0 else _OPEN


def _objective(wanted: str, slo: SloFigure | None, room: int, width: int) -> Text:
    """One SLO, its text in `room` cells, its value and, where there is room, its 95 % interval."""
    symbol, style = _state(slo)
    measured = slo is not None and slo.samples > 0
    text = Text.assemble((f"{symbol} ", style), (clean(wanted), "" if measured else "dim"))
    text.truncate(max(room, 0), overflow="ellipsis", pad=True)
    if slo is None or not measured:
        return text
    text.append(f" {slos.value(slo):>{_VALUE}}", style=style)
    interval = slos.interval(slo)
    if interval and text.cell_len + _GAP + len(interval) <= width:
        text.append(f"{' ' * _GAP}{interval}", style="dim")
    return text


def _rate(per_s: float, room: int) -> str:
    return _shortened(per_s, room, figures.rate, "/s")


def _count(n: int, room: int) -> str:
    return _shortened(n, room, lambda value: figures.count(int(value)), "")


def _shortened(value: float, room: int, write: Callable[[float], str], unit: str) -> str:
    """In full where there is room, else in thousands or millions: 1,234,567 or 1.23M."""
    text = write(value)
    for divisor, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        if len(text) <= room:
            break
        text = f"{figures.number(float(f'{value / divisor:.3g}'))}{letter}{unit}"
    return text


def _time(ms: float | None) -> str:
    """A length of time whose unit has the same cells, whichever it is."""
    number, _, unit = figures.duration(math.inf if ms is not None and math.isinf(ms) else ms).partition(" ")
    if number in (figures.NOTHING, figures.INFINITE):
        return f"{number}{' ' * (_UNIT + 1)}" if number == figures.INFINITE else number
    return f"{number} {unit:<{_UNIT}}"
