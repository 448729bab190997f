"""The curves of the live view: the plan with what became of it so far, and response times below."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from loadtool.report import figures
from loadtool.report.axis import TimeAxis, held
from loadtool.report.chart import Curve, panel, upright
from loadtool.report.now import Now
from loadtool.report.pictures import legend

_FOR_TWO: Final = 15  # lines from which response times get a panel of their own
_FOR_LEGEND: Final = 6
_LEAST: Final = 3
_HEADROOM: Final = 1.2


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
            drawn = upright(drawn, axis.column(now.t), "┃", style="bold yellow", over=True)
        return list(drawn.split("\n", allow_blank=True))

    def _draw(self, now: Now, axis: TimeAxis, height: int) -> list[Text]:
        if height < _FOR_LEGEND:
            return [_rate(now, axis, height)]
        rate_legend = legend(("─ planned", ""), ("█ ok", "green"))
        if height < _FOR_TWO:
            return [rate_legend, _rate(now, axis, height - 1)]
        latency = (height - 2) * 2 // 5
        return [
            rate_legend,
            _rate(now, axis, height - 2 - latency),
            legend(("─ p99", "magenta"), ("─ p50", "cyan"), ("of response time", "dim")),
            _latency(now, axis, latency),
        ]


def _rate(now: Now, axis: TimeAxis, height: int) -> Text:
    planned = axis.spread(held(now.stage.curve, now.stage.end_s), peak=False)
    ok = axis.spread(((p.t, p.t + _step(now), p.ok) for p in now.snapshot.recent), peak=False)
    # Answers after a stall come faster than planned: room for them keeps the axis as it is.
    room = _HEADROOM * max((rate for _, rate in now.stage.curve), default=0.0)
    curves = [Curve(planned), Curve(ok, "green", True)]
    return panel(axis, curves, height=height, label=figures.rate, at_least=room)


def _latency(now: Now, axis: TimeAxis, height: int) -> Text:
    recent, step = now.snapshot.recent, _step(now)
    p50 = axis.spread(((p.t, p.t + step, p.p50) for p in recent), peak=True)
    p99 = axis.spread(((p.t, p.t + step, p.p99) for p in recent), peak=True)
    return panel(axis, [Curve(p50, "cyan"), Curve(p99, "magenta")], height=height, label=figures.duration)


def _step(now: Now) -> float:
    """Length of a slice in s."""
    recent = now.snapshot.recent
    return recent[1].t - recent[0].t if len(recent) > 1 else 1.0
