"""Summary: the tally of a run as the measured parts of its Result.

A run that was cut short is described as far as it went: its last phase ends at the cut, rates are over the
time that was run, and phases that were never reached are left out (zeros would read as measurements).
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from loadtool.measure.books import Books, in_ms
from loadtool.measure.groups import Groups, pooled
from loadtool.measure.histogram import Histogram, merged
from loadtool.measure.outcome import (
    H_CONNECT,
    H_DNS,
    H_FAILED,
    H_LAG,
    H_OK,
    H_QUEUED,
    H_SERVICE,
    H_SHED,
    H_TLS,
    H_TTFB,
    M_THROTTLED,
    UNSENT,
)
from loadtool.measure.population import Cells, Population, to_entries
from loadtool.measure.recent import SECOND
from loadtool.measure.result import (
    Cell,
    Figures,
    Generator,
    HistogramEntry,
    PhaseFigures,
    Quantiles,
    RequestFigures,
    Result,
    Slice,
)
from loadtool.measure.slow_arrival import SlowArrival
from loadtool.measure.spike import SpikeFrame, Step
from loadtool.measure.spike_frames import spike_frames, steps_of
from loadtool.measure.tally import Tally

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
# Field of Figures -> histogram class that it shows as it is. `latency_ms` is more than one class.
_PLAIN: Final = {
    "ok_latency_ms": H_OK, "service_ms": H_SERVICE, "lag_ms": H_LAG, "queued_ms": H_QUEUED, "shed_ms": H_SHED,
    "ttfb_ms": H_TTFB, "connect_ms": H_CONNECT, "tls_ms": H_TLS, "dns_ms": H_DNS,
}  # fmt: skip


@dataclass(slots=True)
class ResultParts:
    """What a Result holds of a tally; the names are Result's."""

    totals: Figures
    phases: list[PhaseFigures]
    requests: list[RequestFigures]
    series: list[Slice]
    slice_s: float
    cells: list[Cell]
    histograms: list[HistogramEntry]
    generator: Generator
    examples: list[dict[str, Any]]
    slowest: list[SlowArrival]
    steps: list[Step]
    spikes: list[SpikeFrame]

    def put_into(self, result: Result) -> None:
        """Set the result's fields of the same names."""
        for part in fields(self):
            setattr(result, part.name, getattr(self, part.name))


def result_parts(tally: Tally, end_ns: int, lag_bound_ms: float) -> ResultParts:
    """The parts of a run that ended, or was cut short, `end_ns` after its start.

    No arrival due after `end_ns` may be in the tally. `lag_bound_ms`: what `late_share` counts against.
    """
    end_ns = min(end_ns, tally.timeline.duration_ns)
    cells, groups = tally.populations(end_ns), tally.groups(end_ns)
    entries, histograms = to_entries(cells)
    return ResultParts(
        totals=_figures(pooled(groups.all), Figures()),
        phases=_phases(tally, groups, end_ns),
        requests=[
            _figures(pooled(groups.all, name), RequestFigures(name=name)) for name in tally.request_names
        ],
        series=_series(tally, end_ns),
        slice_s=tally.timeline.slice_ns / SECOND,
        cells=entries,
        histograms=histograms,
        generator=_generator(tally, cells, lag_bound_ms),
        examples=[asdict(example) for example in tally.examples],
        slowest=tally.slowest,
        steps=steps_of(tally, end_ns),
        spikes=spike_frames(tally),
    )


F = TypeVar("F", bound=Figures)


def _figures(population: Population, figures: F) -> F:
    """Fill in the figures of a population."""
    figures.scheduled = population.scheduled
    figures.ok = population.ok
    figures.shed = population.shed
    figures.errors = population.errors
    figures.attempts = population.attempts
    figures.client = population.client
    figures.good = population.good
    figures.offered_per_s = population.per_second(population.scheduled)
    figures.goodput_per_s = population.per_second(population.good)
    figures.failed_share = population.failed_share
    answered = population.answered
    figures.latency_ms = Quantiles(
        **{name: _finite(population.latency_ms(q)) for name, q in QUANTILES.items()},
        max=answered.max_ms,
        mean=answered.mean_ms,
    )
    for name, code in _PLAIN.items():
        setattr(figures, name, _quantiles(population.histogram(code)))
    return figures


def _quantiles(histogram: Histogram) -> Quantiles:
    return Quantiles(
        **{name: in_ms(histogram.quantile(q)) for name, q in QUANTILES.items()},
        max=histogram.max_ms,
        mean=histogram.mean_ms,
    )


def _finite(ms: float | None) -> float | None:
    return None if ms is None or math.isinf(ms) else ms


def _phases(tally: Tally, groups: Groups, end_ns: int) -> list[PhaseFigures]:
    return [
        _figures(
            pooled(reached),
            PhaseFigures(
                name=span.name,
                role=span.role,
                start_s=span.start_ns / SECOND,
                end_s=max(min(span.end_ns, end_ns), span.start_ns) / SECOND,
            ),
        )
        for span in tally.timeline.spans
        if (reached := groups.in_phases(span.name))
    ]


def _series(tally: Tally, end_ns: int) -> list[Slice]:
    width = tally.timeline.slice_ns
    number = max(-(-end_ns // width), max(tally.by_slice, default=-1) + 1)
    return [_slice(tally, place) for place in range(number)]


def _slice(tally: Tally, place: int) -> Slice:
    books = tally.by_slice.get(place) or Books()
    books.awake()  # once for all that is asked of it
    figures = Slice(
        t=place * tally.timeline.slice_ns / SECOND,
        scheduled=books.scheduled,
        ok=books.ok,
        shed=books.shed,
        errors=books.errors,
        good=books.good,
        attempts=books.attempts,
        in_flight=sum(tally.in_flight_by_slice.get(place, {}).values()),
        p50=_finite(books.latency_ms(0.5)),
        p99=_finite(books.latency_ms(0.99)),
        lag_p99=books.quantile_ms(H_LAG, 0.99),
        hdr=books.answered.encode(),
        ok_hdr=books.histogram(H_OK).encode() if books.histogram(H_FAILED).total else "",
    )
    books.rest()
    return figures


def _generator(tally: Tally, cells: Cells, lag_bound_ms: float) -> Generator:
    lag = lag_of(cells, {span.name for span in tally.timeline.spans if span.role == "warmup"})
    return Generator(
        lag_ms={"p50": in_ms(lag.quantile(0.5)), "p99": in_ms(lag.quantile(0.99)), "max": lag.max_ms},
        late_share=late_share(lag, lag_bound_ms),
        unsent=tally.totals.counts[UNSENT]
        - tally.totals.marks[M_THROTTLED],  # which is of the client's own will
        workers_lost=tally.workers_lost,
        cpu_share=tally.cpu_share,
        local=dict(tally.local),
        retried=tally.retried,
    )


def lag_of(cells: Cells, warmups: Container[str]) -> Histogram:
    """The send lag in all phases but these; of the whole run if it had no others."""
    judged = [p for key, p in cells.items() if key.phase not in warmups] or list(cells.values())
    return merged(p.histogram(H_LAG) for p in judged)


def late_share(lag: Histogram, bound_ms: float) -> float:
    """The share of arrivals that the generator got round to later than the bound."""
    return lag.count_above(bound_ms * 1000) / lag.total if lag.total else 0.0
