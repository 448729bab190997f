"""Reactor: the loop around a worker's sockets.

Each turn, synchronously: launch what is due, poll once, drain every ready socket, expire. Then either the
next turn at once, or a wait for the next event: in the poller itself, which is the quickest to wake up, or
through trio, while nothing is under way and there is time. The clock is the monotonic one, in ns.

An operating system wakes a thread some 50 to 150 µs after its time. So waits for an arrival end with a spin
of SPIN_NS, but one a millisecond at most: a tenth of a core is the most that it can take. Waits of less than
SHORT_NS are spins as well: to set a timer, sleep and wake up takes a processor as long.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns as clock
from typing import Final

import trio

from loadtool.engine.aborting import cut_off_some
from loadtool.engine.feed import FAR, FILLED_AT_ONCE
from loadtool.engine.ledger import Ledger
from loadtool.engine.parts import Arrivals, Exchanges
from loadtool.engine.poller import Events, Poller

LAUNCHES_A_TURN: Final = 64  # then the answers get their turn
SPIN_NS: Final = 100_000
SPINS_APART_NS: Final = 1_000_000
SHORT_NS: Final = 30_000
TAKE_NS: Final = 30_000  # an answer takes so long: one that comes later waits until the arrival has left
YIELD_NS: Final = 50_000_000  # trio gets its turn about so often; at least half as often
YIELD_ROOM_NS: Final = 300_000  # its turn takes some 100 µs
# Time stamps take time, which a loop that hardly rests has not got: it is at ease if it has rested for a
# fifth of the last window, and in the last ms.
EASE_NS: Final = 1_000_000
EASE_WINDOW_NS: Final = 5_000_000
EASE_RESTED: Final = 5
FILL_NS: Final = 20_000  # a gap worth preparing an arrival in


class Reactor:
    """Sends the arrivals of a feed, each when it is due."""

    def __init__(
        self,
        feed: Arrivals,
        traffic: Exchanges,
        ledger: Ledger,
        poller: Poller,
        clock: Callable[[], int] = clock,
    ) -> None:
        self.on_tick: Callable[[int], int] = _never  # called at `next_tick`, returns the next one
        self.next_tick = FAR
        self.on_stop: Callable[[int], None] = _ignore  # called when `stop_at` has come, before the aborting
        self.stop_at = FAR  # arrivals due from then on are not of the run; the others are aborted then
        self._feed = feed
        self._traffic = traffic
        self._ledger = ledger
        self._poller = poller
        self._clock = clock
        self._woken = 0  # when it last had nothing to do
        self._spun = 0  # when the arrival was due that it last spun for
        self._rests = True
        self._window = 0  # when the window began in which its rest is counted
        self._window_rested = 0  # what it had rested by then
        self._due = FAR  # when the first prepared arrival is due; FAR if there may be none
        self._now = 0  # at the end of the last turn

    async def run(self) -> None:
        """Until every arrival is done, or `stop_at` has passed."""
        feed, ledger, poller, traffic = self._feed, self._ledger, self._poller, self._traffic
        clock = self._clock
        yielded = now = clock()
        while True:
            busy = self.turn(now)
            now = self._now
            if now >= self.stop_at:
                self._abort_rest(now)
                return
            if now - yielded > YIELD_NS and self._may_yield(now, now - yielded, busy):
                await trio.lowlevel.checkpoint()
                yielded = now = clock()
                continue
            if not busy:
                if traffic.done() and not feed.has_next():
                    traffic.close()
                    return
                wake = self._next_event()
                if wake > now:
                    ledger.last_idle = now
                if wake - now > FILL_NS and feed.wants():
                    feed.fill(FILLED_AT_ONCE if wake - now > FILLED_AT_ONCE * FILL_NS else 1)
                    now = clock()
                    continue
                if wake - now > YIELD_NS and traffic.done():
                    poller.arm(wake - SPINS_APART_NS)
                    await trio.lowlevel.wait_readable(poller.fileno())
                    yielded = clock()
                    traffic.drop_spoilt(poller.poll())  # before anything is sent; the others come up again
                    now = clock()
                    continue
                events = self._wait(now, wake)
                woken = self._woken = clock()
                ledger.rested += max(0, min(woken, wake) - now)
                now = woken
                if events:
                    traffic.dispatch(events, self._has_rested(woken))
                    now = clock()

    def _may_yield(self, now: int, late: int, busy: bool) -> bool:
        """Whether trio gets the turn that is due to it for `late` ns: best when nothing is due soon."""
        return late > 2 * YIELD_NS or (not busy and self._next_event() - now > YIELD_ROOM_NS)

    def _wait(self, now: int, wake: int) -> Events:
        """What is ready before `wake`, or before it is trio's turn."""
        poller, clock = self._poller, self._clock
        if wake - now > YIELD_NS:
            return poller.wait_until(now + YIELD_NS)
        events: Events = []
        if wake - now < SHORT_NS:
            while not events and clock() < wake:
                events = poller.poll()
            return events
        if wake < self._due or 0 < wake - self._spun < SPINS_APART_NS:
            return poller.wait_until(wake)
        spin_from = wake - SPIN_NS
        if spin_from > now:
            events = poller.wait_until(spin_from)
        if not events:
            self._spun = wake
            while not events and clock() < wake - TAKE_NS:
                events = poller.poll()
            if not events:
                while clock() < wake:
                    pass
        return events

    def turn(self, now: int) -> bool:
        """Do what can be done at `now`; whether more may be to do.

        The clock, which takes its share of a request, is looked at only after something that takes time.
        """
        feed, traffic, clock = self._feed, self._traffic, self._clock
        ready = feed.ready
        due = self._due
        launched = 0
        while launched < LAUNCHES_A_TURN:
            if due == FAR:
                if not feed.has_next():
                    break
                ready = feed.ready
                due = ready[-1].due
                now = clock()
                continue
            if due > now or due >= self.stop_at:
                break
            traffic.launch(ready.pop(), now)
            launched += 1
            due = ready[-1].due if ready else FAR
            now = clock()
        self._due = due
        events = self._poller.poll()
        if events:
            traffic.dispatch(events, now - self._woken < EASE_NS and self._has_rested(now))
        now = clock()
        if traffic.upkeep(now):
            now = clock()
        if now >= self.next_tick:
            self.next_tick = self.on_tick(now)
            now = clock()
        self._now = now
        # What has been launched needs no second look: the poll came after it, and found nothing.
        return len(events) > 0 or due <= now or launched == LAUNCHES_A_TURN

    def _has_rested(self, now: int) -> bool:
        """Whether it had enough rest in the last window that has ended."""
        length = now - self._window
        if length >= EASE_WINDOW_NS:
            rested = self._ledger.rested
            self._rests = self._window == 0 or (rested - self._window_rested) * EASE_RESTED >= length
            self._window, self._window_rested = now, rested
        return self._rests

    def _next_event(self) -> int:
        return min(self.next_tick, self.stop_at, self._due, self._traffic.next_event())

    def _abort_rest(self, now: int) -> None:
        """The run is over: whatever is under way is aborted. In between, only the pipes have a say."""
        self._due = FAR
        self.on_stop(now)
        traffic = self._traffic
        traffic.close()
        while traffic.abort_some(now) or cut_off_some(self._feed, self._ledger, self.stop_at, now):
            traffic.dispatch(self._poller.poll(), False)
            moment = self._clock()
            if moment >= self.next_tick:
                self.next_tick = self.on_tick(moment)


def _never(now: int) -> int:
    return FAR


def _ignore(now: int) -> None:
    pass
