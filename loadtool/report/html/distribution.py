"""Charts of whole distributions: the heat map over time, and the percentile curve of each phase."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from loadtool.measure.books import in_ms
from loadtool.measure.groups import Groups, pooled
from loadtool.measure.histogram import Histogram, highest_equivalent
from loadtool.measure.outcome import H_SERVICE
from loadtool.measure.population import from_result
from loadtool.report import figures
from loadtool.report.html.drawing import Drawing, Scale, Trace, line, log_axis, plain, rounded
from loadtool.report.html.story import Moment, Story

MOST_ROWS: Final = 60
_PER_DECADE: Final = (20, 16, 12, 10, 8, 6, 5, 4, 3, 2, 1)
_NINES: Final = 5  # the curve ends at 99.999 %
_STEPS: Final = 16  # points of the curve from one nine to the next


def edges(low: float, high: float) -> list[float]:
    """Edges of at most MOST_ROWS rows, equally wide on a log axis, that cover [low, high]."""
    for per_decade in _PER_DECADE:
        first = math.floor(math.log10(low) * per_decade + 1e-9)
        last = math.floor(math.log10(high) * per_decade + 1e-9) + 1
        if last - first <= MOST_ROWS:
            break
    return [10.0 ** (k / per_decade) for k in range(first, last + 1)]


def column(answered: Histogram, rows: Sequence[float]) -> list[int]:
    """How many of a slice's answers fall into each row; edges in ms, outer rows hold what lies beyond."""
    counts = [0] * (len(rows) - 1)
    for us, n in answered.counts.items():
        middle_ms = (us + highest_equivalent(us)) / 2000
        place = bisect_right(rows, middle_ms) - 1
        counts[min(max(place, 0), len(counts) - 1)] += n
    return counts


def heat_map(story: Story) -> Drawing | None:
    """Every answer of the run: a column a slice, a row a band of response times, the darker the more."""
    moments = [m for m in story.moments if m.end_s > m.start_s]
    values = [us for m in moments for us in m.answered.counts]
    if not values:
        return None
    low, high = min(values) / 1000, highest_equivalent(max(values)) / 1000
    rows = edges(low, high)
    columns = [column(m.answered, rows) for m in moments]
    most = max(n for c in columns for n in c)
    x = [rounded(m.start_s) for m in moments] + [rounded(moments[-1].end_s)]
    bands = [figures.between(figures.duration(a), figures.duration(b)) for a, b in pairwise(rows)]
    traces = [_cells("answers", x, rows, columns, bands, moments, most, "@heat")]
    ceiling = None
    lost = sum(m.unanswered for m in moments)
    if lost:
        ceiling = rows[-1] * 1.5
        top = [rows[-1] * 1.25, rows[-1] * 1.8]
        none = [[m.unanswered] for m in moments]
        traces.append(_cells("no answer", x, top, none, ["no answer"], moments, most, "@lost"))
    axis = log_axis(rows[0], rows[-1], title="response time", ceiling=ceiling)
    axis["range"] = [math.log10(rows[0]), math.log10(rows[-1] * (1.8 if lost else 1.0))]
    if lost:
        axis["ticktext"][-1] = "none"
    exact = story.result.totals.latency_ms.max
    longest = figures.duration(high if exact is None else min(high, exact))
    summary = (
        f"Answers took from {figures.duration(low)} to {longest}."
        f" The fullest cell holds {figures.plural(most, 'answer')}."
    )
    if lost:
        summary += f" {figures.plural(lost, 'arrival')} got no answer at all: the row at the top."
    return Drawing(traces, {"yaxis": axis}, summary, height=380, hover="closest")


