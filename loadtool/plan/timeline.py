"""Timeline: the axis of a run cut into the stretches by which its arrivals are counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

from loadtool.plan.axis import Axis, Span, slice_width, spans_of
from loadtool.plan.job import FaultWindow, Job
from loadtool.plan.spikes import steps_of

__all__ = ["Segment", "Stretch", "Timeline", "slice_width"]

_start = attrgetter("start_ns")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of one phase during which the same faults are planned active: [start_ns, end_ns)."""

    index: int
    start_ns: int
    end_ns: int
    phase: int
    faults: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch, or in a spike and its recovery a step of one: [start_ns, end_ns).

    The steps are those over which overload is judged (`plan/spikes.py`).
    """

    index: int
    start_ns: int
    end_ns: int
    phase: int
    stretch: int


@dataclass(frozen=True, slots=True)
class Timeline(Axis):
    """The axis and its cuts. `stretches` and `segments` each cover [0, duration_ns), gapless and in order."""

    stretches: tuple[Stretch, ...]
    segments: tuple[Segment, ...]
    slice_ns: int

    @classmethod
    def of(cls, job: Job) -> Timeline:
        """The job's timeline. Raises ValueError if it has no phases, or a ramp longer than its phase."""
        spans = spans_of(job.phases)
        pieces = tuple(p for span in spans for p in span.pieces)
        axis = Axis(spans, job.faults, spans[-1].end_ns, pieces)
        stretches = _stretches(spans, job.faults)
        segments = _segments(stretches, steps_of(axis))
        return cls(spans, job.faults, axis.duration_ns, pieces, stretches, segments, job.slice_ns)

    @property
    def slices(self) -> int:
        """How many slices the run has; the last may be shorter than the rest."""
        return -(-self.duration_ns // self.slice_ns)

    def segment_at(self, ns: int) -> int:
        """Index of the segment at this time; the nearest one for times outside the run."""
        return max(0, bisect_right(self.segments, ns, key=_start) - 1)


def _stretches(spans: Sequence[Span], faults: Sequence[FaultWindow]) -> tuple[Stretch, ...]:
    end = spans[-1].end_ns
    planned = {ns for fault in faults for ns in (fault.start_ns, fault.end_ns) if 0 < ns < end}
    cuts = [*sorted({span.start_ns for span in spans} | planned), end]
    stretches: list[Stretch] = []
    for start, stop in pairwise(cuts):
        active = tuple(i for i, fault in enumerate(faults) if fault.start_ns <= start < fault.end_ns)
        phase = bisect_right(spans, start, key=_start) - 1
        stretches.append(Stretch(len(stretches), start, stop, phase, active))
    return tuple(stretches)


def _segments(stretches: Sequence[Stretch], steps: Iterable[int]) -> tuple[Segment, ...]:
    end = stretches[-1].end_ns
    cuts = [*sorted({s.start_ns for s in stretches} | {ns for ns in steps if 0 < ns < end}), end]
    segments: list[Segment] = []
    for start, stop in pairwise(cuts):
        at = stretches[bisect_right(stretches, start, key=_start) - 1]
        segments.append(Segment(len(segments), start, stop, at.phase, at.index))
    return tuple(segments)
