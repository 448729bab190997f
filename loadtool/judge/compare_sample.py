"""A run as a comparison sees it: its stretches, each with exact figures and the slices to resample."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter
from typing import Final

from loadtool.errors import UsageError
from loadtool.judge.case import Case
from loadtool.judge.compare_stats import LEAST_BLOCKS, Draws, block_length
from loadtool.measure.groups import pooled
from loadtool.measure.histogram import HIGHEST_US, Histogram, highest_equivalent, rank
from loadtool.measure.population import Population
from loadtool.measure.result import Result, Slice
from loadtool.units import counted

OVERALL: Final = ""  # the name of the stretch that is all phases but warm-ups; no phase is called so
_SAME_S: Final = 1e-6
_ANSWERED: Final = ("status", "check")  # errors whose answers are in `hdr`, too


@dataclass(frozen=True, slots=True)
class Slot:
    """One slice: counts, and its ok answers' times as bucket values in order, with running counts."""

    seconds: float
    scheduled: int
    ok: int
    shed: int
    failed: int
    good: int
    values: tuple[int, ...]
    running: tuple[int, ...]

    def up_to(self, value: int) -> int:
        """How many ok answers took at most so long."""
        place = bisect_right(self.values, value)
        return self.running[place - 1] if place else 0


@dataclass(slots=True)
class Stretch:
    """A phase, or all but warm-ups together. `strata`: its slices, phase by phase; empty: `why` not."""

    name: str
    population: Population
    strata: tuple[tuple[Slot, ...], ...]
    starts_s: tuple[float, ...]  # when its slices begin, in its phases' own time
    why: str = ""
    _slots: tuple[Slot, ...] = ()
    _columns: dict[object, list[float]] = field(default_factory=dict)
    _buckets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._slots = tuple(slot for stratum in self.strata for slot in stratum)
        self._buckets = sorted({value for slot in self._slots for value in slot.values})

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(stratum) for stratum in self.strata)

    def counts(self, name: str, draws: Draws) -> list[float]:
        """Block sums of a count of the slices, such as "good"."""
        if name not in self._columns:
            self._columns[name] = draws.block_sums([getattr(slot, name) for slot in self._slots])
        return self._columns[name]

    def quantiles_us(self, q: float, draws: Draws, *, ok_only: bool = False) -> list[float]:
        """The quantile of each replicate in µs; each failed arrival counts as infinite: `HIGHEST_US`.

        `ok_only`: failed ones count for nothing; a replicate without an ok answer is infinite.
        """
        ok, failed = self.counts("ok", draws), self.counts("failed", draws)
        found: list[float] = []
        for picks in draws.picks:
            of = itemgetter(*picks)
            answered = round(sum(of(ok)))
            number = answered if ok_only else answered + round(sum(of(failed)))
            wanted = rank(q, number) if number else 0
            if not 0 < wanted <= answered:
                found.append(float(HIGHEST_US))
                continue
            low, high = 0, len(self._buckets) - 1
            while low < high:
                middle = (low + high) // 2
                if sum(of(self._up_to(middle, draws))) >= wanted:
                    high = middle
                else:
                    low = middle + 1
            found.append(float(highest_equivalent(self._buckets[low])))
        return found

    def _up_to(self, place: int, draws: Draws) -> list[float]:
        if place not in self._columns:
            value = self._buckets[place]
            self._columns[place] = draws.block_sums([slot.up_to(value) for slot in self._slots])
        return self._columns[place]


@dataclass(slots=True)
class Sample:
    """One run."""

    result: Result
    stretches: dict[str, Stretch]  # OVERALL and phases, by name
    doubt: str  # why nothing can be told from it; empty if it can

    @classmethod
    def of(cls, result: Result) -> Sample:
        """Raises UsageError if the result is unreadable."""
        case = Case.of(result)
        width = result.slice_s
        slots = [_slot(index, s, width) for index, s in enumerate(result.series)]
        stretches: dict[str, Stretch] = {}
        strata: list[list[Slot | None]] = []
        starts: list[float] = []
        for phase in result.phases:
            places = [
                i
                for i, s in enumerate(result.series)
                if s.t >= phase.start_s - _SAME_S and s.t + width <= phase.end_s + _SAME_S
            ]
            mine = [slots[i] for i in places]
            times = tuple(round(result.series[i].t - phase.start_s, 6) for i in places)
            cells = pooled(case.coverage.groups.in_phases(phase.name))
            stretches[phase.name] = _stretch(phase.name, cells, [mine], times)
            if phase.name not in case.warmups:
                strata.append(mine)
                starts += times
        whole = _stretch(OVERALL, pooled(case.coverage.judged), _joined(strata), tuple(starts))
        return cls(result, {OVERALL: whole, **stretches}, _doubt(result))


def _doubt(result: Result) -> str:
    if result.verdict == "invalid":
        return f"it is invalid: {result.reasons[0]}" if result.reasons else "it is invalid"
    if result.interrupted or result.verdict == "interrupted":
        when = "after its load" if result.interrupted_after_load else f"after {result.end_s:.1f} s"
        return f"it was interrupted {when}"
    if result.aborted is not None:
        return f"it was ended early, at {result.aborted.at_s:.1f} s"
    return ""


def _stretch(
    name: str, population: Population, strata: Sequence[Sequence[Slot | None]], starts: tuple[float, ...]
) -> Stretch:
    whole = [tuple(slot for slot in stratum if slot is not None) for stratum in strata]
    if sum(map(len, whole)) < sum(map(len, strata)):
        return Stretch(name, population, (), starts, "the file is of an older loadtool: no ok times by slice")
    if not whole or any(len(s) // block_length(len(s)) < LEAST_BLOCKS for s in whole):
        number = counted(sum(map(len, whole)), "whole slice")
        return Stretch(name, population, (), starts, f"only {number}: too few to see its spread")
    return Stretch(name, population, tuple(whole), starts)


def _joined(strata: Sequence[list[Slot | None]]) -> list[list[Slot | None]]:
    """The strata; one that is too short for blocks of its own goes to the one before it, or after."""
    joined: list[list[Slot | None]] = []
    for stratum in strata:
        short = len(stratum) // block_length(len(stratum)) < LEAST_BLOCKS
        if joined and (short or len(joined[-1]) // block_length(len(joined[-1])) < LEAST_BLOCKS):
            joined[-1] = [*joined[-1], *stratum]
        else:
            joined.append(list(stratum))
    return joined


def _slot(index: int, s: Slice, width: float) -> Slot | None:
    """None if the times of ok answers can't be told from those of failed ones."""
    mixed = any(s.errors.get(kind) for kind in _ANSWERED)
    if mixed and not s.ok_hdr:
        return None
    values, counts = _counts(index, s.ok_hdr or s.hdr)
    return Slot(
        seconds=width,
        scheduled=s.scheduled,
        ok=s.ok,
        shed=s.shed,
        failed=sum(s.errors.values()),
        good=s.good,
        values=values,
        running=tuple(accumulate(counts)),
    )


def _counts(index: int, hdr: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not hdr:
        return (), ()
    try:
        counts = Histogram.decode(hdr).counts
    except ValueError as e:
        raise UsageError(f"result: series[{index}].hdr: {e}") from None
    values = tuple(sorted(counts))
    return values, tuple(counts[v] for v in values)


def log_or_bound(values: Iterable[float], least: float) -> list[float]:
    """Logarithms, of at least `least` > 0."""
    return [math.log(max(value, least)) for value in values]
