"""How near and how quick two cores are, and runs for which that stays the same.

A hypervisor moves its guests' processors about: two that share a cache are a moment later in different ones,
for seconds, and what goes from one to the other takes six times as long. For other seconds a core takes up to
two thirds longer for the same work, as if what it shares with a neighbour were in use. No steal shows either.
Requests over loopback go from core to core all the time, so the same tool then makes a quarter to a third
less. So what is compared is measured while the cores are as near and as quick as they have been seen: each
tool's runs, by one rule.
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
# Times the shortest seen: it takes 0.80 to 0.86 ms on a core left alone, 1.0 to 1.4 ms on one that is not.
QUICK: Final = 1.15
WORK: Final = 20_000  # additions
SHARES: Final = 5  # of it
WAIT_S: Final = 12.0  # at most before a run
LOOK_EVERY_S: Final = 0.2
PATIENCE_S: Final = 90.0  # for waiting and for runs done again, between two calls of `told`
TRIES: Final = 3  # of a run in which the cores were far or slow
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


@dataclass(frozen=True)
class Look:
    """What two cores are like at a moment."""

    apart_ns: float  # a round trip from one to the other
    work_us: float  # what a piece of work takes on the slower of them


def look(here: int, there: int) -> Look:
    """What cores `here` and `there` are like now; takes some 15 ms. Raises OSError if one may not be used."""
    return Look(round_trip_ns(here, there), max(work_us(here), work_us(there)))


def work_us(core: int) -> float:
    """What a piece of work takes on this core, in µs: the median of SHARES. Raises OSError."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return statistics.median(_worked() for _ in range(SHARES)) / 1e3
    finally:
        os.sched_setaffinity(0, before)


def _worked() -> int:
    began = time.perf_counter_ns()
    total = 0
    for number in range(WORK):
        total += number * number
    return time.perf_counter_ns() - began


@dataclass
class Cores:
    """Two cores as they change. `look` tells what they are like."""

    look: Callable[[], Look]
    nearest_ns: float = float("inf")
    quickest_us: float = float("inf")
    seen: list[Look] = field(default_factory=list)  # before and after each run
    repeated: int = 0  # runs that were done again, as the cores were far or slow
    unsettled: int = 0  # runs that count although they were, as they were in all tries
    patience_s: float = PATIENCE_S  # what is left of it
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def settled(self, run: Callable[[], T]) -> T:
        """The outcome of a run before and after which the cores were near and quick.

        If none of TRIES was so, or patience is at its end, it is that of the last one.
        """
        for number in range(TRIES):
            before = self._wait()
            began = self.clock()
            outcome = run()
            after = self._look()
            self.seen += [before, after]
            if self._good(before) and self._good(after):
                return outcome
            if number == TRIES - 1 or self.patience_s <= 0:
                break
            self.repeated += 1
            self.patience_s -= self.clock() - began
        self.unsettled += 1
        return outcome

    def _wait(self) -> Look:
        """What they are like once they are near and quick, or WAIT_S or patience is over."""
        left = round(WAIT_S / LOOK_EVERY_S)
        while True:
            now = self._look()
            if self._good(now) or not left or self.patience_s <= 0:
                return now
            left -= 1
            self.patience_s -= LOOK_EVERY_S
            self.sleep(LOOK_EVERY_S)

    def _look(self) -> Look:
        now = self.look()
        self.nearest_ns = min(self.nearest_ns, now.apart_ns)
        self.quickest_us = min(self.quickest_us, now.work_us)
        return now

    def _good(self, seen: Look) -> bool:
        return seen.apart_ns <= NEAR * self.nearest_ns and seen.work_us <= QUICK * self.quickest_us

    def told(self) -> dict[str, float]:
        """What is kept with figures; counting begins anew."""
        seen, self.seen = self.seen, []
        apart, work = [look.apart_ns for look in seen], [look.work_us for look in seen]
        told = {
            "nearest_ns": round(self.nearest_ns, 1), "apart_ns": round(statistics.median(apart), 1),
            "farthest_ns": round(max(apart), 1), "quickest_us": round(self.quickest_us, 1),
            "work_us": round(statistics.median(work), 1), "slowest_us": round(max(work), 1),
            "repeated": self.repeated, "unsettled": self.unsettled,
        } if seen else {}  # fmt: skip
        self.repeated = self.unsettled = 0
        self.patience_s = PATIENCE_S
        return told
