"""SLOs `in any TIME`: every stretch of that length has to meet them, so that no average hides a spike.

A window is a number of whole slices (a second each, more in runs of over 900 s; a length between is rounded
up) that lie one after the other in what the SLO is about; it moves by one slice. Arrivals belong to the slice
in which they were due. One that misses the objective fails, and with it the SLO, unless it holds too little
to tell: a quantile with fewer than 10 samples beyond it, or a share or rate of fewer than 30 arrivals, whose
interval reaches to the other side of the threshold. Such a window leaves the SLO inconclusive, if none fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadtool.errors import UsageError
from loadtool.measure.books import Books
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import ERROR_KINDS, H_OK, OK, OUTCOMES, SHED
from loadtool.measure.population import Population
from loadtool.measure.result import Result, Slice, SloWindow
from loadtool.plan.windows import Interval, stretches, wanted_slices
from loadtool.profile.slo import Slo

LEAST_ARRIVALS: Final = 30
FEW_BEYOND: Final = 10
_STATUS: Final = {"fail": "fail", "open": "inconclusive", "pass": "pass"}

Finding = Literal["fail", "open", "pass", "empty"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured: in ms, as a share or per second. `value` is None if there is no sample."""

    value: float | None
    samples: int
    interval: tuple[float, float] | None = None
    beyond: int | None = None  # samples beyond a quantile


Measure = Callable[[Population, Slo], Evidence]


@dataclass(frozen=True, slots=True)
class Window:
    """Slices `first` to `last`, both included, and what was found of them."""

    first: int
    last: int
    finding: Finding
    evidence: Evidence


def intervals_of(slo: Slo, result: Result) -> list[Interval]:
    """The stretches that an SLO is about: a phase, a fault's planned times, or all but warm-ups."""
    phases = [(p.name, p.role, p.start_s, p.end_s) for p in result.phases]
    faults = [(f.name, f.planned_s[0], f.planned_s[1]) for f in result.faults if len(f.planned_s) == 2]
    return stretches(slo, phases, faults)


def windows(
    slo: Slo, measure: Measure, slices: Mapping[int, Books], where: Sequence[range], slice_s: float
) -> Iterator[Window]:
    """Every whole window of these stretches, in order."""
    length = wanted_slices(slo, slice_s)
    nothing = Books()
    for stretch in where:
        rolling = Population(seconds=length * slice_s)
        for last in stretch:
            rolling.add(slices.get(last, nothing), (H_OK,))
            first = last - length + 1
            if first < stretch.start:
                continue
            evidence = measure(rolling, slo)
            yield Window(first, last, finding(slo, evidence), evidence)
            _take_out(rolling, slices.get(first, nothing))


def _take_out(rolling: Population, books: Books) -> None:
    rolling.scheduled -= books.scheduled
    rolling.good -= books.good
    rolling.attempts -= books.attempts
    for code, count in enumerate(books.counts):
        rolling.counts[code] -= count
    mine, gone = rolling.histogram(H_OK), books.histogram(H_OK)
    rest = {v: left for v, n in mine.counts.items() if (left := n - gone.counts.get(v, 0))}
    kept = Histogram()
    kept.counts, kept.total = rest, mine.total - gone.total
    kept.sum_us, kept.max_us = mine.sum_us - gone.sum_us, mine.max_us
    rolling.values[H_OK] = kept


def finding(slo: Slo, evidence: Evidence) -> Finding:
    """What one window says of the objective."""
    if evidence.value is None:
        return "empty"
    if slo.meets(evidence.value):
        return "pass"
    few = evidence.samples < LEAST_ARRIVALS if evidence.beyond is None else evidence.beyond < FEW_BEYOND
    if few and evidence.interval is not None:
        low, high = evidence.interval
        if slo.meets(low) != slo.meets(high):
            return "open"
    return "fail"


@dataclass(frozen=True, slots=True)
class Judged:
    """All windows together: the status, the worst window with its figures, and a note."""

    status: str
    note: str
    evidence: Evidence
    window: SloWindow | None


def judge_windows(
    slo: Slo, measure: Measure, slices: Mapping[int, Books], where: Sequence[range], slice_s: float
) -> Judged:
    """The objective over every window."""
    every = [w for w in windows(slo, measure, slices, where, slice_s) if w.finding != "empty"]
    length_s = wanted_slices(slo, slice_s) * slice_s
    if not every:
        why = f"no whole window of {length_s:g} s with arrivals in it"
        return Judged("inconclusive", why, Evidence(None, 0), None)
    numbers = {name: sum(w.finding == name for w in every) for name in _STATUS}
    worst_name = next(name for name, n in numbers.items() if n)
    sign = 1 if slo.op in ("<", "<=") else -1
    worst = max((w for w in every if w.finding == worst_name), key=lambda w: sign * (w.evidence.value or 0.0))
    window = SloWindow(
        length_s=length_s,
        start_s=worst.first * slice_s,
        end_s=(worst.last + 1) * slice_s,
        windows=len(every),
        failed=numbers["fail"],
        undecided=numbers["open"],
    )
    return Judged(_STATUS[worst_name], _note(window), worst.evidence, window)


def _note(window: SloWindow) -> str:
    parts = [f"worst from {window.start_s:g} s to {window.end_s:g} s"]
    if window.failed:
        parts.append(f"{window.failed} of {window.windows} windows fail")
    if window.undecided:
        parts.append(f"{window.undecided} of {window.windows} windows with too few samples to tell")
    return "; ".join(parts)


def books_of(result: Result) -> dict[int, Books]:
    """The slices of a result with the times of their ok answers. Raises UsageError for a broken histogram."""
    return {index: _books(index, s) for index, s in enumerate(result.series)}


def _books(index: int, s: Slice) -> Books:
    counts = [0] * len(OUTCOMES)
    counts[OK], counts[SHED] = s.ok, s.shed
    for kind, count in s.errors.items():
        if kind not in ERROR_KINDS:
            raise UsageError(f"result: series[{index}].errors: {kind!r} is no kind of error")
        counts[OUTCOMES.index(kind)] = count
    text = s.ok_hdr or s.hdr
    try:
        values = {H_OK: Histogram.decode(text)} if text else {}
    except ValueError as e:
        raise UsageError(f"result: series[{index}].hdr: {e}") from None
    return Books(s.scheduled, s.good, s.attempts, counts, values)
