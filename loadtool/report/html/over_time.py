"""Charts on the time axis of the run: rates, percentiles, send lag, probes and retries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from loadtool.judge.validity import lag_bound_ms
from loadtool.measure.result import Probe
from loadtool.report import digest, figures, gauges
from loadtool.report.html.drawing import Drawing, Scale, Trace, line
from loadtool.report.html.story import Moment, Story

_FEW: Final = 150  # points on a curve that are marked one by one
_PROBE_DASHES: Final = ("solid", "dash", "dot", "dashdot")


def rates(story: Story) -> Drawing | None:
    """Offered, ok, shed and errors per second: what was served and what was not add up to the load."""
    moments = [m for m in story.moments if m.whole]
    if not moments:
        return None

    def curve(name: str, count: Callable[[Moment], int], colour: str, **more: Any) -> Trace:
        return _steps(moments, name, count, colour, **more)

    def area(name: str, count: Callable[[Moment], int], colour: str, pattern: str) -> Trace:
        fill = {"shape": pattern, "fgcolor": colour, "fillmode": "overlay", "size": 6, "solidity": 0.25}
        return curve(
            name, count, colour, width=1, stackgroup="arrivals", fillcolor=f"{colour}-fill", fillpattern=fill
        )

    traces = [
        area("ok", lambda m: m.slice.ok, "@ok", ""),
        area("shed", lambda m: m.slice.shed, "@shed", "/"),
        area("errors", lambda m: m.errors, "@errors", "x"),
        curve("offered", lambda m: m.slice.scheduled, "@ink", width=1.5),
    ]
    most = {
        "offered": story.peak(lambda s: s.scheduled),
        "ok": story.peak(lambda s: s.ok),
        "shed": story.peak(lambda s: s.shed),
        "errors": story.peak(lambda s: sum(s.errors.values())),
    }
    peaks = ", ".join(f"{name} {figures.rate(v)}" for name, v in most.items())
    axis = {"title": {"text": "arrivals per second"}, "rangemode": "tozero", "ticksuffix": "/s"}
    return Drawing(
        traces,
        {"yaxis": axis},
        f"Highest in any slice of {figures.number(story.result.slice_s)} s: {peaks}. Ok, shed and errors are"
        " stacked; together they are what was offered.",
    )


def _steps(
    moments: Sequence[Moment], name: str, count: Callable[[Moment], int], colour: str, **more: Any
) -> Trace:
    """A rate that is level within each slice, from the start of the first to the end of the last."""
    x = [moments[0].start_s, *(m.middle_s for m in moments), moments[-1].end_s]
    inner = [m.rate(count(m)) for m in moments]
    values = [inner[0], *inner, inner[-1]]
    trace = line(name, x, values, [figures.rate(v) for v in values], colour, **more)
    trace["line"]["shape"] = "hvh"
    return trace


def percentiles(story: Story) -> Drawing | None:
    """Quantiles of the response time, slice by slice; where failures took one out of reach it goes to ∞."""
    moments = story.moments
    curves = (
        ("p50", [m.quantile(m.slice.p50) for m in moments], "@p50", "solid", 2.0),
        ("p90", [m.p90 for m in moments], "@p90", "dot", 2.0),
        ("p99", [m.quantile(m.slice.p99) for m in moments], "@p99", "solid", 2.0),
        ("max answered", [_longest(m, story) for m in moments], "@muted", "dash", 1.0),
    )
    every = [v for _, values, *_ in curves for v in values]
    if all(v is None for v in every):
        return None
    scale = Scale.of(every)
    x = [m.middle_s for m in moments]
    traces = [
        _rising(name, x, values, scale, colour, dash, width)
        for name, values, colour, dash, width in curves
        if any(v is not None for v in values)
    ]
    return Drawing(traces, {"yaxis": scale.axis("response time")}, _worst(moments))


def _rising(
    name: str, x: list[float], values: list[float | None], scale: Scale, colour: str, dash: str, width: float
) -> Trace:
    texts = [figures.duration(v) for v in values]
    trace = line(name, x, map(scale.place, values), texts, colour, dash=dash, width=width)
    if len(x) <= _FEW:
        sizes = [7 if v is not None and math.isinf(v) else 3 for v in values]
        symbols = ["triangle-up" if size > 3 else "circle" for size in sizes]
        trace |= {"mode": "lines+markers", "marker": _marker(sizes, symbols, colour)}
    return trace


def _marker(sizes: list[int], symbols: list[str], colour: str) -> dict[str, Any]:
    return {"size": sizes, "symbol": symbols, "color": colour, "opacity": 1, "line": {"width": 0}}


def _longest(moment: Moment, story: Story) -> float | None:
    """The longest of a slice: a histogram knows it to 0.1 %, and it is never above the run's exact one."""
    ms, exact = moment.answered.max_ms, story.result.totals.latency_ms.max
    return min(ms, exact) if ms is not None and exact is not None else ms


def _worst(moments: Sequence[Moment]) -> str:
    known = [(v, m) for m in moments if (v := m.quantile(m.slice.p99)) is not None]
    if not known:
        return "No slice had an arrival whose response time counts."
    beyond = sum(math.isinf(v) for v, _ in known)
    parts = []
    if held := [(v, m.start_s) for v, m in known if math.isfinite(v)]:
        value, start = max(held)
        parts.append(
            f"The highest finite p99 of a slice was {figures.duration(value)}, at {figures.seconds(start)}."
        )
    if beyond:
        slices = f"{figures.count(beyond)} of {figures.plural(len(known), 'slice')}"
        parts.append(f"In {slices} too many arrivals failed for a p99: it is drawn as ∞.")
    return " ".join(parts)


