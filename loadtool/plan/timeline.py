"""Timeline: the axis of a run cut into the stretches by which its arrivals are counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import attrgetter

from loadtool.plan.axis import Axis, Span, slice_width, spans_of
from loadtool.plan.bursts import Bursts
from loadtool.plan.job import FaultWindow, Job
from loadtool.plan.spikes import steps_of
from loadtool.units import SECOND

__all__ = ["Segment", "Stretch", "Timeline", "slice_width"]

_start = attrgetter("start_ns")
MOST_CYCLES = 200  # of a phase's bursts that a search for peaks looks at


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
    """The axis and its cuts. `stretches` and `segments` each cover [0, duration_ns), gapless and in order.

    `arrivals_by` and `rate_at` are of the mean rates, `offered_by` and `offered_at` of what really comes
    when: they differ within a cycle of bursts, and agree at the ends of every phase. Of a replay they differ
    within a phase, whose rate is the mean of what was recorded; there `offered_by` is exact between bins.
    """

    stretches: tuple[Stretch, ...]
    segments: tuple[Segment, ...]
    slice_ns: int
    bursts: tuple[Bursts, ...] = ()  # of the phases that have them, in order
    replayed: tuple[float, ...] = ()  # of a replay: arrivals before each bin, and at last in all
    bin_ns: int = 0

    @classmethod
    def of(cls, job: Job) -> Timeline:
        """The job's timeline. Raises ValueError if it has no phases, or a ramp longer than its phase."""
        spans = spans_of(job.phases)
        pieces = tuple(p for span in spans for p in span.pieces)
        axis = Axis(spans, job.faults, spans[-1].end_ns, pieces)
        stretches = _stretches(spans, job.faults)
        segments = _segments(stretches, steps_of(axis))
        bursts = tuple(
            Bursts(span.start_ns, span.end_ns, phase.burst_on_ns, span.cycle_ns)
            for span, phase in zip(spans, job.phases, strict=True)
            if span.cycle_ns
        )
        replay, replayed = job.replay, tuple[float, ...]()
        if replay is not None:
            factor = replay.scale[0] / replay.scale[1]
            replayed = tuple(n * factor for n in accumulate(replay.counts, initial=0))
        bin_ns = replay.bin_ns if replay is not None else 0
        return cls(
            spans, job.faults, axis.duration_ns, pieces, stretches, segments, job.slice_ns, bursts,
            replayed, bin_ns,
        )  # fmt: skip

    @property
    def slices(self) -> int:
        """How many slices the run has; the last may be shorter than the rest."""
        return -(-self.duration_ns // self.slice_ns)

    def in_bursts(self, dues: list[int]) -> list[int]:
        """These due times as the bursts have them. They ascend, and still do."""
        for bursts in self.bursts:
            first = bisect_left(dues, bursts.start_ns)
            end = bisect_left(dues, bursts.end_ns, first)
            if first < end:
                dues[first:end] = map(bursts.squeezed, dues[first:end])
        return dues

    def offered_by(self, ns: int) -> float:
        """Planned arrivals in [0, ns), bursts as such."""
        if self.replayed:
            at, within = divmod(min(max(ns, 0), self.duration_ns), self.bin_ns)
            return self.replayed[at] + self._in_bin(at) * within / self._bin_length(at)
        bursts = self._bursts_at(ns)
        return self.arrivals_by(ns) if bursts is None else self.arrivals_by(round(bursts.spread(ns)))

    def offered_at(self, ns: int) -> float:
        """Planned arrivals/s at this time: within a burst more than the mean, between bursts 0."""
        if self.replayed:
            at = ns // self.bin_ns
            return self._in_bin(at) * SECOND / self._bin_length(at) if 0 <= ns < self.duration_ns else 0.0
        bursts = self._bursts_at(ns)
        if bursts is None:
            return self.rate_at(ns)
        spread = min(round(bursts.spread(ns)), bursts.end_ns - 1)
        return self.rate_at(spread) * bursts.factor if bursts.is_on(ns) else 0.0

    def peaks(self) -> list[tuple[float, int]]:
        """Rates as offered where they may be highest, each with its time: shapes have that at an end."""
        if self.replayed:
            return [(self.offered_at(ns), ns) for ns in range(0, self.duration_ns, self.bin_ns)]
        found: list[tuple[float, int]] = []
        for span in self.spans:
            bursts = self._bursts_at(span.start_ns)
            for piece in span.pieces:
                first, last, start, end = piece.shape.rate(0.0), piece.end_rate, piece.start_ns, piece.end_ns
                if bursts is not None:
                    first, last = first * bursts.factor, last * bursts.factor
                    start, end = bursts.squeezed(start), bursts.squeezed(end - 1) + 1
                found += ((first, start), (last, end))
        return found

    def breaks(self) -> list[int]:
        """Where the offered rate may jump or change its shape, in ns, both ends of the run included."""
        if self.replayed:
            return [*range(0, self.duration_ns, self.bin_ns), self.duration_ns]
        found = {0} | {piece.end_ns for piece in self.pieces}
        for bursts in self.bursts:
            found.update(bursts.edges(MOST_CYCLES))
        return sorted(found)

    def _in_bin(self, at: int) -> float:
        return self.replayed[at + 1] - self.replayed[at] if at + 1 < len(self.replayed) else 0.0

    def _bin_length(self, at: int) -> int:
        return min(self.bin_ns, self.duration_ns - at * self.bin_ns) or self.bin_ns

    def _bursts_at(self, ns: int) -> Bursts | None:
        return next((b for b in self.bursts if b.start_ns <= ns < b.end_ns), None)

    def segment_at(self, ns: int) -> int:
        """Index of the segment at this time; the nearest one for times outside the run."""
        return max(0, bisect_right(self.segments, ns, key=_start) - 1)


def _stretches(spans: Sequence[Span], faults: Sequence[FaultWindow]) -> tuple[Stretch, ...]:
    end = spans[-1].end_ns
    planned = {ns for fault in faults for ns in (fault.start_ns, fault.end_ns) if 0 < ns < end}
    cuts = [*sorted({span.start_ns for span in spans} | planned), end]
    # Along the cuts, so that thousands of windows are looked at once each, and not at every cut.
    windows = [i for i, fault in enumerate(faults) if fault.start_ns < fault.end_ns]
    begins = sorted([(faults[i].start_ns, i) for i in windows], reverse=True)
    ends = sorted([(faults[i].end_ns, i) for i in windows], reverse=True)
    active: set[int] = set()
    stretches: list[Stretch] = []
    for start, stop in pairwise(cuts):
        while begins and begins[-1][0] <= start:
            active.add(begins.pop()[1])
        while ends and ends[-1][0] <= start:
            active.remove(ends.pop()[1])
        phase = bisect_right(spans, start, key=_start) - 1
        stretches.append(Stretch(len(stretches), start, stop, phase, tuple(sorted(active))))
    return tuple(stretches)


def _segments(stretches: Sequence[Stretch], steps: Iterable[int]) -> tuple[Segment, ...]:
    end = stretches[-1].end_ns
    cuts = [*sorted({s.start_ns for s in stretches} | {ns for ns in steps if 0 < ns < end}), end]
    segments: list[Segment] = []
    for start, stop in pairwise(cuts):
        at = stretches[bisect_right(stretches, start, key=_start) - 1]
        segments.append(Segment(len(segments), start, stop, at.phase, at.index))
    return tuple(segments)
