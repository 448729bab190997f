"""The event loop under all proxies: one epoll (kqueue on macOS) that trio waits on, and one heap of timers.

trio pays once for as long as there is something to do, instead of once a connection or a batch. Nothing in
here waits, nor does what it calls.
"""

from __future__ import annotations

import heapq
import math
import select
import socket
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import trio

from loadtool.engine import poller
from loadtool.engine.poller import Events

READ: Final = poller.READ
WRITE: Final = poller.WRITE
# How long (s) events are served before trio gets a turn, with the API's requests: its turn costs 50 µs or so.
_STRETCH_S: Final = 0.002
_MOST_EVENTS: Final = 1024  # of one poll, where that has to be said

OnEvent = Callable[[int], None]
OnTime = Callable[[float], None]


class Timer:
    """A call that is to come, unless it is cancelled."""

    __slots__ = ("on_time", "time")

    def __init__(self, time: float, on_time: OnTime) -> None:
        self.time = time
        self.on_time: OnTime | None = on_time


class Loop:
    """Calls back when a watched socket is ready, and when a time has come, with the time.

    What a socket is ready for comes as READ and WRITE; a broken one is ready for both. It may be meant for a
    socket of the same number that was closed a moment ago: whoever is called finds out by asking the socket.
    """

    def __init__(self) -> None:
        if sys.platform == "linux":
            epoll = select.epoll()
            self._poller: select.epoll | poller.Poller = epoll
            self._poll: Callable[[], Events] = lambda: epoll.poll(0)
        else:
            kqueue = poller.new_poller(_MOST_EVENTS)
            self._poller, self._poll = kqueue, kqueue.poll
        self._handlers: dict[int, OnEvent] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._cancelled = 0
        self._count = count()
        self._idle = trio.CancelScope()
        self._waits = False
        self.now: Callable[[], float] = trio.current_time

    def watch(self, sock: socket.socket, was: int, events: int, on_event: OnEvent) -> None:
        """Watch `sock` for `events` from now on instead of for `was`; 0 is not at all."""
        fd = sock.fileno()
        if not events:
            if was:
                self._poller.unregister(fd)
                del self._handlers[fd]
            return
        if was:
            self._poller.modify(fd, events)
        else:
            self._poller.register(fd, events)
        self._handlers[fd] = on_event

    def at(self, time: float, on_time: OnTime) -> Timer:
        """Call `on_time` once, at `time` or soon after."""
        timer = Timer(time, on_time)
        heapq.heappush(self._timers, (time, next(self._count), timer))
        if self._waits and time < self._idle.deadline:
            self._idle.deadline = time
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
        descriptor = self._poller.fileno()
        while True:
            first = self._timers[0][0] if self._timers else math.inf
            with trio.CancelScope(deadline=first) as self._idle:
                self._waits = True
                await trio.lowlevel.wait_readable(descriptor)
            self._waits = False
            self._serve()

    def _serve(self) -> None:
        """Serve what is ready and what is due, until that is nothing or trio has to have its turn."""
        until = time.perf_counter() + _STRETCH_S
        while True:
            events = self._poll()
            for fd, flags in events:
                on_event = self._handlers.get(fd)
                if on_event is not None:  # else it has just been closed
                    if flags & ~(READ | WRITE):  # an error, or a connection that was cut
                        flags = READ | WRITE
                    on_event(flags)
            if self._timers:
                self._call_timers(self.now())
            if not events or time.perf_counter() > until:
                return

    def _call_timers(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            on_time = heapq.heappop(self._timers)[2].on_time
            if on_time is None:
                self._cancelled -= 1
            else:
                on_time(now)

    def close(self) -> None:
        """Give the epoll back. Nothing may be watched any more."""
        self._poller.close()