def send_lag(story: Story) -> Drawing | None:
    """How late the generator itself was, beside what the profile allows."""
    values = [m.slice.lag_p99 for m in story.moments]
    if all(v is None for v in values):
        return None
    try:
        bound: float | None = lag_bound_ms(story.result)
    except ValueError:  # a profile that no loadtool wrote
        bound = None
    scale = Scale.of([*values, bound])
    x = [m.middle_s for m in story.moments]
    traces = [_rising("send lag p99", x, values, scale, "@p50", "solid", 2.0)]
    lag = story.result.generator.lag_ms
    summary = (
        f"Over the run but its warm-up, send lag was {figures.duration(lag.get('p50'))} at p50,"
        f" {figures.duration(lag.get('p99'))} at p99 and {figures.duration(lag.get('max'))} at most."
    )
    if bound is not None:
        text = figures.duration(bound)
        trace = line("allowed at p99", [0.0, story.end_s], [bound] * 2, [text] * 2, "@errors", dash="dash")
        traces.append({**trace, "hoverinfo": "skip", "hovertemplate": None})
        summary += f" The run is invalid if p99 in a phase exceeds {text}."
    return Drawing(traces, {"yaxis": scale.axis("send lag")}, summary, height=240)


def probes(story: Story) -> Drawing | None:
    """What probes past the load took: a fault shows in them for as long as it lasts."""
    told_of_elsewhere = set(gauges.names(story.result))
    asked = [p for p in story.result.probes if not p.after and p.name not in told_of_elsewhere]
    if not asked:
        return None
    scale = Scale.of([_told(p) for p in asked])
    traces: list[Trace] = []
    for i, name in enumerate(dict.fromkeys(p.name for p in asked)):
        mine = [p for p in asked if p.name == name]
        values = [_told(p) for p in mine]
        texts = [figures.duration(p.ms) if p.ok else f"failed: {p.detail}" for p in mine]
        colour, dash = f"@c{i % 8}", _PROBE_DASHES[i // 8 % len(_PROBE_DASHES)]
        trace = line(name, [p.t for p in mine], map(scale.place, values), texts, colour, dash=dash)
        symbols = ["circle" if p.ok else "x" for p in mine]
        sizes = [4 if p.ok else 8 for p in mine]
        trace |= {"mode": "lines+markers", "marker": _marker(sizes, symbols, colour)}
        traces.append(trace)
    summary = "; ".join(_spread(row) for row in digest.probes(story.result) if row.n)
    return Drawing(traces, {"yaxis": scale.axis("probe took")}, f"{summary}.", height=240)


def gauge_values(story: Story) -> Drawing | None:
    """What the service told of itself, such as the length of its queue."""
    traces: list[Trace] = []
    for i, name in enumerate(gauges.names(story.result)):
        mine = gauges.series(story.result, name)
        if not any(p.value is not None for p in mine):
            continue
        texts = [gauges.value(p.value) if p.value is not None else f"failed: {p.detail}" for p in mine]
        colour, dash = f"@c{i % 8}", _PROBE_DASHES[i // 8 % len(_PROBE_DASHES)]
        traces.append(line(name, [p.t for p in mine], [p.value for p in mine], texts, colour, dash=dash))
    if not traces:
        return None
    told = [
        f"{g.name}: {gauges.value(g.least)} to {gauges.value(g.most)} (at {figures.seconds(g.most_at_s)}),"
        f" {gauges.value(g.afterwards)} afterwards"
        for g in gauges.rows(story.result)
    ]
    axis = {"title": {"text": "value"}, "rangemode": "tozero"}
    return Drawing(traces, {"yaxis": axis}, f"{'; '.join(told)}.", height=240)


def _spread(row: digest.ProbeRow) -> str:
    when = "outside faults" if row.fault is None else f"during {row.fault}"
    failed = f"{figures.count(row.failed)} of {figures.count(row.n)} failed"
    return f"{row.name} {when}: median {figures.duration(row.median)}, {failed}"


def _told(probe: Probe) -> float | None:
    return probe.ms if probe.ok else math.inf


def retries(story: Story) -> Drawing | None:
    """Attempts beside the arrivals that they are for: what clients that try again add to the load."""
    totals = story.result.totals
    moments = [m for m in story.moments if m.whole]
    if not moments or totals.attempts <= totals.scheduled:
        return None

    arrivals = _steps(moments, "arrivals", lambda m: m.slice.scheduled, "@ink")
    attempts = _steps(
        moments, "attempts", lambda m: m.slice.attempts, "@retries", fill="tonexty", fillcolor="@retries-fill"
    )
    for i, (tried, due) in enumerate(zip(attempts["y"], arrivals["y"], strict=True)):
        if due:
            attempts["customdata"][i] += f", {figures.ratio(tried / due)}"
    traces = [arrivals, attempts]
    ratio = figures.ratio(totals.attempts / max(totals.scheduled, 1))
    axis = {"title": {"text": "per second"}, "rangemode": "tozero", "ticksuffix": "/s"}
    summary = (
        f"{figures.plural(totals.attempts, 'attempt')} for {figures.plural(totals.scheduled, 'arrival')}:"
        f" {ratio}. What is filled are the retries. An attempt counts in the slice in which its arrival was"
        f" due; the most in one slice was {figures.rate(story.peak(lambda s: s.attempts))}."
    )
    return Drawing(traces, {"yaxis": axis}, summary, height=240)
