"""A run that lasts as Prometheus sees it: its last snapshot, in OpenMetrics 1.0 or the older text."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics

import loadtool
from loadtool.measure.books import Books
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import ERROR_KINDS, H_LAG, H_OK, OUTCOMES
from loadtool.measure.snapshot import PhaseNow, Snapshot
from loadtool.report.stage import Stage

OPENMETRICS: Final = "application/openmetrics-text"
RESPONSE_BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
LAG_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a run; without a stage its load has not begun."""

    stage: Stage | None = None
    now: Snapshot | None = None
    active_faults: frozenset[str] = frozenset()


def render(state: State, accept: str) -> tuple[str, bytes]:
    """Content type and text for a client that accepts this: OpenMetrics if it is named, else text 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state))
    if wants_openmetrics(accept):
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call] # theirs has none
        return openmetrics.CONTENT_TYPE_LATEST, text
    return exposition.CONTENT_TYPE_PLAIN_0_0_4, exposition.generate_latest(registry)


def wants_openmetrics(accept: str) -> bool:
    """Whether an Accept header names OpenMetrics, and does not refuse it with q=0."""
    for offered in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in offered.split(";"))
        if kind == OPENMETRICS:
            weights = [p.removeprefix("q=").strip() for p in parameters if p.startswith("q=")]
            return not any(weight in ("0", "0.0", "0.00", "0.000") for weight in weights)
    return False


class _Collector:
    """The metrics of one state. Everything is counted since the run's start, by the phase of due."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        stage, now = self._state.stage, self._state.now
        info = {"version": loadtool.__version__}
        if stage is not None:
            info |= {"profile": stage.name, "target": stage.target}
        yield InfoMetricFamily("loadtool", "The run and what it loads.", info)
        if stage is None or now is None:
            return
        yield from _counters(now.phases)
        yield from _histograms(now.phases)
        yield from _gauges(now)
        yield from _whereabouts(stage, now, self._state.active_faults)


def _books(phase: PhaseNow) -> Books:
    return phase.books or Books()


# Name, help, and what it counts of a phase's books.
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Books], int]], ...]] = (
    ("arrivals", "Arrivals that were due.", lambda b: b.scheduled),
    ("ok", "Arrivals that ended ok.", lambda b: b.ok),
    ("good", "Arrivals that ended ok within good_within.", lambda b: b.good),
    ("shed", "Arrivals that the service turned away politely.", lambda b: b.shed),
    ("attempts", "Tries, with retries and with dials that failed.", lambda b: b.attempts),
)


def _counters(phases: Sequence[PhaseNow]) -> Iterator[Metric]:
    for name, text, count in _COUNTERS:
        family = CounterMetricFamily(f"loadtool_{name}", text, labels=["phase"])
        for phase in phases:
            family.add_metric([phase.name], count(_books(phase)))
        yield family
    errors = CounterMetricFamily("loadtool_errors", "Arrivals that failed.", labels=["phase", "kind"])
    for phase in phases:
        counts = _books(phase).counts
        for kind in ERROR_KINDS:
            errors.add_metric([phase.name, kind], counts[OUTCOMES.index(kind)])
    yield errors


def _histograms(phases: Sequence[PhaseNow]) -> Iterator[Metric]:
    responses = HistogramMetricFamily(
        "loadtool_response_time_seconds",
        "From due to done, of all arrivals that were not shed; each that failed counts as infinite.",
        labels=["phase"],
    )
    lags = HistogramMetricFamily(
        "loadtool_send_lag_seconds", "How late the generator itself was.", labels=["phase"]
    )
    for phase in phases:
        books = _books(phase)
        # No sum: among infinite times there is none.
        responses.add_metric(
            [phase.name], _buckets(books.histogram(H_OK), RESPONSE_BOUNDS_S, books.failed), sum_value=None
        )
        lag = books.histogram(H_LAG)
        lags.add_metric([phase.name], _buckets(lag, LAG_BOUNDS_S), sum_value=lag.sum_us / 1e6)
    yield responses
    yield lags


def _buckets(histogram: Histogram, bounds_s: Sequence[float], infinite: int = 0) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound, to the precision of HdrHistogram's own buckets (0.1 %)."""
    upto = [(str(s), float(histogram.total - histogram.count_above(s * 1e6))) for s in bounds_s]
    return [*upto, ("+Inf", float(histogram.total + infinite))]


def _gauges(now: Snapshot) -> Iterator[Metric]:
    for name, text, value in (
        ("elapsed_seconds", "Time since the load began.", now.elapsed_s),
        ("in_flight", "Arrivals sent and not yet done.", now.in_flight),
        ("waiting", "Arrivals that wait for a connection.", now.waiting),
        ("connections", "Open connections.", now.connections),
        ("workers", "Worker processes of the run.", now.workers),
        ("workers_alive", "Worker processes that were not lost.", now.workers_alive),
    ):
        yield GaugeMetricFamily(f"loadtool_{name}", text, value=value)
    recent = GaugeMetricFamily(
        "loadtool_recent_response_time_seconds",
        "Quantiles over the last 3 s, by when arrivals ended; infinite where too many failed.",
        labels=["quantile"],
    )
    for quantile, ms in (("0.5", now.p50_ms), ("0.99", now.p99_ms)):
        if ms is not None:
            recent.add_metric([quantile], ms / 1000 if math.isfinite(ms) else math.inf)
    yield recent
    lag = GaugeMetricFamily(
        "loadtool_recent_send_lag_seconds", "The same of the send lag.", labels=["quantile"]
    )
    if now.lag_p99_ms is not None:
        lag.add_metric(["0.99"], now.lag_p99_ms / 1000)
    yield lag


def _whereabouts(stage: Stage, now: Snapshot, active: Collection[str]) -> Iterator[Metric]:
    current = stage.phase(now.elapsed_s)
    phases = GaugeMetricFamily("loadtool_phase_active", "1 in the phase of the moment.", labels=["phase"])
    for name in dict.fromkeys(phase.name for phase in (*stage.phases, *stage.beyond)):
        phases.add_metric([name], float(name == current))
    yield phases
    faults = GaugeMetricFamily("loadtool_fault_active", "1 while a fault is in place.", labels=["fault"])
    for name in dict.fromkeys([*(fault.name for fault in stage.faults), *sorted(active)]):
        faults.add_metric([name], float(name in active))
    yield faults
