"""How far two cores are from each other, and runs for which that stays the same.

A hypervisor moves its guests' processors about: two that share a cache are a moment later in different ones,
for seconds, and what goes from one to the other takes six times as long. No steal shows it. Requests over
loopback go from core to core all the time, so the same tool then makes a third less. So what is compared is
measured while the cores are as near to each other as they have been seen: each tool's runs, by one rule.
"""

from __future__ import annotations

import mmap
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

T = TypeVar("T")

BATCHES: Final = 9
TRIPS: Final = 300  # a batch: about 0.1 ms
# Times the shortest seen: near trips take 230 to 340 ns, 200 of which are Python's, far ones 370 to 640.
NEAR: Final = 1.5
WAIT_S: Final = 12.0  # at most before a run
LOOK_EVERY_S: Final = 0.2
TRIES: Final = 3  # of a run in which the cores were moved
ANSWER_S: Final = 1.0  # a batch that takes as long has lost its other side


def round_trip_ns(here: int, there: int) -> float:
    """What it takes for a byte to go from core `here` to `there` and for one to come back, in ns.

    The median of BATCHES, with what Python takes for it. One that takes longer than ANSWER_S, as another
    program has a core, counts as that long. Raises OSError if a core may not be used.
    """
    before = os.sched_getaffinity(0)
    with mmap.mmap(-1, mmap.PAGESIZE) as shared:
        os.sched_setaffinity(0, {there})  # inherited, so that the other one never runs on this one's core
        child = os.fork()
        if child == 0:
            _echo(shared)
        try:
            os.sched_setaffinity(0, {here})
            return statistics.median(_batches(shared))
        except TimeoutError:
            return ANSWER_S * 1e9 / TRIPS
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.sched_setaffinity(0, before)


def _batches(shared: mmap.mmap) -> Iterable[float]:
    value = 0
    for _ in range(BATCHES):
        began = time.perf_counter_ns()
        give_up = began + int(ANSWER_S * 1e9)
        for _ in range(TRIPS):
            shared[0] = value + 1 & 255
            value = value + 2 & 255
            looks = 0
            while shared[0] != value:
                looks += 1
                if not looks & 0xFFFF and time.perf_counter_ns() > give_up:
                    raise TimeoutError("no answer from the other core: another program has it")
        yield (time.perf_counter_ns() - began) / TRIPS


def _echo(shared: mmap.mmap) -> None:
    """Answer each odd value by the next one, until killed, or for as long as anybody could ask."""
    try:
        value, give_up = 1, time.monotonic() + (BATCHES + 1) * ANSWER_S
        looks = 0
        while looks & 0xFFFF or time.monotonic() < give_up:
            looks += 1
            if shared[0] == value:
                shared[0] = value + 1 & 255
                value = value + 2 & 255
                looks = 1
    finally:
        os._exit(0)


@dataclass
class Distance:
    """The distance of two cores as it changes. `look` measures it, in ns."""

    look: Callable[[], float]
    shortest: float = float("inf")  # ns
    seen: list[float] = field(default_factory=list)  # ns, before and after each run
    repeated: int = 0  # runs that were done again, as the cores had moved
    moved: int = 0  # runs that count although they had, as all tries were so
    sleep: Callable[[float], None] = time.sleep

    def settled(self, run: Callable[[], T]) -> T:
        """The outcome of a run before and after which the cores were near, if TRIES of them have one."""
        for number in range(TRIES):
            before = self._wait()
            outcome = run()
            after = self.look()
            self.shortest = min(self.shortest, after)
            self.seen += [before, after]
            if self._near(before) and self._near(after):
                return outcome
            if number < TRIES - 1:
                self.repeated += 1
        self.moved += 1
        return outcome

    def _wait(self) -> float:
        """How far they are, once they are near or WAIT_S is over."""
        left = round(WAIT_S / LOOK_EVERY_S)
        while True:
            now = self.look()
            self.shortest = min(self.shortest, now)
            if self._near(now) or not left:
                return now
            left -= 1
            self.sleep(LOOK_EVERY_S)

    def _near(self, ns: float) -> bool:
        return ns <= NEAR * self.shortest

    def told(self) -> dict[str, float]:
        """What is kept with figures; counting begins anew."""
        seen, self.seen = self.seen, []
        told = {
            "shortest_ns": round(self.shortest, 1), "median_ns": round(statistics.median(seen), 1),
            "longest_ns": round(max(seen), 1), "repeated": self.repeated, "moved": self.moved,
        } if seen else {}  # fmt: skip
        self.repeated = self.moved = 0
        return told
