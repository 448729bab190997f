"""The curves of the live view: the plan with what became of it so far, and response times below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from loadtool.report import figures
from loadtool.report.axis import TimeAxis, held, spark
from loadtool.report.chart import Curve, nice_top, panel, upright
from loadtool.report.now import Now
from loadtool.report.pictures import edges, legend, outcomes

_FOR_PANEL: Final = 16  # lines from which response times get a panel of their own
_FOR_LINES: Final = 6  # and two lines of blocks, in less
_LEAST: Final = 3
_HEADROOM: Final = 1.1
_CURSOR: Final = "bold"
_UNITS: Final = ((1000.0, "s"), (1.0, "ms"), (0.001, "µs"))  # in ms


class Pictures:
    """Draws when there is a new slice or a new size, not at every frame: then only the cursor moves."""

    def __init__(self) -> None:
        self._key: object = None
        self._drawn = Text()

    def lines(self, now: Now, width: int, height: int) -> list[Text]:
        """Exactly `height` lines."""
        if height < _LEAST:
            return [Text() for _ in range(height)]
        axis = TimeAxis(now.stage.end_s, width)
        key = (now.stage, width, height, len(now.snapshot.recent))
        if key != self._key:
            self._key, self._drawn = key, Text("\n").join(self._draw(now, axis, height))
        drawn = self._drawn
        if now.t < now.stage.end_s:
            drawn = upright(drawn, axis.column(now.t), "┃", style=_CURSOR, over=True)
        return list(drawn.split("\n", allow_blank=True))

    def _draw(self, now: Now, axis: TimeAxis, height: int) -> list[Text]:
        if height < _FOR_LINES:
            return [_rate(now, axis, height)]
        p50, p99 = _quantiles(now, axis)
        if height < _FOR_PANEL:
            return [_rate(now, axis, height - 2), _line(axis, "p99", p99), _line(axis, "p50", p50)]
        latency = height // 3
        curves = [Curve(p50, "cyan"), Curve(p99, "magenta")]
        marks = edges(axis, now.stage.faults)
        return [
            _rate(now, axis, height - 1 - latency),
            legend(("─ p99", "magenta"), ("─ p50", "cyan"), ("of response time", "dim")),
            panel(axis, curves, height=latency, label=figures.duration, marks=marks),
        ]


def _rate(now: Now, axis: TimeAxis, height: int) -> Text:
    step, recent = _step(now), now.snapshot.recent
    planned = axis.spread(held(now.stage.curve, now.stage.end_s), peak=False)
    ok = axis.spread(((p.t, p.t + step, p.ok) for p in recent), peak=False)
    shed = axis.spread(((p.t, p.t + step, p.shed) for p in recent), peak=False)
    errors = axis.spread(((p.t, p.t + step, p.errors) for p in recent), peak=False)
    # Answers after a stall come faster than planned: room for them keeps the axis as it is.
    room = _HEADROOM * max((rate for _, rate in now.stage.curve), default=0.0)
    return panel(
        axis,
        [Curve(planned)],
        areas=outcomes(ok, shed, errors),
        height=height,
        label=figures.rate,
        marks=edges(axis, now.stage.faults),
        at_least=room,
    )


def _quantiles(now: Now, axis: TimeAxis) -> tuple[list[float | None], list[float | None]]:
    """p50 and p99 in ms, one a column."""
    step, recent = _step(now), now.snapshot.recent
    return (
        axis.spread(((p.t, p.t + step, p.p50) for p in recent), peak=True),
        axis.spread(((p.t, p.t + step, p.p99) for p in recent), peak=True),
    )


def _line(axis: TimeAxis, name: str, values: Sequence[float | None]) -> Text:
    """A quantile as a line of blocks, with what its highest block stands for: `p99≤800ms`."""
    top = nice_top(max((v for v in values if v is not None and not math.isinf(v)), default=0.0))
    label = f"{name}≤{_brief(top)}" if top else name
    return spark(axis, label, values, top=top, style={"p99": "magenta"}.get(name, "cyan"))


def _brief(top: float) -> str:
    """The end of an axis, given in ms, without digits that say nothing: its unit must fit in the gutter."""
    size, unit = next((row for row in _UNITS if top >= row[0] * (1 - 1e-9)), _UNITS[-1])
    return f"{top / size:g}{unit}"


def _step(now: Now) -> float:
    """Length of a slice in s."""
    recent = now.snapshot.recent
    return recent[1].t - recent[0].t if len(recent) > 1 else 1.0
