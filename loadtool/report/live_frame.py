"""One picture of the live view: exactly as many lines as the terminal has, each no wider than it.

Lines keep their places while the run lasts: what may be absent has its line all the same, figures stand
right-aligned in columns of fixed width, and only the pictures grow with the terminal. In a small one the
least important lines go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadtool.measure.result import SloFigure
from loadtool.report import figures, slos
from loadtool.report.axis import TimeAxis, by_name, lane, ruler, sections
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.stage import Bar
from loadtool.report.text import clean

HINT: Final = "Ctrl-C ends the run early, with its full report"

_LABEL: Final = 9  # cells of a row's label
_CELL: Final = (7, 15)  # narrowest and widest column of figures
_LEAST_PICTURE: Final = 4  # lines
_ALWAYS: Final = 8  # rows worth more than the picture
_FIRST_SLOS: Final = 5  # that are worth more than the labels of the time axis
_MOST_LANES: Final = 3
_VALUE: Final = 10  # cells of an SLO's value, and of its interval
_INTERVAL: Final = 24
_STATUS: Final = {
    "pass": ("✓", "green"),
    "fail": ("✗", "bold red"),
    "inconclusive": ("…", "dim"),
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A line; those with the least `keep` go first. `above`: over the pictures."""

    keep: int
    text: Text
    above: bool = False
    slo: bool = False


def frame(now: Now, width: int, height: int, picture: Pictures) -> list[Text]:
    """The lines of the whole view; `picture` draws, and remembers, its curves."""
    rows = _rows(now, width)
    dropped = 0
    while len(rows) > height - _LEAST_PICTURE:
        least = min(row.keep for row in rows)
        if least >= _ALWAYS and len(rows) <= height:
            break
        gone = max(i for i, row in enumerate(rows) if row.keep == least)
        dropped += rows[gone].slo
        del rows[gone]
    last_slo = max((i for i, row in enumerate(rows) if row.slo), default=None)
    if dropped and last_slo is not None:
        more = f"  and {figures.plural(dropped + 1, 'more SLO')}"
        rows[last_slo] = _Row(rows[last_slo].keep, Text(more, style="dim"), slo=True)
    above = sum(row.above for row in rows)
    drawn = picture.lines(now, width, height - len(rows))
    lines = [row.text for row in rows]
    return [_fit(line, width) for line in (*lines[:above], *drawn, *lines[above:])]


def _rows(now: Now, width: int) -> list[_Row]:
    axis = TimeAxis(now.stage.end_s, width)
    labels = ruler(axis).split("\n")
    alert = _alert(now)
    return [
        _Row(10, _title(now, width), above=True),
        _Row(9, _progress(now, width), above=True),
        _Row(3, labels[0]),
        _Row(2, labels[1]),
        _Row(5, sections(axis, now.stage.phases, here=now.t)),
        *(_Row(4, text) for text in _lanes(now, axis)),
        _Row(0, Text()),
        *_rates(now, width),
        _Row(_ALWAYS, _latency(now, width)),
        _Row(6, _faults(now)),
        _Row(0, Text()),
        *(_Row(7 if i < _FIRST_SLOS else 1, text, slo=True) for i, text in enumerate(_slos(now, width))),
        _Row(_ALWAYS if alert else 1, Text(alert, style="bold yellow") if alert else Text(HINT, style="dim")),
    ]


def _title(now: Now, width: int) -> Text:
    names = [p.name for p in now.stage.phases]
    phase = now.stage.phase(now.t)
    place = f"{clean(phase)} ({names.index(phase) + 1} of {len(names)})" if phase in names else clean(phase)
    left = Text.assemble((clean(now.stage.name), "bold"), ("  → ", "dim"), clean(now.stage.target))
    left.truncate(max(width - cell_len(place) - 2, 0), overflow="ellipsis")
    gap = max(width - left.cell_len - cell_len(place), 1)
    return Text.assemble(left, " " * gap, (place, "bold cyan"))


def _progress(now: Now, width: int) -> Text:
    share, end_s = now.stage.share(now.t), now.stage.end_s
    times = f"{figures.clock(int(now.t))} of {figures.clock(end_s)}"
    left = figures.clock(end_s - now.t)
    told = f"{left:>6} left" if now.t < end_s else "last answers"
    text = f" {share:>4.0%}  {times:>16}  {told:>12}"
    room = max(width - len(text), 0)
    done = round(share * room)
    return Text.assemble(("━" * done, "bold cyan"), ("━" * (room - done), "dim"), text)


def _lanes(now: Now, axis: TimeAxis) -> list[Text]:
    faults = list(by_name(now.stage.faults).items())[:_MOST_LANES]
    styles = {True: "bold red", False: "dim red"}
    return [lane(axis, *bars, style=styles[name in now.active_faults]) for name, bars in faults]


