"""A spike as the judge sees it: its populations, its blocks and the steps of its recovery, from a result."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Final

from loadtool.judge.case import Case
from loadtool.measure.groups import pooled
from loadtool.measure.population import Population
from loadtool.measure.result import Result
from loadtool.measure.spike import SpikeFrame, Step

SAME_S: Final = 1e-6  # moments this close are the same: they went through floats
_start = attrgetter("start_s")


@dataclass(frozen=True, slots=True)
class Counts:
    """Arrivals of some stretch of time, of `seconds` in length."""

    seconds: float
    arrivals: int
    good: int
    attempts: int

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Counts:
        seconds, arrivals, good, attempts = 0.0, 0, 0, 0
        for step in steps:
            seconds += step.end_s - step.start_s
            arrivals += step.scheduled
            good += step.good
            attempts += step.attempts
        return cls(seconds, arrivals, good, attempts)


@dataclass(frozen=True, slots=True)
class Recovery:
    """The part of a recovery that counts: `bounds` (s) are where its steps begin, and where the last ends."""

    bounds: tuple[float, ...]
    steps: tuple[Counts, ...]
    window_s: float
    faults: tuple[str, ...]  # that were active in it all the same, since they were planned for later

    @property
    def watched_s(self) -> float:
        return round(self.bounds[-1] - self.bounds[0], 6)

    @property
    def last_third(self) -> tuple[Counts, ...]:
        """Its steps from the boundary that lies nearest to two thirds of it."""
        wanted = self.bounds[0] + self.watched_s * 2 / 3
        at = min(range(len(self.steps)), key=lambda i: abs(self.bounds[i] - wanted))
        return self.steps[at:]


@dataclass(frozen=True, slots=True)
class SpikeView:
    """`blocks` are those that were reached; `cut`: the run ended before the spike did."""

    frame: SpikeFrame
    spike: Population
    baseline: Population | None
    blocks: tuple[Counts, ...]
    cut: bool
    steps: tuple[Step, ...]
    first_shed_s: float | None  # since the spike's start
    faults: tuple[str, ...]  # that began, ended or were ramped within it: it can't always do the same
    steady_s: float  # up to when, since its start, none of them had
    recovery: Recovery | None
    no_recovery: str  # why there is none, in words

    @property
    def last_third(self) -> tuple[Counts, ...]:
        """The blocks of its last third; none if the spike was cut short."""
        return () if self.cut else self.blocks[len(self.blocks) * 2 // 3 :]

    @classmethod
    def of(cls, case: Case, frame: SpikeFrame) -> SpikeView:
        result = case.result
        steps = _within(result.steps, frame.start_s, frame.end_s)
        sheds = [step.first_shed_s for step in steps if step.first_shed_s is not None]
        blocks = (Counts.of(_within(steps, start, end)) for start, end in pairwise(frame.blocks_s))
        recovery = _recovery(result, frame)
        changes = list(_changes(result, frame))
        return cls(
            frame=frame,
            spike=_pooled(case, frame.phases),
            baseline=_pooled(case, [frame.baseline]) if frame.baseline is not None else None,
            blocks=tuple(block for block in blocks if block.seconds > 0),
            cut=result.elapsed_s < frame.end_s - SAME_S,
            steps=tuple(steps),
            first_shed_s=round(min(sheds) - frame.start_s, 9) if sheds else None,
            faults=tuple(dict.fromkeys(name for _, name in changes)),
            steady_s=min((at for at, _ in changes), default=frame.end_s) - frame.start_s,
            recovery=recovery if isinstance(recovery, Recovery) else None,
            no_recovery="" if isinstance(recovery, Recovery) else recovery,
        )


def _pooled(case: Case, phases: Sequence[str]) -> Population:
    return pooled(case.coverage.groups.in_phases(*phases))


def _within(steps: Sequence[Step], start_s: float, end_s: float) -> Sequence[Step]:
    """The steps in [start_s, end_s): they are in order, and none lies across its ends."""
    first = bisect_left(steps, start_s - SAME_S, key=_start)
    return steps[first : bisect_left(steps, end_s - SAME_S, first, key=_start)]


def _recovery(result: Result, frame: SpikeFrame) -> Recovery | str:
    """What was watched of the recovery, or why there is nothing."""
    watch = frame.watch
    if not frame.recovery:
        return "no recovery phase follows it"
    if watch is None:
        return "there is no baseline to come back to"
    if watch.end_s - watch.from_s < SAME_S:
        last = frame.recovery[-1]
        return f"up to the end of {last} the load was above the baseline's or a fault was active"
    end = min(watch.end_s, result.elapsed_s)
    begin, late = _begin(result, watch.from_s, end)
    number = math.ceil((end - watch.from_s) / watch.step_s - SAME_S)
    grid = [watch.from_s + i * watch.step_s for i in range(number)]
    bounds = [t for t in grid if t >= begin - watch.step_s / 2]
    if end - watch.from_s < SAME_S or not bounds:
        return late or "the run ended before its recovery could be watched"
    bounds.append(end)
    return Recovery(
        bounds=tuple(bounds),
        steps=tuple(Counts.of(_within(result.steps, a, b)) for a, b in pairwise(bounds)),
        window_s=watch.window_s,
        faults=tuple(_later_faults(result, bounds[0], end)),
    )


def _begin(result: Result, planned_s: float, end_s: float) -> tuple[float, str]:
    """From when recovery counts: as planned, or later if a fault was taken out later; and that in words."""
    begin, why = planned_s, ""
    for fault in result.faults:
        if fault.started_s is None or len(fault.planned_s) != 2 or fault.planned_s[0] >= planned_s:
            continue
        ended = fault.latest_end(end_s)
        if ended > begin:
            begin, why = ended, f"fault {fault.name} was active to the end"
    return begin, why


def _changes(result: Result, frame: SpikeFrame) -> Iterator[tuple[float, str]]:
    """When within the spike, by the plan, which fault changes what the service can do."""
    faults = result.profile.get("faults")
    listed = faults if isinstance(faults, list) else []
    ramped = [f.get("name") for f in listed if isinstance(f, dict) and f.get("ramp")]
    for fault in result.faults:
        if fault.started_s is None or len(fault.planned_s) != 2:
            continue
        start, end = fault.planned_s
        if fault.name in ramped and start < frame.end_s and frame.start_s < end:
            yield max(start, frame.start_s), fault.name
        for at in (start, end):
            if frame.start_s + SAME_S < at < frame.end_s - SAME_S:
                yield at, fault.name


def _later_faults(result: Result, begin_s: float, end_s: float) -> Iterable[str]:
    for fault in result.faults:
        if len(fault.planned_s) == 2 and begin_s + SAME_S < fault.planned_s[0] < end_s - SAME_S:
            yield fault.name
