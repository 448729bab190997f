"""SLOs: from the cells of a result to pass, fail or inconclusive (docs/slos.md). A row of `METRICS` each.

A quantile passes or fails on its value. Only where fewer than 10 samples lie beyond it *and* its interval
straddles the threshold is it inconclusive: the run was too short to tell.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeVar

from loadtool.judge import intervals
from loadtool.judge.case import Case
from loadtool.judge.coverage import Coverage
from loadtool.judge.overload import judge_overload
from loadtool.judge.overload_slo import NOT_YET, SPIKE_METRICS, SpikeMetric, judge_spikes
from loadtool.judge.windows import (
    FEW_BEYOND,
    Evidence,
    Measure,
    books_of,
    intervals_of,
    judge_windows,
)
from loadtool.judge.words import counted, metric_name, under_way
from loadtool.measure.books import Books, in_ms
from loadtool.measure.groups import Groups
from loadtool.measure.histogram import rank
from loadtool.measure.outcome import H_FAILED, H_OK, H_SERVICE, H_SHED
from loadtool.measure.population import CellKey, Population
from loadtool.measure.result import Aborted, SloFigure
from loadtool.measure.spike import Overload
from loadtool.plan.windows import slices_in
from loadtool.profile.slo import Slo

_Of = TypeVar("_Of", bound=Books)


@dataclass(frozen=True, slots=True)
class Metric:
    measure: Measure
    classes: tuple[int, ...]  # of histograms that it reads: to pool more of them takes the coordinator's time
    samples: str  # what is counted, singular
    passes_without: str = ""  # the note with which it passes when there is no sample
    # Of so many aborted arrivals, and so many of them that could still have been good: what it could count.
    at_best: Callable[[int, int], int] | None = None  # None: they are left out of it

    def spared(self, books: _Of, hopeful: int) -> _Of:
        """The books, had the run's end been kind to what it has aborted."""
        if self.at_best is not None:
            return books.had_been_good(self.at_best(books.aborted, hopeful))
        rest = books.had_been_good(0)  # a copy
        rest.take_out_aborted()
        return rest


def _quantile(code: int, *, failed: bool = False) -> Measure:
    """A quantile of one histogram class; `failed`: each failed arrival is a sample, and infinite."""

    def measure(population: Population, slo: Slo) -> Evidence:
        if slo.quantile is None:
            raise ValueError(f"a quantile is missing: {slo.text}")
        histogram = population.histogram(code)
        infinite = population.failed if failed else 0
        n = histogram.total + infinite
        if n == 0:
            return Evidence(None, 0)
        lo, hi = intervals.quantile_ranks(slo.quantile, n)
        low = in_ms(histogram.value_at_rank(lo)) or 0.0  # no rank: 0
        high = in_ms(histogram.value_at_rank(hi))
        return Evidence(
            value=in_ms(histogram.quantile(slo.quantile, infinite)),
            samples=n,
            interval=(low, math.inf if high is None else high),
            beyond=n - rank(slo.quantile, n),
        )

    return measure


def _share(part: Callable[[Population], int]) -> Measure:
    """A share of the arrivals."""

    def measure(population: Population, slo: Slo) -> Evidence:
        n, count = population.finished, part(population)
        return Evidence(count / n, n, intervals.proportion(count, n)) if n else Evidence(None, 0)

    return measure


def _rate(part: Callable[[Population], int]) -> Measure:
    """Arrivals per second of the stretches covered, counted by when they were due."""

    def measure(population: Population, slo: Slo) -> Evidence:
        n, seconds = population.finished, population.seconds
        if not n or not seconds:
            return Evidence(None, 0)
        count = part(population)
        low, high = intervals.poisson(count)
        return Evidence(count / seconds, n, (low / seconds, high / seconds))

    return measure


def _max(population: Population, slo: Slo) -> Evidence:
    return Evidence(population.answered.max_ms, population.answered.total)


def _mean(population: Population, slo: Slo) -> Evidence:
    return Evidence(population.answered.mean_ms, population.answered.total)


# Metric of `profile/slo.py` -> what it is. `max` and `mean` cover answered arrivals, `error rate` and `shed
# rate` are shares of all arrivals, `goodput` counts ok ones within `good_within` and `rate` all ok ones.
METRICS: Final[dict[str, Metric | SpikeMetric]] = {
    "quantile": Metric(_quantile(H_OK, failed=True), (H_OK,), "arrival"),
    "ok quantile": Metric(_quantile(H_OK), (H_OK,), "ok answer"),
    "shed quantile": Metric(_quantile(H_SHED), (H_SHED,), "shed", passes_without="no sheds"),
    "service quantile": Metric(_quantile(H_SERVICE), (H_SERVICE,), "attempt"),
    "max": Metric(_max, (H_OK, H_FAILED), "answer"),
    "mean": Metric(_mean, (H_OK, H_FAILED), "answer"),
    "error rate": Metric(_share(lambda p: p.failed), (), "arrival"),
    "shed rate": Metric(_share(lambda p: p.shed), (), "arrival"),
    "goodput": Metric(_rate(lambda p: p.good), (), "arrival", at_best=lambda aborted, hopeful: hopeful),
    "rate": Metric(_rate(lambda p: p.ok), (), "arrival", at_best=lambda aborted, hopeful: aborted),
    **SPIKE_METRICS,
}


