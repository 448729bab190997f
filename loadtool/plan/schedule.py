"""Schedule: which arrivals a run has. Lazily, block by block, the same for any number of workers.

An arrival process is a function that yields positions on a stretch of the timeline's arrivals axis, in
blocks. A new process is one function and one row of `PROCESSES`. Batches are positions that coincide; bursts
change when a position is due (`plan/bursts.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from math import ceil, log
from typing import Final

from loadtool.plan.axis import TOLERANCE, Span
from loadtool.plan.choice import Choice
from loadtool.plan.job import Job, ReplaySpec
from loadtool.plan.ordinals import Ordinals
from loadtool.plan.replay import arrivals, copies_in_all
from loadtool.plan.seeding import GAPS, MIX, stream
from loadtool.plan.timeline import Timeline

# A worker makes a block at one go, between two looks at its sockets: this many take about 0.1 ms.
BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Batch:
    """Some arrivals as columns of equal length, in order of due time; never empty."""

    first: int  # the number of the first one in the run, from 0
    step: int  # from one number to the next
    due: list[int]  # ns since the run's start, in [0, duration)
    request: list[int]  # index into the job's requests
    segment: list[int]  # index into the timeline's segments
    ordinal: list[int]  # for Mix.message: which feeder rows are its own (see plan/ordinals.py)

    @property
    def arrival(self) -> Sequence[int]:
        """The number of each in the run."""
        return range(self.first, self.first + self.step * len(self.due), self.step)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive phases whose arrivals are made in the same way: [start, end) of the arrivals axis."""

    process: str
    batch: int
    start: float
    end: float


