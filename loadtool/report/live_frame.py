"""One picture of the live view: exactly as many lines as the terminal has, each no wider than it.

Lines keep their places while the run lasts: what may be absent has its line all the same, figures stand
right-aligned in columns of fixed width, and only the pictures grow with the terminal. A wide one shows the
SLOs beside the figures; in a small one the least important lines go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadtool.report import figures
from loadtool.report.axis import TimeAxis, by_name, lane, ruler, sections
from loadtool.report.live_figures import Grid, clients, objectives, sending, states, table
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.stage import Bar
from loadtool.report.text import clean

HINT: Final = "Ctrl-C ends the run early, with its full report"

_WIDE: Final = 124  # columns from which the SLOs stand beside the figures
_BETWEEN: Final = 4  # cells between the two
_TALL: Final = 30  # lines from which each phase has its figures
_LEAST_PICTURE: Final = {24: 7, 0: 4}  # lines, from so many of the terminal on
_MOST_SLOS: Final = 3  # where they stand beside the figures they get one line in so many
_ALWAYS: Final = 8  # rows worth more than the picture
_FIRST_SLOS: Final = 5  # that are worth more than the labels of the time axis
_MOST_LANES: Final = 3


@dataclass(frozen=True, slots=True)
class _Row:
    """A line; those with the least `keep` go first. `above`: over the pictures."""

    keep: int
    text: Text
    above: bool = False
    slo: bool = False


def frame(now: Now, width: int, height: int, picture: Pictures) -> list[Text]:
    """The lines of the whole view; `picture` draws, and remembers, its curves."""
    least = next(lines for tall, lines in _LEAST_PICTURE.items() if height >= tall)
    shown = len(now.stage.slos)
    rows = _rows(now, width, height, shown)
    while len(rows) > height - least:
        worth = min(row.keep for row in rows)
        if worth >= _ALWAYS and len(rows) <= height:
            break
        gone = max(i for i, row in enumerate(rows) if row.keep == worth)
        if rows[gone].slo:  # the last line of those that stay tells of the rest
            shown -= 1
            kept = {row.keep for row in rows if row.slo}
            del rows[gone]
            told = objectives(now, width, shown)
            places = [i for i, row in enumerate(rows) if row.slo]
            for i, text in zip(places, told, strict=True):
                rows[i] = _Row(max(kept) if i == places[-1] else rows[i].keep, text, slo=True)
        else:
            del rows[gone]
    above = sum(row.above for row in rows)
    drawn = picture.lines(now, width, height - len(rows))
    lines = [row.text for row in rows]
    return [_fit(line, width) for line in (*lines[:above], *drawn, *lines[above:])]


def _rows(now: Now, width: int, height: int, slos: int) -> list[_Row]:
    axis = TimeAxis(now.stage.end_s, width)
    labels = ruler(axis).split("\n")
    alert = _alert(now)
    beside = width >= _WIDE
    return [
        _Row(10, _title(now, width), above=True),
        _Row(9, _progress(now, width), above=True),
        _Row(7, _story(now, width), above=True),
        _Row(1, labels[0]),
        _Row(2, labels[1]),
        _Row(5, sections(axis, now.stage.phases, here=now.t)),
        *(_Row(4, text) for text in _lanes(now, axis)),
        _Row(0, Text()),
        *(_beside(now, width, height) if beside else _figures(now, width, height)),
        *([] if beside else _objectives(now, width, slos)),
        _Row(_ALWAYS if alert else 1, Text(alert, style="bold yellow") if alert else Text(HINT, style="dim")),
    ]


def _figures(now: Now, width: int, height: int) -> list[_Row]:
    by_phase = height >= _TALL + len(now.stage.phases)
    names = [p.name for p in now.stage.phases] if by_phase else ()
    grid = Grid(width, names)
    room = grid.width if width >= _WIDE else width  # what stands beside needs the rest
    first, *rest = table(now, grid, by_phase=by_phase)
    return [
        _Row(6, grid.header()),
        _Row(_ALWAYS, first),
        *(_Row(3, text) for text in rest[:-1]),
        _Row(6, rest[-1]),
        *([_Row(6, clients(now, grid, room))] if now.stage.clients else []),
        _Row(6, sending(now, grid, room)),
        _Row(0, Text()),
    ]


def _objectives(now: Now, width: int, n: int) -> list[_Row]:
    lines = objectives(now, width, n)
    return [_Row(7 if i < _FIRST_SLOS else 1, text, slo=True) for i, text in enumerate(lines)]


def _beside(now: Now, width: int, height: int) -> list[_Row]:
    """The figures on the left, the SLOs on the right."""
    left = [row for row in _figures(now, width, height) if row.keep]
    room = left[0].text.cell_len + _BETWEEN
    most = max(len(left) - 1, height // _MOST_SLOS)
    heading = Text.assemble(("SLOs so far   ", "dim"), states(now)) if now.stage.slos else Text()
    right = [heading, *objectives(now, width - room, most)]
    rows = []
    for i in range(max(len(left), len(right))):
        text = left[i].text.copy() if i < len(left) else Text()
        if i < len(right):
            text.truncate(room, pad=True)
            text = Text.assemble(text, right[i])
        rows.append(_Row(left[i].keep if i < len(left) else 2, text))
    return [*rows, _Row(0, Text())]


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
    times = f"{figures.clock(int(min(now.t, end_s)))} of {figures.clock(end_s)}"
    left = figures.clock(end_s - now.t)
    told = f"{left:>6} left" if now.t < end_s else "last answers"
    text = f" {share:>4.0%}  {times:>16}  {told:>12}"
    room = max(width - len(text), 0)
    done = round(share * room)
    return Text.assemble(("━" * done, "bold cyan"), ("─" * (room - done), "dim"), text)


def _story(now: Now, width: int) -> Text:
    """What goes on, as in `spike at 500/s, 9s left, then recovery · slow-store in place, 3s left`.

    Where there is no room for all of it, what comes next is left out, and then what a fault does not need.
    """
    here, following, faults = _phase_now(now), _phase_next(now), _told_of_faults(now)
    between = Text(" · ", style="dim") if faults.plain else Text()
    long = Text.assemble(here, following, between, faults)
    return long if long.cell_len <= width else Text.assemble(here, between, faults)


def _phase_now(now: Now) -> Text:
    phase = next((p for p in now.stage.phases if now.t < p.end_s), None)
    if phase is None:
        on = next((bar for bar in now.stage.beyond if now.t < bar.end_s), None)
        if on is not None:
            return Text.assemble((clean(on.name), "bold"), " goes on while the last answers are awaited")
        return Text(f"all of the load is sent, {figures.plural(now.snapshot.in_flight, 'arrival')} under way")
    text = Text.assemble((clean(phase.name), "bold"))
    if now.stage.curve:
        # As wide as the peak, as the longest time: the words behind stay where they are.
        peak = len(figures.rate(round(max(rate for _, rate in now.stage.curve))))
        text.append(f" at {figures.rate(round(now.stage.rate(now.t))):>{peak}}")
    longest = len(figures.clock(phase.end_s - phase.start_s))
    return text.append(f", {figures.clock(phase.end_s - now.t):>{longest}} left")


def _phase_next(now: Now) -> Text:
    coming = [p for p in now.stage.phases if now.t < p.end_s][1:]
    return Text(f", then {clean(coming[0].name)}") if coming else Text()


def _told_of_faults(now: Now) -> Text:
    faults = now.stage.faults
    active = [_latest(bars, now.t) for name, bars in by_name(faults).items() if name in now.active_faults]
    if active:
        told = [f"{clean(f.name)} in place, {_left(f.end_s - now.t)}" for f in active]
        return Text.assemble((" · ".join(told), "bold red"))
    following = next((f for f in sorted(faults, key=lambda f: f.start_s) if f.start_s > now.t), None)
    if following is not None:
        return Text(f"{clean(following.name)} comes in {figures.clock(following.start_s - now.t)}")
    return Text.assemble(("no fault any more" if faults else "", "dim"))


def _left(s: float) -> str:
    return f"{figures.clock(s)} left" if s > 0 else "on its way out"


def _latest(bars: Sequence[Bar], t: float) -> Bar:
    """Of the times that a fault comes, the one that has begun last."""
    return max((b for b in bars if b.start_s <= t), default=bars[0], key=lambda b: b.start_s)


def _lanes(now: Now, axis: TimeAxis) -> list[Text]:
    """A line for each fault; if there are many, the last one is for the rest."""
    faults = [(bars, name in now.active_faults) for name, bars in by_name(now.stage.faults).items()]
    if len(faults) > _MOST_LANES:
        rest = faults[_MOST_LANES - 1 :]
        name = figures.plural(len(rest), "more fault")
        bars = [Bar(name, b.start_s, b.end_s, b.ramp_s) for several, _ in rest for b in several]
        faults = [*faults[: _MOST_LANES - 1], (bars, any(active for _, active in rest))]
    return [lane(axis, *bars, style="bold red" if active else "dim red") for bars, active in faults]


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
