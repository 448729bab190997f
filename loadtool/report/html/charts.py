"""The charts of the page, in its order: a new one is one function and one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtool.report.html import distribution, over_time
from loadtool.report.html.drawing import Drawing
from loadtool.report.html.story import Story


@dataclass(frozen=True, slots=True)
class Chart:
    """`draw` gives None if the result holds nothing of it; `without` says so, or the chart is left out."""

    key: str
    title: str
    draw: Callable[[Story], Drawing | None]
    about: str
    without: str = ""


CHARTS: Final = (
    Chart(
        "rates",
        "Load and what became of it",
        over_time.rates,
        "Arrivals per second, counted when they were due.",
        "No slice was measured.",
    ),
    Chart(
        "percentiles",
        "Response time",
        over_time.percentiles,
        "Counted from when each request was due. A failed one counts as infinite, a shed one not at all.",
        "Nothing was answered.",
    ),
    Chart(
        "heat",
        "Every response time",
        distribution.heat_map,
        "A column is a slice of time, a row a band of response times; the stronger the colour, the more "
        "answers.",
        "This result holds no distributions.",
    ),
    Chart(
        "curve",
        "Percentiles by phase",
        distribution.percentile_curve,
        "Every nine gets the same room. Where response time leaves service time behind, requests waited.",
        "This result holds no distributions.",
    ),
    Chart(
        "lag",
        "Send lag",
        over_time.send_lag,
        "How late the generator itself was. It has to stay low for the rest to mean anything.",
        "No arrival was sent.",
    ),
    Chart("probes", "Probes", over_time.probes, "Asked past the load, on a connection of their own."),
    Chart("gauges", "Gauges", over_time.gauge_values, "What the service told of itself beside the load."),
    Chart(
        "retries",
        "Retries",
        over_time.retries,
        "What clients that try again add to the load.",
        "No arrival took more than one attempt.",
    ),
)