def _constant(stretch: _Stretch, seed: int, draws: Iterator[int]) -> Iterator[Sequence[float]]:
    """The k-th arrival is due when k arrivals were planned: the first at once."""
    start, batch = stretch.start, stretch.batch
    number = max(0, ceil(stretch.end - start - TOLERANCE))
    for first in range(0, number, BLOCK):
        block = range(first, min(first + BLOCK, number))
        if batch > 1:
            yield [start + k // batch * batch for k in block]
        elif start:
            yield [start + k for k in block]
        else:
            yield block


def _poisson(stretch: _Stretch, seed: int, draws: Iterator[int]) -> Iterator[Sequence[float]]:
    """Unit exponential gaps on the arrivals axis, which make a Poisson process of the planned rate in time.

    The time-change theorem: Cinlar, Introduction to Stochastic Processes (1975), §4.7. Batches come with gaps
    of their size on average: a compound Poisson process of the same mean.
    """
    at, batch, end = stretch.start, stretch.batch, stretch.end - TOLERANCE
    groups = max(1, BLOCK // batch)
    while at < end:
        draw = stream(seed, GAPS, next(draws)).random
        positions: list[float] = []
        for _ in range(groups):
            at += -batch * log(1.0 - draw())
            positions.append(at)
        if at >= end:
            del positions[bisect_left(positions, end) :]
        if batch > 1:
            positions = [position for position in positions for _ in range(batch)]
        for first in range(0, len(positions), BLOCK):
            yield positions[first : first + BLOCK]


# `draws` numbers the blocks that are drawn, so that every one has a stream of its own.
PROCESSES: Final[dict[str, Callable[[_Stretch, int, Iterator[int]], Iterator[Sequence[float]]]]] = {
    "constant": _constant,
    "poisson": _poisson,
}


def _stretches(job: Job, spans: Sequence[Span]) -> list[_Stretch]:
    """Raises ValueError for an unknown process."""
    stretches: list[_Stretch] = []
    for phase, span in zip(job.phases, spans, strict=True):
        process = phase.process or job.arrivals
        if process not in PROCESSES:
            raise ValueError(f"arrivals: got {process}, want one of {', '.join(PROCESSES)}")
        start, end = span.pieces[0].before, span.pieces[-1].after
        if stretches and (stretches[-1].process, stretches[-1].batch) == (process, phase.batch):
            start = stretches.pop().start
        stretches.append(_Stretch(process, phase.batch, start, end))
    return stretches


class Schedule:
    """The arrivals of a job."""

    def __init__(self, job: Job) -> None:
        """Raises ValueError for a job without phases or requests, of an unknown arrival process, or with a
        template that is none.
        """
        if not job.requests:
            raise ValueError("a job needs at least one request")
        self.timeline = Timeline.of(job)
        self._seed = job.seed
        self._replay = job.replay
        self._stretches = _stretches(job, self.timeline.spans)
        self._choice = Choice([r.weight for r in job.requests])
        self._ordinals = Ordinals(job)

    def count(self) -> int:
        """Arrivals of the whole run, exactly. Poisson ones must be drawn for it, at about 0.1 µs each."""
        return sum(map(len, self._blocks())) if self._replay is None else copies_in_all(self._replay)

    def batches(self, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """The arrivals whose number % workers is `worker`, in order. 0 <= worker < workers.

        Each worker draws the whole run and keeps its own share; the draws cost well under 1 µs an arrival.
        """
        if self._replay is not None:
            yield from self._replayed(self._replay, worker, workers)
            return
        number, ordinal = 0, 0
        for block, positions in enumerate(self._blocks()):
            size = len(positions)
            offset = (worker - number) % workers
            draws = self._draws(block, size)
            ordinals: list[int] | None = None
            if self._ordinals.used:
                # Feeder rows are handed out along the whole run, so every arrival's request matters here.
                requests = self._requests(draws)
                taken = self._ordinals.along(requests, ordinal)
                ordinal = taken.pop()
                requests, ordinals = requests[offset::workers], taken[offset::workers]
            else:
                requests = self._requests(draws[offset::workers])
            if offset < size:
                due = self.timeline.in_bursts(self.timeline.dues(positions[offset::workers]))
                yield Batch(
                    first=number + offset,
                    step=workers,
                    due=due,
                    request=requests,
                    segment=self._segments(due),
                    ordinal=ordinals or [0] * len(due),
                )
            number += size

    def counts_by_segment_and_request(
        self, until_ns: int | None = None, worker: int | None = None, workers: int = 1
    ) -> dict[tuple[int, int, int], int]:
        """How many arrivals fall into each (slice, segment, request); cells without any are left out.

        `until_ns`: only those due before it. `worker`: only that worker's of `workers`; None: everybody's.
        """
        share = (0, 1) if worker is None else (worker, workers)
        width = self.timeline.slice_ns
        cells: Counter[tuple[int, int, int]] = Counter()
        for batch in self.batches(*share):
            due = batch.due
            end = len(due) if until_ns is None else bisect_left(due, until_ns)
            cells.update(zip([ns // width for ns in due[:end]], batch.segment, batch.request, strict=False))
            if end < len(due):
                break
        return dict(cells)

    def counts_by_worker(
        self, until_ns: int, chosen: Sequence[int], workers: int
    ) -> dict[int, dict[tuple[int, int, int], int]]:
        """`counts_by_segment_and_request` of some workers, in one pass over the schedule for all of them."""
        if len(chosen) == 1:  # to keep its share alone is quicker
            only = chosen[0]
            return {only: self.counts_by_segment_and_request(until_ns, only, workers)}
        width = self.timeline.slice_ns
        cells: dict[int, Counter[tuple[int, int, int]]] = {worker: Counter() for worker in chosen}
        for batch in self.batches():
            end = bisect_left(batch.due, until_ns)
            slices = [ns // width for ns in batch.due[:end]]
            for worker, counted in cells.items():
                at = (worker - batch.first) % workers
                counted.update(
                    zip(
                        slices[at::workers], batch.segment[at::workers], batch.request[at::workers],
                        strict=False,
                    )
                )  # fmt: skip
            if end < len(batch.due):
                break
        return {worker: dict(counted) for worker, counted in cells.items()}

    def counts_by_segment(self, from_ns: int) -> dict[int, int]:
        """How many arrivals fall into each segment from this time on, one of them at least; not of a replay.

        What comes before is drawn, and not looked at: that takes but a part of the time.
        """
        near = self.timeline.arrivals_by(from_ns) - 1.0  # well before, whatever rounding does
        counts: Counter[int] = Counter()
        for positions in self._blocks():
            if positions[-1] >= near:
                counts.update(self._segments(self.timeline.in_bursts(self.timeline.dues(positions))))
        first = self.timeline.segment_at(from_ns)
        return {segment: n for segment, n in counts.items() if segment >= first}

    def _blocks(self) -> Iterator[Sequence[float]]:
        draws = count()
        for stretch in self._stretches:
            yield from PROCESSES[stretch.process](stretch, self._seed, draws)

    def _replayed(self, replay: ReplaySpec, worker: int, workers: int) -> Iterator[Batch]:
        mine = islice(enumerate(arrivals(replay)), worker, None, workers)
        while rows := list(islice(mine, BLOCK)):
            due = [row[0] for _, row in rows]
            yield Batch(
                first=rows[0][0],
                step=workers,
                due=due,
                request=[row[1] for _, row in rows],
                segment=self._segments(due),
                ordinal=[row[2] for _, row in rows],
            )

    def _draws(self, block: int, size: int) -> Sequence[float]:
        if self._choice.last == 0:
            return range(size)  # nothing to choose
        draw = stream(self._seed, MIX, block).random
        return [draw() for _ in range(size)]

    def _requests(self, draws: Sequence[float]) -> list[int]:
        return self._choice.of(draws) if self._choice.last > 0 else [0] * len(draws)

    def _segments(self, due: list[int]) -> list[int]:
        """Segment of each due time. They ascend, so one search a segment serves them all."""
        segments = self.timeline.segments
        at = self.timeline.segment_at(due[0])
        column: list[int] = []
        while len(column) < len(due):
            end = bisect_left(due, segments[at].end_ns, len(column))
            column += [at] * (end - len(column))
            at += 1
        return column
