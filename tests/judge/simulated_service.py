"""A simulated service: slots, a queue, shedding, clients that give up, and work that may go on without them.

Discrete events, in order of due times; times are integers in µs. Response times are rounded up to multiples
of 1,024 µs, which are buckets of the histograms, so that counting them is cheap.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from random import Random
from typing import Final

from overload_runs import GOOD_WITHIN_US, Run

from loadtool.measure.frame import Sparse
from loadtool.measure.outcome import H_OK, H_SHED, OK, SHED, STATUS, TIMEOUT

SECOND: Final = 1_000_000
TIMEOUT_US: Final = 2 * SECOND
REFUSAL_US: Final = 3 * 1024

Outcomes = tuple[list[int], list[int]]  # codes, and times in µs: of the answer, or of what the client waited


@dataclass(frozen=True)
class Service:
    """`capacity` in requests/s. `queue`: places in it; None: no bound. `refuses_with`: what those get who
    find it full. `lifo`: the newest first. `cancels`: work whose client has left is dropped.
    """

    capacity: float
    slots: int = 4
    queue: int | None = None
    refuses_with: int = SHED
    lifo: bool = False
    cancels: bool = True

    def serve(self, dues: Sequence[int], rng: Random) -> Outcomes:
        return (self._lifo if self.lifo else self._fifo)(dues, rng)

    def _work(self, rng: Random) -> Callable[[], int]:
        """Service times: from half to one and a half of their mean."""
        mean = self.slots / self.capacity * SECOND
        draw = rng.random
        return lambda: int(mean * (0.5 + draw()))

    def _fifo(self, dues: Sequence[int], rng: Random) -> Outcomes:
        work = self._work(rng)
        free = [0] * self.slots  # when each slot is free again
        waiting: deque[int] = deque()  # when those in the queue will leave it
        places = self.queue if self.queue is not None else 1 << 60
        codes, times = [], []
        for due in dues:
            while waiting and waiting[0] <= due:
                waiting.popleft()
            if len(waiting) >= places:
                codes.append(self.refuses_with)
                times.append(REFUSAL_US)
                continue
            start = free[0] if free[0] > due else due
            gives_up = due + TIMEOUT_US
            if self.cancels and start >= gives_up:
                waiting.append(gives_up)
                codes.append(TIMEOUT)
                times.append(TIMEOUT_US)
                continue
            done = start + work()
            heapreplace(free, gives_up if self.cancels and done > gives_up else done)
            if start > due:
                waiting.append(start)
            if done > gives_up:
                codes.append(TIMEOUT)
                times.append(TIMEOUT_US)
            else:
                codes.append(OK)
                times.append((done - due | 1023) + 1)
        return codes, times

    def _lifo(self, dues: Sequence[int], rng: Random) -> Outcomes:
        """Work is dropped when its client leaves."""
        work = self._work(rng)
        busy: list[int] = []  # when each busy slot is free again
        stack: list[int] = []  # indexes of those who wait
        codes, times = [TIMEOUT] * len(dues), [TIMEOUT_US] * len(dues)

        def begin(index: int, now: int) -> None:
            gives_up = dues[index] + TIMEOUT_US
            done = now + work()
            if done <= gives_up:
                codes[index], times[index] = OK, (done - dues[index] | 1023) + 1
            heappush(busy, min(done, gives_up))

        def until(now: int) -> None:
            while busy and busy[0] <= now:
                freed = heappop(busy)
                while stack:
                    index = stack.pop()
                    if dues[index] + TIMEOUT_US > freed:
                        begin(index, freed)
                        break

        heapify(busy)
        for index, due in enumerate(dues):
            until(due)
            if len(busy) < self.slots:
                begin(index, due)
            else:
                stack.append(index)
        until(1 << 60)
        return codes, times


def count(run: Run, dues_ns: Sequence[int], segments: Sequence[int], outcomes: Outcomes) -> None:
    """Into the run's books; the arrivals of a segment stand together."""
    codes, times = outcomes
    start = 0
    while start < len(segments):
        segment = segments[start]
        end = run.end_of(segment, dues_ns, start)
        these, took = codes[start:end], times[start:end]
        cell = run.cell(segment)
        cell.scheduled += end - start
        cell.attempts += end - start
        if run.timeline.spans[run.timeline.segments[segment].phase].role == "baseline":
            these = [STATUS if code == SHED else code for code in these]  # nobody may turn away normal load
        for code, n in Counter(these).items():
            cell.counts[code] += n
        if OK in these:
            answered = [t for code, t in zip(these, took, strict=True) if code == OK]
            cell.good += sum(t <= GOOD_WITHIN_US for t in answered)
            cell.values[H_OK] = Sparse(dict(Counter(answered)), sum(answered), max(answered))
        if SHED in these:
            n = cell.counts[SHED]
            cell.values[H_SHED] = Sparse({REFUSAL_US: n}, REFUSAL_US * n, REFUSAL_US)
            cell.first_shed_ns = dues_ns[start + these.index(SHED)]
        start = end