def _cells(
    name: str, x: list[float | None], y: Sequence[float], columns: list[list[int]], bands: list[str],
    moments: Sequence[Moment], most: int, colour: str,
) -> Trace:  # fmt: skip
    """One heat map of counts, rows from the bottom up.

    The page colours them by their logarithm, since a spike has a hundred times the answers of a quiet second.
    """
    return {
        "type": "heatmap",
        "name": plain(name),
        "x": x,
        "y": [rounded(v) for v in y],
        "customdata": [list(row) for row in zip(*columns, strict=True)],
        "meta": {"rows": bands, "columns": [m.when for m in moments]},
        "zmin": 0,
        "zmax": max(math.log10(most), 1.0),
        "colorscale": [[i / 4, f"{colour}{i}"] for i in range(5)],
        "showscale": colour == "@heat",
        "colorbar": _colour_bar(most),
        "hoverongaps": False,
    }


def _colour_bar(most: int) -> dict[str, Any]:
    marks = [10**k for k in range(max(math.ceil(math.log10(max(most, 10))), 1) + 1) if 10**k <= max(most, 10)]
    return {
        "orientation": "h",
        "title": {"text": "answers in a cell", "side": "top"},
        "tickvals": [math.log10(m) for m in marks],
        "ticktext": [figures.count(m) for m in marks],
    }


def quantiles() -> list[float]:
    """Where the curve is worked out: 0, then _STEPS a nine, up to 99.999 %."""
    return [1 - 10 ** (-k / _STEPS) for k in range(_NINES * _STEPS + 1)]


def percentile_curve(story: Story) -> Drawing | None:
    """Response time beside service time for each phase, on an axis that gives every nine the same room."""
    groups = Groups.of(from_result(story.result))
    grid = quantiles()
    curves: list[tuple[str, str, str, list[tuple[float, float | None]]]] = []
    for i, phase in enumerate(story.result.phases):
        population = pooled(groups.in_phases(phase.name))
        judged = population.finished - population.shed
        service = population.histogram(H_SERVICE)
        response = [(q, population.latency_ms(q)) for q in _within(grid, judged)]
        served = [(q, in_ms(service.quantile(q))) for q in _within(grid, service.total)]
        colour = f"@c{i % 8}"
        curves += [(f"{phase.name}: response", colour, "solid", response)] * bool(judged)
        curves += [(f"{phase.name}: service", colour, "dot", served)] * bool(service.total)
    if not curves:
        return None
    scale = Scale.of([v for *_, points in curves for _, v in points])
    traces = []
    for name, colour, dash, points in curves:
        texts = [figures.duration(v) for _, v in points]
        x = [1 / (1 - q) for q, _ in points]
        traces.append(line(name, x, [scale.place(v) for _, v in points], texts, colour, dash=dash))
    marks = [0.0, 0.5, *(1 - 10.0**-k for k in range(1, _NINES + 1))]
    axis = {
        "type": "log",
        "title": {"text": "percentile"},
        "range": [0, _NINES + 0.04],
        "tickvals": [1 / (1 - q) for q in marks],
        "ticktext": [_percent(q) for q in marks],
    }
    return Drawing(
        traces,
        {"xaxis": axis, "yaxis": scale.axis("time")},
        _gaps(story),
        on_time=False,
        height=420,
    )


def _within(grid: Sequence[float], samples: int) -> list[float]:
    """The quantiles that so many samples can tell: the last is the one that only the longest lies beyond."""
    return [q for q in grid if samples * (1 - q) >= 1 - 1e-9]


def _percent(q: float) -> str:
    return f"{q * 100:.{max(round(-math.log10(max(1 - q, 1e-9))) - 2, 0)}f}%"


def _gaps(story: Story) -> str:
    parts = []
    for p in story.result.phases:
        if p.scheduled > p.shed:
            response = figures.duration(p.latency_ms.p99, failed=True)
            parts.append(f"{p.name} {response} against {figures.duration(p.service_ms.p99)}")
    by_phase = f", p99 by phase: {'; '.join(parts)}" if parts else ""
    return (
        f"Response time (from when a request was due) against service time (from when it was sent){by_phase}."
        f" A curve ends where there are no more samples to tell."
    )
