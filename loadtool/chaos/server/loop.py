"""The event loop under all proxies: one epoll (kqueue on macOS) that trio waits on, and one heap of timers.

trio pays once a batch of events instead of once a connection; nothing in here or called from here waits.
"""

from __future__ import annotations

import heapq
import math
import selectors
import socket
from collections.abc import Callable
from itertools import count

import trio

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

OnEvent = Callable[[int], None]
OnTime = Callable[[float], None]


class Timer:
    """A call that is to come, unless it is cancelled."""

    __slots__ = ("on_time", "time")

    def __init__(self, time: float, on_time: OnTime) -> None:
        self.time = time
        self.on_time: OnTime | None = on_time


class Loop:
    """Calls back when a watched socket is ready, with its events, and when a time has come, with the time."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._cancelled = 0
        self._count = count()
        self._idle = trio.CancelScope()
        self.now: Callable[[], float] = trio.current_time

    def watch(self, sock: socket.socket, was: int, events: int, on_event: OnEvent) -> None:
        """Watch `sock` for `events` from now on instead of for `was`; 0 is not at all."""
        if not events:
            if was:
                self._selector.unregister(sock)
        elif was:
            self._selector.modify(sock, events, on_event)
        else:
            self._selector.register(sock, events, on_event)

    def at(self, time: float, on_time: OnTime) -> Timer:
        """Call `on_time` once, at `time` or soon after."""
        timer = Timer(time, on_time)
        heapq.heappush(self._timers, (time, next(self._count), timer))
        self._idle.deadline = min(self._idle.deadline, time)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer that has not been called yet."""
        timer.on_time = None  # and with it all that it would keep in memory until then
        self._cancelled += 1
        if self._cancelled > 1000 and self._cancelled * 2 > len(self._timers):
            self._timers = [t for t in self._timers if t[2].on_time is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    async def run(self) -> None:
        """Serve events until cancelled."""
        # DefaultSelector is epoll or kqueue on all systems that loadtool supports; both have a descriptor.
        descriptor = self._selector.fileno()
        while True:
            first = self._timers[0][0] if self._timers else math.inf
            with trio.CancelScope(deadline=first) as self._idle:
                await trio.lowlevel.wait_readable(descriptor)
            for key, events in self._selector.select(0):
                key.data(events)
            now = self.now()
            while self._timers and self._timers[0][0] <= now:
                on_time = heapq.heappop(self._timers)[2].on_time
                if on_time is None:
                    self._cancelled -= 1
                else:
                    on_time(now)

    def close(self) -> None:
        """Give the epoll back. Nothing may be watched any more."""
        self._selector.close()