def judge_case(case: Case, overload: Overload | None, no_overload: str) -> list[SloFigure]:
    """Each SLO of the profile, once it is known what the spikes did, or why that can't be known."""
    judged = []
    slices = books_of(case.result) if any(slo.window_ns is not None for slo in case.slos) else {}
    best = cache(lambda: judge_overload(case.at_best()))
    for slo in case.slos:
        if slo.metric in SPIKE_METRICS:
            figure = judge_spikes(slo, overload, no_overload)
            if figure.status == "fail" and case.ended_early and case.aborted:
                figure = _unless_good(figure, slo, case, *best())
        elif slo.window_ns is not None:
            figure = _in_windows(slo, case, slices)
        else:
            figure = _judge(slo, case.coverage, case)
        judged.append(_aborted(figure, case.result.aborted))
    return judged


def _unless_good(
    figure: SloFigure, slo: Slo, case: Case, overload: Overload | None, no_overload: str
) -> SloFigure:
    """A missed objective on spikes, unless it is met had all been good that was aborted and had time."""
    best = judge_spikes(slo, overload, no_overload)
    if best.status == "fail":
        return figure
    note = "; ".join(filter(None, (figure.note, under_way(case.aborted))))
    return replace(figure, status="inconclusive", note=note)


def _aborted(figure: SloFigure, aborted: Aborted | None) -> SloFigure:
    """An objective that ended the run has failed, whatever its interval says of what was measured."""
    if aborted is None or aborted.slo != figure.text:
        return figure
    note = f"ended the run at {aborted.at_s:.1f} s: {aborted.why}"
    return replace(figure, status="fail", note=note)


def classes_of(slos: Iterable[Slo]) -> frozenset[int]:
    """The histograms that `judge_groups` reads for these."""
    metrics = [METRICS[slo.metric] for slo in slos if slo.window_ns is None]
    return frozenset(code for m in metrics if isinstance(m, Metric) for code in m.classes)


def judge_groups(slos: Sequence[Slo], groups: Groups, warmups: Container[str]) -> list[SloFigure]:
    """The same while a run lasts, for the cells so far (`Tally.groups`).

    Of spikes and windows nothing is known.
    """
    coverage = Coverage(groups, warmups)
    return [
        judge_spikes(slo, None, NOT_YET)
        if slo.metric in SPIKE_METRICS
        else _figure(slo, Evidence(None, 0), "inconclusive", NOT_YET)
        if slo.window_ns is not None
        else _judge(slo, coverage)
        for slo in slos
    ]


def _judge(slo: Slo, coverage: Coverage, case: Case | None = None) -> SloFigure:
    """`case`: of a run that is over."""
    metric = METRICS[slo.metric]
    assert isinstance(metric, Metric)  # the others are `judge_spikes`'s
    reached = bool(coverage.of(slo))
    population = coverage.pool(slo, metric.classes)
    evidence = metric.measure(population, slo) if reached else Evidence(None, 0)
    status, note = _status(slo, metric, evidence, reached=reached)
    if status == "fail" and case is not None and case.ended_early and (aborted := population.aborted):
        # They count as failed; if nothing else fails the objective, nobody knows what would have been.
        spared = metric.spared(population, _hopeful(coverage.cells(slo), case))
        decided, _ = _status(slo, metric, metric.measure(spared, slo), reached=True)
        if decided != "fail":
            status, note = "inconclusive", under_way(aborted)
    return _figure(slo, evidence, status, note)


def _hopeful(cells: Iterable[tuple[CellKey, Population]], case: Case) -> int:
    """How many aborted arrivals of these cells could still have been good, at the most."""
    aborted: Counter[str] = Counter()
    for key, population in cells:
        aborted[key.phase] += population.aborted
    return (aborted & case.hopeful()).total()


def _in_windows(slo: Slo, case: Case, slices: Mapping[int, Books]) -> SloFigure:
    metric = METRICS[slo.metric]
    assert isinstance(metric, Metric)
    slice_s = case.result.slice_s
    where = slices_in(intervals_of(slo, case.result), slice_s)
    found = judge_windows(slo, metric.measure, slices, where, slice_s)
    status, note = found.status, found.note
    if status == "fail" and case.ended_early and (aborted := sum(b.aborted for b in slices.values())):
        spared = {
            index: metric.spared(books, books.aborted if (index + 1) * slice_s > case.late_s else 0)
            for index, books in slices.items()
        }
        decided = judge_windows(slo, metric.measure, spared, where, slice_s)
        if decided.status != "fail":
            status, note = "inconclusive", f"{note}; {under_way(aborted)}"
    return replace(_figure(slo, found.evidence, status, note), window=found.window)


def _figure(slo: Slo, evidence: Evidence, status: str, note: str) -> SloFigure:
    return SloFigure(
        text=slo.text,
        line=slo.line,
        metric=metric_name(slo),
        phase=slo.during,
        request=slo.request,
        value=_finite(evidence.value),
        threshold=slo.threshold,
        status=status,
        samples=evidence.samples,
        ci95=_ends(evidence.interval),
        note=note,
    )


def _status(slo: Slo, metric: Metric, evidence: Evidence, *, reached: bool) -> tuple[str, str]:
    if not reached:
        return "inconclusive", f"{slo.during or 'what it is about'} was not reached"
    if evidence.value is None:
        return (
            ("pass", metric.passes_without)
            if metric.passes_without
            else ("inconclusive", f"no {metric.samples}s")
        )
    if evidence.beyond is not None and evidence.beyond < FEW_BEYOND and evidence.interval is not None:
        low, high = evidence.interval
        if slo.meets(low) != slo.meets(high):
            return (
                "inconclusive",
                f"only {counted(evidence.samples, metric.samples)}, {evidence.beyond} beyond it",
            )
    return ("pass" if slo.meets(evidence.value) else "fail"), ""


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _ends(interval: tuple[float, float] | None) -> list[float | None] | None:
    """As the file holds it; an interval that begins beyond every answer has no ends to speak of."""
    if interval is None or math.isinf(interval[0]):
        return None
    return [interval[0], _finite(interval[1])]
