"""The time axis that every picture of one report shares, so that cause stands over effect.

A picture is a gutter on the left (labels of the values, then the axis) and one column for each stretch of
the run; `column` says which. Lanes are rows of bars on that axis: phases, faults.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadtool.report import figures
from loadtool.report.folding import fitted
from loadtool.report.stage import Bar

GUTTER: Final = 10  # "12,345/s ┤": nine cells of label, one of axis

_STEPS_S: Final = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_SPARKS: Final = " ▁▂▃▄▅▆▇█"
_TICK_ROOM: Final = 12  # columns from one label of the axis to the next, at least


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """`end_s` seconds from 0 on `width` cells, gutter included."""

    end_s: float
    width: int

    @property
    def columns(self) -> int:
        return max(self.width - GUTTER, 1)

    @property
    def column_s(self) -> float:
        """How much time a column stands for."""
        return max(self.end_s, 1e-9) / self.columns

    def column(self, t: float) -> int:
        """The column that holds the instant t, from 0; instants outside belong to the first or last one."""
        return min(max(int(t / self.column_s + 1e-9), 0), self.columns - 1)

    def span(self, bar: Bar) -> range:
        """The columns of a bar, at least one."""
        first = self.column(bar.start_s)
        end = min(math.ceil(bar.end_s / self.column_s - 1e-9), self.columns)
        return range(first, max(end, first + 1))

    def ticks(self) -> list[tuple[int, str]]:
        """Columns and labels of round instants, with room between them."""
        room = max(self.columns // _TICK_ROOM, 1)
        days = _STEPS_S[-1] * math.ceil(self.end_s / _STEPS_S[-1] / room)
        step = next((s for s in _STEPS_S if self.end_s / s <= room), days)
        return [(self.column(t), figures.clock(t)) for t in range(0, math.ceil(self.end_s), step)]

    def spread(
        self, points: Iterable[tuple[float, float, float | None]], *, peak: bool
    ) -> list[float | None]:
        """Values of stretches [start, end) brought to one a column; None where nothing is known.

        `peak` takes the largest value that touches a column, so that no peak is lost; otherwise their mean.
        """
        held: list[list[float]] = [[] for _ in range(self.columns)]
        for start, end, value in points:
            if value is None or start >= self.end_s:
                continue
            for c in self.span(Bar("", start, min(end, self.end_s))):
                held[min(c, self.columns - 1)].append(value)
        return [(max(v) if peak else math.fsum(v) / len(v)) if v else None for v in held]


def held(samples: Sequence[tuple[float, float]], end_s: float) -> list[tuple[float, float, float | None]]:
    """Samples (t, value), each good until the next, as stretches [start, end) for `TimeAxis.spread`."""
    ends = [*(t for t, _ in samples[1:]), end_s]
    return [(t, end, value) for (t, value), end in zip(samples, ends, strict=False)]


def ruler(axis: TimeAxis) -> Text:
    """The axis itself and its labels: two lines."""
    line = ["─"] * axis.columns
    labels = [" "] * axis.columns
    free = 0
    for c, label in axis.ticks():
        at = max(min(c - len(label) // 2, axis.columns - len(label)), 0)
        if at < free or at + len(label) > axis.columns:
            continue
        line[c] = "┬"
        labels[at : at + len(label)] = label
        free = at + len(label) + 1
    gutter = " " * (GUTTER - 1)
    return Text(f"{gutter}└{''.join(line)}\n{gutter} {''.join(labels)}", style="dim")


def sections(axis: TimeAxis, bars: Sequence[Bar], *, here: float | None = None) -> Text:
    """One line with the name of each section at its start; the section that holds `here` stands out."""
    text = Text(" " * (GUTTER - 1))
    for i, bar in enumerate(bars):
        first = axis.column(bar.start_s)
        after = axis.column(bars[i + 1].start_s) if i + 1 < len(bars) else axis.columns
        room = after - first
        if room <= 0:
            continue
        now = here is not None and bar.start_s <= here < bar.end_s
        text.append("│", style="dim")
        inside = room if i + 1 == len(bars) else room - 1
        name = fitted(bar.name, inside)
        text.append(name, style="bold reverse" if now else "dim")
        text.append(" " * (inside - cell_len(name)))
    return text


def by_name(bars: Iterable[Bar]) -> dict[str, list[Bar]]:
    """The bars of each name, in order."""
    found: dict[str, list[Bar]] = {}
    for bar in bars:
        found.setdefault(bar.name, []).append(bar)
    return found


def lanes(axis: TimeAxis, bars: Iterable[Bar], *, style: str) -> list[Text]:
    """One line for each name among the bars."""
    return [lane(axis, *same, style=style) for same in by_name(bars).values()]


def lane(axis: TimeAxis, *bars: Bar, style: str) -> Text:
    """One line with bars of one name where something was active, and its name in or beside them."""
    line = [" "] * axis.columns
    for bar in bars:
        for column in axis.span(bar):
            if column < axis.columns:
                line[column] = _height(axis, bar, column)
    name = fitted(bars[0].name, axis.columns - 2)
    _label(line, name)
    return Text(" " * GUTTER).append("".join(line).rstrip(), style=style)


def _height(axis: TimeAxis, bar: Bar, column: int) -> str:
    """The block of a column: full, but where the bar still grows."""
    grown = max((column + 0.5) * axis.column_s - bar.start_s, 0.0)
    if grown >= bar.ramp_s:
        return _SPARKS[-1]
    return _SPARKS[max(math.ceil(grown / bar.ramp_s * (len(_SPARKS) - 1) - 1e-9), 1)]


def _label(line: list[str], name: str) -> None:
    """Write the name where there is room: in the only bar, after the last, before the first, in a gap."""
    room = cell_len(name)
    full = [i for i, c in enumerate(line) if c == _SPARKS[-1]]
    taken = [i for i, c in enumerate(line) if c != " "]
    first, last = taken[0], taken[-1]
    if full and full[-1] - full[0] + 1 == len(full) == last + 1 - full[0] >= room + 6:
        _write(line, full[0] + (len(full) - room - 2) // 2, f" {name} ")
    elif last + 2 + room <= len(line):
        _write(line, last + 2, name)
    elif room + 1 <= first:
        _write(line, first - room - 1, name)
    else:
        gap, at = max(((b - a - 1, a + 1) for a, b in pairwise(taken)), default=(0, 0))
        if gap >= room + 2:
            _write(line, at + (gap - room) // 2, name)


def _write(line: list[str], at: int, text: str) -> None:
    """Put text into cells; a wide character takes two of them, a combining one none."""
    for char in text:
        cells = cell_len(char)
        if not cells:
            line[at - 1] += char
            continue
        line[at : at + cells] = [char, *[""] * (cells - 1)]
        at += cells


def moments(axis: TimeAxis, name: str, times: Sequence[float], *, style: str = "cyan") -> Text:
    """One line with a mark at each of these instants, its name in the gutter."""
    line = [" "] * axis.columns
    for t in times:
        line[axis.column(t)] = "▲"
    text = Text(_gutter(name) + " ")
    return text.append("".join(line).rstrip(), style=style)


def asked(axis: TimeAxis, name: str, *, style: str = "cyan") -> Text:
    """One line for what is asked before, during and after the run, its name in the gutter."""
    text = Text(_gutter(name) + "▲")
    return text.append("·" * (axis.columns - 1) + "▲", style=style)


def spark(axis: TimeAxis, label: str, values: Sequence[float | None], *, top: float, style: str) -> Text:
    """One line of blocks, one a column, as high as the value is of `top`; nothing is drawn for 0 and None."""
    text = Text(_gutter(label) + " ")
    text.append("".join(_block(v, top) for v in values), style=style)
    return text


def _block(value: float | None, top: float) -> str:
    if not value or top <= 0:
        return " "
    if math.isinf(value):
        return "×"
    # What is there shows, however small.
    return _SPARKS[min(max(math.ceil(value / top * (len(_SPARKS) - 1) - 1e-9), 1), len(_SPARKS) - 1)]


def _gutter(label: str) -> str:
    """A label at the right end of the gutter: a wide character takes two of its cells."""
    text = fitted(label, GUTTER - 1)
    return f"{' ' * (GUTTER - 1 - cell_len(text))}{text}"
