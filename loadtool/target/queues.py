"""Who waits for a slot, who is next, and who is turned away: the orders that a queue may have."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

import trio

from loadtool.target.settings import Settings
from loadtool.units import SECOND

# Every one there is; the last two are of the limits before the gate.
Reason = Literal["queue full", "waited too long", "rate limit", "concurrency limit"]


class Waiter:
    """A request in the queue, until somebody decides: admitted, or turned away for a reason."""

    __slots__ = ("decided", "refusal", "since")

    def __init__(self, since: float) -> None:
        self.since = since  # when it came, in seconds of trio's clock
        self.decided = trio.Event()
        self.refusal: Reason | None = None

    def admit(self) -> None:
        self.decided.set()

    def turn_away(self, reason: Reason) -> None:
        self.refusal = reason
        self.decided.set()


class Queue(Protocol):
    """Those who wait. Times in seconds of trio's clock."""

    def __len__(self) -> int: ...

    def refusal(self, now: float) -> Reason | None:
        """Why one that came now would be turned away; None if it may wait."""

    def patience_s(self, now: float) -> float:
        """How long one that comes now may wait."""

    def put(self, waiter: Waiter, now: float) -> None:
        """Let it wait; another one may be turned away for it."""

    def take(self, now: float) -> Waiter | None:
        """The next to be admitted, no longer in the queue; None if nobody waits."""

    def remove(self, waiter: Waiter) -> None:
        """It left by itself."""


class Fifo:
    """First come, first served; one that finds the queue full is turned away."""

    def __init__(self, settings: Settings) -> None:
        self.limit = math.inf if settings.queue is None else settings.queue
        # Ordered, with cheap removal from the middle: a queue may be very long and its members impatient.
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def refusal(self, now: float) -> Reason | None:
        return "queue full" if len(self._waiting) >= self.limit else None

    def patience_s(self, now: float) -> float:
        return math.inf

    def put(self, waiter: Waiter, now: float) -> None:
        self._waiting[waiter] = None

    def take(self, now: float) -> Waiter | None:
        return self._waiting.popitem(last=False)[0] if self._waiting else None

    def remove(self, waiter: Waiter) -> None:
        self._waiting.pop(waiter, None)


class Lifo(Fifo):
    """Last come, first served; when the queue is full, the oldest is turned away for the newcomer.

    Under overload every order leaves some unserved. This one leaves those who have waited longest, whose
    clients are the likeliest to have given up, and serves the others fast.
    """

    def refusal(self, now: float) -> Reason | None:
        return "queue full" if self.limit == 0 else None

    def put(self, waiter: Waiter, now: float) -> None:
        if len(self._waiting) >= self.limit:
            self._waiting.popitem(last=False)[0].turn_away("queue full")
        super().put(waiter, now)

    def take(self, now: float) -> Waiter | None:
        return self._waiting.popitem(last=True)[0] if self._waiting else None


class Codel(Fifo):
    """First come, first served, with little patience while the queue stands: controlled delay.

    A queue that runs empty every now and then absorbs a burst, and its members may wait. One that has not
    been empty for `codel_interval` only adds delay: whoever comes then waits `codel_target` at most. As in
    B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015, after Nichols and Jacobson's CoDel.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._target_s = settings.codel_target_ns / SECOND
        self._interval_s = settings.codel_interval_ns / SECOND
        self._last_empty = -math.inf

    def patience_s(self, now: float) -> float:
        stands = len(self._waiting) > 0 and now - self._last_empty > self._interval_s
        return self._target_s if stands else self._interval_s

    def put(self, waiter: Waiter, now: float) -> None:
        if not self._waiting:
            self._last_empty = now
        super().put(waiter, now)


# By the name in `Settings.queue_policy`.
QUEUES: dict[str, Callable[[Settings], Queue]] = {"fifo": Fifo, "lifo": Lifo, "codel": Codel}
