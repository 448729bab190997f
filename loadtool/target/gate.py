"""The gate before the work: a number of slots, and a queue of those who wait for one."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import trio

from loadtool.target.settings import Settings
from loadtool.units import SECOND


class TurnedAway(Exception):
    """A request that gets no slot. `reason` is for the client and the statistics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Waiter:
    """A request in the queue, until somebody decides: admitted, or turned away for a reason."""

    __slots__ = ("decided", "refusal", "since")

    def __init__(self, since: float) -> None:
        self.since = since  # when it came, in seconds of trio's clock
        self.decided = trio.Event()
        self.refusal: str | None = None

    def admit(self) -> None:
        self.decided.set()

    def turn_away(self, reason: str) -> None:
        self.refusal = reason
        self.decided.set()


class Queue(Protocol):
    """Who waits, who is next, and who is turned away when no more fit. Times in seconds of trio's clock."""

    def __len__(self) -> int: ...

    def refusal(self, now: float) -> str | None:
        """Why one that came now would be turned away; None if it may wait."""

    def put(self, waiter: Waiter, now: float) -> None:
        """Let it wait; another one may be turned away for it."""

    def take(self, now: float) -> Waiter | None:
        """The next to be admitted, no longer in the queue; None if nobody waits."""

    def remove(self, waiter: Waiter) -> None:
        """It left by itself."""


class Fifo:
    """First come, first served; one that finds `limit` others waiting is turned away."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        # Ordered, with cheap removal from the middle: a queue may be very long and its members impatient.
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def refusal(self, now: float) -> str | None:
        return "queue full" if self.limit is not None and len(self._waiting) >= self.limit else None

    def put(self, waiter: Waiter, now: float) -> None:
        self._waiting[waiter] = None

    def take(self, now: float) -> Waiter | None:
        return self._waiting.popitem(last=False)[0] if self._waiting else None

    def remove(self, waiter: Waiter) -> None:
        self._waiting.pop(waiter, None)


# By the name in `Settings.queue_policy`; made with the longest that the queue may get.
QUEUES: dict[str, Callable[[int | None], Queue]] = {"fifo": Fifo}


def make_gate(settings: Settings) -> Gate:
    """The gate that the settings ask for."""
    queue = QUEUES[settings.queue_policy](settings.queue)
    timeout_ns = settings.queue_timeout_ns
    return Gate(settings.slots, queue, None if timeout_ns is None else timeout_ns / SECOND)


class Gate:
    """At most `slots` requests inside; others wait, at most `timeout_s` each.

    `async with gate:` holds a slot. Entering raises TurnedAway.
    """

    def __init__(self, slots: int, queue: Queue, timeout_s: float | None) -> None:
        self.slots = slots
        self.queue = queue
        self.timeout_s = timeout_s
        self.in_flight = 0

    def refusal(self) -> str | None:
        """Why one that came now would be turned away; None if it gets a slot or may wait."""
        return None if self.in_flight < self.slots else self.queue.refusal(trio.current_time())

    async def __aenter__(self) -> None:
        if self.in_flight < self.slots:
            self.in_flight += 1
            return
        now = trio.current_time()
        if (refusal := self.queue.refusal(now)) is not None:
            raise TurnedAway(refusal)
        waiter = Waiter(now)
        self.queue.put(waiter, now)
        with trio.move_on_after(math.inf if self.timeout_s is None else self.timeout_s) as wait:
            try:
                await waiter.decided.wait()
            except trio.Cancelled:
                # It gives up (the wait was too long, or the client left). In the same turn of the loop
                # somebody may have handed it a slot, which then goes to the next.
                if not waiter.decided.is_set():
                    self.queue.remove(waiter)
                elif waiter.refusal is None:
                    self._pass_on()
                raise
        if wait.cancelled_caught:
            raise TurnedAway("waited too long")
        if waiter.refusal is not None:
            raise TurnedAway(waiter.refusal)

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """A slot goes from hand to hand, so that nobody slips in between."""
        waiter = self.queue.take(trio.current_time())
        if waiter is None:
            self.in_flight -= 1
        else:
            waiter.admit()
