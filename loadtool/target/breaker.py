"""A circuit breaker before the store: when most calls fail, fail the rest at once, and try again later."""

from __future__ import annotations

import math
from collections import deque

import trio

from loadtool.target.pool import Answer, Connect, StoreError, StorePool, connect_tcp
from loadtool.target.settings import Settings
from loadtool.units import SECOND

WINDOW = 20  # calls over which the share of bad ones is taken


class Breaker:
    """Closed, it lets every call pass; open, none; half open, one on trial to see whether all is well again.

    Pure: time comes in as seconds of any clock.
    """

    def __init__(self, share: float, open_s: float) -> None:
        """Opens for `open_s` when at least `share` of the last WINDOW calls were bad."""
        self._share = share
        self._open_s = open_s
        self._bad: deque[bool] = deque(maxlen=WINDOW)
        self._open_until = -math.inf  # -inf while closed
        self.trying = False  # half open, and a call is on trial

    @property
    def state(self) -> str:
        if self._open_until == -math.inf:
            return "closed"
        return "half open" if self.trying else "open"

    def enter(self, now: float) -> float:
        """Ask leave for a call. Returns 0 if it may pass, else the seconds until it is worth asking again.

        Each call that passes ends with `leave` or `give_up`; it is on trial if `trying` is true now.
        """
        if self._open_until == -math.inf:
            return 0.0
        if now >= self._open_until and not self.trying:
            self.trying = True
            return 0.0
        return max(self._open_until - now, 0.0) or self._open_s

    def leave(self, now: float, *, bad: bool, trial: bool) -> None:
        """A call has ended. `trial`: it passed half open; others that end meanwhile are from before."""
        if trial:
            self.trying = False
            self._open_until = now + self._open_s if bad else -math.inf
        elif self._open_until == -math.inf:
            self._bad.append(bad)
            if len(self._bad) == WINDOW and sum(self._bad) >= self._share * WINDOW:
                self._open_until = now + self._open_s
                self._bad.clear()

    def give_up(self, *, trial: bool) -> None:
        """A call was abandoned: nothing is learned from it."""
        if trial:
            self.trying = False


class StoreShut(StoreError):
    """The breaker is open: the store was not asked."""

    def __init__(self, address: str, retry_after_s: float) -> None:
        super().__init__(f"store at {address} has failed too often and is left alone for a while")
        self.retry_after_s = retry_after_s


class BreakerPool(StorePool):
    """A pool of connections to a store with a breaker before it."""

    def __init__(
        self,
        address: str,
        *,
        connections: int,
        timeout_s: float,
        connect: Connect,
        breaker: Breaker,
        slow_s: float,
    ) -> None:
        """A call is bad if it failed or took longer than `slow_s`, waiting for a connection included."""
        super().__init__(address, connections=connections, timeout_s=timeout_s, connect=connect)
        self.breaker = breaker
        self._slow_s = slow_s

    async def ask(self, request: bytes) -> Answer:
        """As StorePool's. Raises StoreShut too."""
        start = trio.current_time()
        if (wait_s := self.breaker.enter(start)) > 0:
            raise StoreShut(self.address, wait_s)
        trial = self.breaker.trying
        try:
            answer = await super().ask(request)
        except trio.Cancelled:
            self.breaker.give_up(trial=trial)
            raise
        except StoreError:
            self.breaker.leave(trio.current_time(), bad=True, trial=trial)
            raise
        now = trio.current_time()
        self.breaker.leave(now, bad=now - start > self._slow_s, trial=trial)
        return answer


def make_pool(settings: Settings, address: str, connect: Connect = connect_tcp) -> StorePool:
    """The pool that the settings ask for."""
    connections = settings.store_connections or settings.slots
    timeout_s = settings.store_timeout_ns / SECOND
    if settings.breaker is None:
        return StorePool(address, connections=connections, timeout_s=timeout_s, connect=connect)
    return BreakerPool(
        address,
        connections=connections,
        timeout_s=timeout_s,
        connect=connect,
        breaker=Breaker(settings.breaker, settings.breaker_open_ns / SECOND),
        slow_s=settings.breaker_slow_ns / SECOND,
    )
