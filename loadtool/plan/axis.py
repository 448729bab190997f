"""Axis: the phases and planned faults of a run laid along one axis, in ns since its start.

It also turns the rate curve into arithmetic on a second axis, the *arrivals axis*: `arrivals_by` maps time
to it, `dues` maps positions on it back to time. Every arrival process is a set of positions on that axis.

Rates here are means: what bursts do within their cycles is `plan/timeline.py`'s, and a spike is judged by
what was planned for it on the whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from loadtool.plan.job import FaultWindow, PhaseSpec
from loadtool.plan.shape import Constant, Ramp, Shape, hold_of
from loadtool.units import SECOND

# Float error of a sum of products, in arrivals. A position this close to a boundary lies on it.
TOLERANCE: Final = 1e-6
MOST_SLICES: Final = 900

_start = attrgetter("start_ns")
_after = attrgetter("after")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch [start_ns, end_ns) of one shape; `before` arrivals of the run are planned ahead of it."""

    start_ns: int
    end_ns: int
    shape: Shape
    before: float

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / SECOND

    @property
    def arrivals(self) -> float:
        return self.shape.arrivals(self.seconds)

    @property
    def after(self) -> float:
        """Planned arrivals of the run up to the end of this piece."""
        return self.before + self.arrivals

    @property
    def end_rate(self) -> float:
        return self.shape.rate(self.seconds)

    def dues(self, positions: Sequence[float]) -> list[int]:
        """Due times of positions that belong to this piece, in [start_ns, end_ns)."""
        shape, start, before, last = self.shape, self.start_ns, self.before, self.end_ns - 1
        dues: list[int] = []
        if isinstance(shape, Constant):  # what nearly every arrival has: its `time_of`, without a call
            rate = shape.per_second
            for n in positions:
                due = start + int((n - before) / rate * 1e9 + 0.5) if n - before > TOLERANCE else start
                dues.append(due if due < last else last)
            return dues
        for n in positions:
            due = start + int(shape.time_of(n - before) * 1e9 + 0.5) if n - before > TOLERANCE else start
            dues.append(due if due < last else last)
        return dues


@dataclass(frozen=True, slots=True)
class Span:
    """A phase on the axis: [start_ns, end_ns)."""

    index: int
    name: str
    role: str
    start_ns: int
    end_ns: int
    pieces: tuple[Piece, ...]
    cycle_ns: int = 0  # from burst to burst; 0: none

    @property
    def arrivals(self) -> float:
        """Planned arrivals of the phase: the integral of its rate."""
        return self.pieces[-1].after - self.pieces[0].before

    @property
    def mean_rate(self) -> float:
        """Planned arrivals/s, averaged over the phase."""
        return self.arrivals * SECOND / (self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True)
class Axis:
    """The axis. `spans` and `pieces` each cover [0, duration_ns) without gaps, in order."""

    spans: tuple[Span, ...]
    faults: tuple[FaultWindow, ...]
    duration_ns: int
    pieces: tuple[Piece, ...]

    @property
    def arrivals(self) -> float:
        """Planned arrivals of the whole run."""
        return self.pieces[-1].after

    def rate_at(self, ns: int) -> float:
        """Planned arrivals/s at this time; at a boundary the later phase's, outside the run 0."""
        if not 0 <= ns < self.duration_ns:
            return 0.0
        piece = self._piece_at(ns)
        return piece.shape.rate((ns - piece.start_ns) / SECOND)

    def arrivals_by(self, ns: int) -> float:
        """Planned arrivals in [0, ns): the integral of the rate. From 0 to `arrivals`."""
        if ns <= 0:
            return 0.0
        if ns >= self.duration_ns:
            return self.arrivals
        piece = self._piece_at(ns)
        return piece.before + piece.shape.arrivals((ns - piece.start_ns) / SECOND)

    def dues(self, positions: Sequence[float]) -> list[int]:
        """When `arrivals_by` reaches each of these positions, in ns; in [0, duration_ns), never decreasing.

        `positions` ascend and lie in [0, arrivals − TOLERANCE). One on a boundary belongs to the later
        phase, one on a pause to the first phase after it that has arrivals.
        """
        dues: list[int] = []
        done = 0
        at = bisect_right(self.pieces, positions[0] + TOLERANCE, key=_after) if positions else 0
        while done < len(positions):
            piece = self.pieces[at]
            end = bisect_left(positions, piece.after - TOLERANCE, done)
            if end > done:
                dues += piece.dues(positions[done:end])
                done = end
            at += 1
        return dues

    def _piece_at(self, ns: int) -> Piece:
        return self.pieces[bisect_right(self.pieces, ns, key=_start) - 1]


def slice_width(duration_ns: int) -> int:
    """One second, or as many whole seconds as it takes to cut the run into at most `MOST_SLICES`; in ns."""
    return max(1, -(-duration_ns // (MOST_SLICES * SECOND))) * SECOND


def spans_of(phases: Sequence[PhaseSpec]) -> tuple[Span, ...]:
    """The phases end to end. Raises ValueError if there are none, or for a ramp longer than its phase."""
    if not phases:
        raise ValueError("a job needs at least one phase")
    spans: list[Span] = []
    at, before, rate = 0, 0.0, 0.0
    for index, phase in enumerate(phases):
        if phase.ramp_ns > phase.for_ns:
            raise ValueError(f"phase {phase.name}: the ramp is longer than the phase")
        start, held, end = at, at + phase.ramp_ns, at + phase.for_ns
        stretches: list[tuple[int, Shape]] = []
        if phase.ramp_ns:
            stretches.append((held, Ramp(rate, phase.rate, phase.ramp_ns / SECOND)))
        if held < end:
            stretches.append((end, hold_of(phase)))
        pieces: list[Piece] = []
        for until, shape in stretches:
            pieces.append(Piece(at, until, shape, before))
            at, before, rate = until, pieces[-1].after, pieces[-1].end_rate
        cycle = phase.burst_on_ns + phase.burst_off_ns if phase.burst_on_ns else 0
        spans.append(Span(index, phase.name, phase.role, start, end, tuple(pieces), cycle))
    return tuple(spans)
