"""The windows of an SLO `in any TIME` by arithmetic: how long they are, and in which slices they may lie."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from loadtool.plan.timeline import Timeline
from loadtool.units import SECOND

if TYPE_CHECKING:
    from loadtool.profile.slo import Slo

Interval = tuple[float, float]  # [start, end) in s
_SAME_S: Final = 1e-6


def wanted_slices(slo: Slo, slice_s: float) -> int:
    """How many slices a window has."""
    assert slo.window_ns is not None
    return max(1, math.ceil(slo.window_ns / SECOND / slice_s - _SAME_S))


def stretches(
    slo: Slo, phases: Iterable[tuple[str, str, float, float]], faults: Iterable[tuple[str, float, float]]
) -> list[Interval]:
    """The stretches that an SLO is about: a phase, a fault's planned times, or all but warm-ups.

    Of phases (name, role, start and end in s) and faults (name, start, end); neighbours are joined.
    """
    every = list(phases)
    if slo.during is None:
        found = [(start, end) for _, role, start, end in every if role != "warmup"]
    else:
        found = [(start, end) for name, _, start, end in every if name == slo.during]
        found = found or [(start, end) for name, start, end in faults if name == slo.during]
    joined: list[Interval] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1] + _SAME_S:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def slices_in(intervals: Iterable[Interval], slice_s: float) -> list[range]:
    """The slices that lie wholly in each stretch."""
    return [
        range(math.ceil(start / slice_s - _SAME_S), math.floor(end / slice_s + _SAME_S))
        for start, end in intervals
    ]


def planned_slices(slo: Slo, timeline: Timeline) -> list[range]:
    """The slices that lie wholly in what an SLO is about, by the plan."""
    spans = [(s.name, s.role, s.start_ns / SECOND, s.end_ns / SECOND) for s in timeline.spans]
    faults = [(f.name, f.start_ns / SECOND, f.end_ns / SECOND) for f in timeline.faults]
    return slices_in(stretches(slo, spans, faults), timeline.slice_ns / SECOND)
