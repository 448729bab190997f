"""The gate before the work: a number of slots, and a queue of those who wait for one."""

from __future__ import annotations

import math

import trio

from loadtool.target.queues import QUEUES, Queue, Reason, Waiter
from loadtool.target.settings import Settings
from loadtool.units import SECOND


class TurnedAway(Exception):
    """A request that gets no slot. `reason` is for the client and the statistics."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def make_gate(settings: Settings) -> Gate:
    """The gate that the settings ask for."""
    queue = QUEUES[settings.queue_policy](settings)
    timeout_ns = settings.queue_timeout_ns
    return Gate(settings.slots, queue, math.inf if timeout_ns is None else timeout_ns / SECOND)


class Gate:
    """At most `slots` requests inside; others wait, at most `timeout_s` each.

    `async with gate:` holds a slot. Entering raises TurnedAway.
    """

    def __init__(self, slots: int, queue: Queue, timeout_s: float = math.inf) -> None:
        self.slots = slots
        self.queue = queue
        self.timeout_s = timeout_s
        self.in_flight = 0

    def refusal(self) -> Reason | None:
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
        patience_s = min(self.timeout_s, self.queue.patience_s(now))
        self.queue.put(waiter, now)
        with trio.move_on_after(patience_s) as wait:
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