def _column(width: int) -> int:
    """Cells of a column of figures."""
    return min(max((width - _LABEL) // 4, _CELL[0]), _CELL[1])


def _rates(now: Now, width: int) -> list[_Row]:
    s = now.snapshot
    column = _column(width)
    styles = ("bold", "green", "yellow", "red")

    def row(label: str, cells: Sequence[str], shown: Sequence[bool] = (True,) * 4) -> Text:
        text = Text.assemble((label.ljust(_LABEL), "dim"))
        for cell, style, seen in zip(cells, styles, shown, strict=True):
            text.append(cell.rjust(column), style=style if seen else "dim")
        return text

    rates = (s.offered_per_s, s.ok_per_s, s.shed_per_s, s.errors_per_s)
    counts = (s.scheduled, s.ok, s.shed, s.errors)
    header = Text(
        "".ljust(_LABEL) + "".join(h.rjust(column) for h in ("offered", "ok", "shed", "errors")), "dim"
    )
    return [
        _Row(3, header),
        _Row(_ALWAYS, row("now", [figures.rate(r) for r in rates], [r > 0 for r in rates])),
        _Row(6, row("so far", [figures.count(n) for n in counts], [n > 0 for n in counts])),
    ]


def _latency(now: Now, width: int) -> Text:
    s = now.snapshot
    fields = (
        ("p50", figures.duration(s.p50_ms), 8),
        ("p99", figures.duration(s.p99_ms), 8),
        ("lag p99", figures.duration(s.lag_p99_ms), 8),
        ("in flight", figures.count(s.in_flight), 7),
        ("waiting", figures.count(s.waiting), 7),
    )
    text = Text.assemble(("latency".ljust(_LABEL), "dim"))
    for label, value, room in fields:
        cell = max(_column(width), len(label) + room + 3)
        if text.cell_len + cell > width:
            break
        text.append(f"  {label}", style="dim")
        text.append(value.rjust(cell - len(label) - 2), style="bold")
    return text


def _faults(now: Now) -> Text:
    text = Text.assemble(("faults".ljust(_LABEL), "dim"))
    faults = now.stage.faults
    active = [_latest(bars, now.t) for name, bars in by_name(faults).items() if name in now.active_faults]
    if active:
        told = (f"{clean(f.name)}, {figures.clock(f.end_s - now.t)} left" for f in active)
        return text.append(" · ".join(told), style="bold red")
    following = next((f for f in sorted(faults, key=lambda f: f.start_s) if f.start_s > now.t), None)
    if following is not None:
        return text.append(f"{clean(following.name)} in {figures.clock(following.start_s - now.t)}")
    return text.append("none any more" if faults else "none planned", style="dim")


def _latest(bars: Sequence[Bar], t: float) -> Bar:
    """Of the times that a fault comes, the one that has begun last."""
    return max((b for b in bars if b.start_s <= t), default=bars[0], key=lambda b: b.start_s)


def _slos(now: Now, width: int) -> list[Text]:
    """The SLOs in the profile's order; those that nothing is known of yet show a dot."""
    known = {s.text: s for s in now.slos}
    texts = max((cell_len(clean(text)) for text in now.stage.slos), default=0)
    return [_slo(text, known.get(text), min(texts + 2, width - _VALUE - 1), width) for text in now.stage.slos]


def _slo(wanted: str, slo: SloFigure | None, room: int, width: int) -> Text:
    """One SLO, its text in `room` cells, its value and, where the terminal is wide, its 95 % interval."""
    measured = slo is not None and slo.samples > 0
    symbol, style = _STATUS.get(slo.status, ("·", "dim")) if slo is not None and measured else ("·", "dim")
    text = Text.assemble((f"{symbol} ", style), (clean(wanted), "" if measured else "dim"))
    text.truncate(max(room, 0), overflow="ellipsis", pad=True)
    if slo is None or not measured:
        return text
    text.append(f" {slos.value(slo):>{_VALUE}}", style=style)
    interval = slos.interval(slo)
    if interval and text.cell_len + _INTERVAL <= width:
        text.append(f"   {interval}", style="dim")
    return text


def _alert(now: Now) -> str:
    s = now.snapshot
    if now.notice:
        return clean(now.notice)
    if s.workers_alive < s.workers:
        return (
            f"{s.workers - s.workers_alive} of {figures.plural(s.workers, 'worker')} lost: the run is invalid"
        )
    if s.local:
        return f"this machine ran out of {', '.join(clean(what) for what in s.local)}: the run is invalid"
    if s.waiting:
        return f"{figures.plural(s.waiting, 'arrival')} waiting for a connection (client.connections)"
    return ""


def _fit(line: Text, width: int) -> Text:
    line = line.copy()
    line.no_wrap, line.overflow, line.end = True, "crop", ""
    line.truncate(width, overflow="ellipsis")
    return line
