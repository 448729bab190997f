"""The pictures of the final report: rates and response times over time, and the probes on the same axis."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from loadtool.measure.result import Probe, Result, Slice
from loadtool.report import digest, figures, gauges
from loadtool.report.area import Area
from loadtool.report.axis import GUTTER, TimeAxis, lanes, ruler, sections, spark
from loadtool.report.chart import FAULT_STYLE, Curve, panel
from loadtool.report.slice_rates import rate_of, reached, seconds_of
from loadtool.report.stage import Bar
from loadtool.report.text import clean

RATE_HEIGHT: Final = 8
LATENCY_HEIGHT: Final = 6
SHED_GLYPH: Final = "▒"
ERROR_GLYPH: Final = "×"


def timeline(result: Result, width: int) -> list[RenderableType]:
    """Offered and ok rate, sheds and errors, p50 and p99, with phases and faults on the same axis.

    Empty if there is no series.
    """
    if not result.series:
        return []
    axis = TimeAxis(_end_s(result), width)
    faults = _fault_bars(result)
    marks = edges(axis, faults)

    def spread(value: Callable[[Slice], float | None], *, peak: bool) -> list[float | None]:
        return axis.spread(((s.t, s.t + seconds_of(s, result), value(s)) for s in result.series), peak=peak)

    def rate(count: Callable[[Slice], int], *, peak: bool = False) -> list[float | None]:
        return spread(lambda s: rate_of(count(s), s, result), peak=peak)

    offered = rate(lambda s: s.scheduled)
    ok = rate(lambda s: s.ok)
    shed = rate(lambda s: s.shed, peak=True)
    errors = rate(lambda s: sum(s.errors.values()), peak=True)
    parts: list[RenderableType] = [
        legend(
            ("─ offered", ""),
            ("█ ok", "green"),
            _peak(f"{SHED_GLYPH} shed", shed, "yellow"),
            _peak(f"{ERROR_GLYPH} errors", errors, "red"),
        ),
        panel(
            axis,
            [Curve(offered)],
            areas=outcomes(ok, rate(lambda s: s.shed), rate(lambda s: sum(s.errors.values()))),
            height=RATE_HEIGHT,
            label=figures.rate,
            marks=marks,
        ),
    ]
    for label, values, style in (("shed", shed, "yellow"), ("errors", errors, "red")):
        if top := _top(values):
            parts.append(spark(axis, label, values, top=top, style=style))
    p50 = spread(lambda s: reached(s, s.p50), peak=True)
    p99 = spread(lambda s: reached(s, s.p99), peak=True)
    latency = panel(
        axis,
        [Curve(p50, "cyan"), Curve(p99, "magenta")],
        height=LATENCY_HEIGHT,
        label=figures.duration,
        marks=marks,
    )
    parts += [
        legend(("─ p99", "magenta"), ("─ p50", "cyan"), ("of response time", "dim")),
        latency,
        ruler(axis),
    ]
    parts.append(sections(axis, [Bar(p.name, p.start_s, p.end_s) for p in result.phases]))
    return parts + lanes(axis, faults, style=FAULT_STYLE)


def outcomes(
    ok: Sequence[float | None], shed: Sequence[float | None], errors: Sequence[float | None]
) -> list[Area]:
    """What became of the arrivals, one upon the other; told apart without colours, too."""
    return [Area(ok, "green"), Area(shed, "yellow", SHED_GLYPH), Area(errors, "red", ERROR_GLYPH)]


def probe_pictures(result: Result, width: int) -> list[RenderableType]:
    """One line of blocks a probe, over lanes of the faults: what rose inside a window, and only there."""
    told_of_elsewhere = set(gauges.names(result))
    probes = [p for p in result.probes if not p.after and p.name not in told_of_elsewhere]
    return _pictures(result, probes, lambda p: p.ms if p.ok else math.inf, width)


def gauge_pictures(result: Result, width: int) -> list[RenderableType]:
    """One line of blocks a gauge, the lanes of the faults below: what grew while the load did."""
    read = [p for name in gauges.names(result) for p in gauges.series(result, name)]
    return _pictures(result, read, lambda p: p.value, width)


def _pictures(
    result: Result, probes: Sequence[Probe], of: Callable[[Probe], float | None], width: int
) -> list[RenderableType]:
    if not probes:
        return []
    axis = TimeAxis(max(_end_s(result), max(p.t for p in probes)), width)
    parts: list[RenderableType] = []
    for name in dict.fromkeys(p.name for p in probes):
        mine = [p for p in probes if p.name == name]
        values = axis.spread(_stretches(mine, of), peak=True)
        parts.append(spark(axis, name, values, top=_top(values), style="cyan"))
    return parts + lanes(axis, _fault_bars(result), style=FAULT_STYLE)


def edges(axis: TimeAxis, bars: Sequence[Bar]) -> list[int]:
    """Columns in which something begins or ends, for marks across a panel."""
    return sorted(
        {c for bar in bars for c in (axis.span(bar).start, axis.span(bar).stop) if c < axis.columns}
    )


def legend(*entries: tuple[str, str]) -> Text:
    """What the curves are, above a panel."""
    text = Text(" " * GUTTER, no_wrap=True, overflow="ellipsis")
    for label, style in entries:
        if label:
            text.append(f"{label}   ", style=style or "bold")
    return text


def _peak(label: str, values: Sequence[float | None], style: str) -> tuple[str, str]:
    top = _top(values)
    return (f"{label}, up to {figures.rate(top)}", style) if top else ("", "")


def _top(values: Sequence[float | None]) -> float:
    return max((v for v in values if v is not None and not math.isinf(v)), default=0.0)


def _end_s(result: Result) -> float:
    ends = (s.t + seconds_of(s, result) for s in result.series[-1:])
    return max([*(p.end_s for p in result.phases), *ends], default=0.0)


def _fault_bars(result: Result) -> list[Bar]:
    windows = ((f, digest.window(f, result.elapsed_s)) for f in result.faults)
    return [Bar(clean(f.name), *w) for f, w in windows if w is not None]


def _stretches(
    probes: Sequence[Probe], of: Callable[[Probe], float | None]
) -> list[tuple[float, float, float | None]]:
    """Each probe stands for the time to the next one."""
    gaps = [b.t - a.t for a, b in pairwise(probes)]
    usual = statistics.median(gaps) if gaps else 0.0
    return [(p.t, p.t + usual, of(p)) for p in probes]
