"""The poller of Linux: an epoll with a timerfd in it, as epoll's own timeouts have steps of a millisecond."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import sys
from typing import Final

from loadtool.engine import nonblocking
from loadtool.engine.poller import Events, Poller

assert sys.platform == "linux"

CLOCK_MONOTONIC: Final = 1
TFD_TIMER_ABSTIME: Final = 1
MOST_EVENTS: Final = 512  # at a look, as each makes room for so many; the others come with the next one
_SPEC: Final = struct.Struct("@llll")
_look: Final = nonblocking.poll
_set_timer: Final = nonblocking.set_timer


class _Timer:
    """An absolute CLOCK_MONOTONIC timerfd, through libc: Python has it from 3.13 on."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = int(self._libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        self._buffer = ctypes.create_string_buffer(_SPEC.size)
        self._settime = self._libc.timerfd_settime

    def set(self, when_ns: int) -> None:
        """Fire at this moment of the monotonic clock, a past one at once."""
        when_ns = max(when_ns, 1)  # to the kernel, 0 means never
        if _set_timer is not None:
            _set_timer(self.fd, when_ns)
            return
        _SPEC.pack_into(self._buffer, 0, 0, 0, when_ns // 1_000_000_000, when_ns % 1_000_000_000)
        if self._settime(self.fd, TFD_TIMER_ABSTIME, self._buffer, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_settime: {os.strerror(number)}")


class EpollPoller(Poller):
    """See `Poller`."""

    def __init__(self, capacity: int) -> None:
        self._epoll = select.epoll()
        self._fd = self._epoll.fileno()
        self._timer = _Timer()
        self._armed = 0
        self._capacity = min(capacity + 8, MOST_EVENTS)
        # Told of once each time it fires: readable until it is set anew, it would be among all that is found.
        self._epoll.register(self._timer.fd, select.EPOLLIN | select.EPOLLET)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def register(self, fd: int, flags: int) -> None:
        self._epoll.register(fd, flags)

    def modify(self, fd: int, flags: int) -> None:
        self._epoll.modify(fd, flags)

    def unregister(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """It is about to be closed, which unregisters it."""

    def poll(self) -> Events:
        """What is ready now."""
        if _look is not None:
            events = _look(self._fd, self._capacity)
        else:
            events = self._epoll.poll(0, self._capacity)
        return self._without_timer(events) if events else events

    def wait_until(self, when_ns: int) -> Events:
        """Block the whole thread until something is ready or `when_ns` of the monotonic clock."""
        self.arm(when_ns)
        return self._without_timer(self._epoll.poll(-1, self._capacity))

    def arm(self, when_ns: int) -> None:
        """Make `fileno()` readable at `when_ns`."""
        if when_ns != self._armed:
            self._timer.set(when_ns)
            self._armed = when_ns

    def _without_timer(self, events: Events) -> Events:
        for i, (fd, _) in enumerate(events):
            if fd == self._timer.fd:
                # It is set anew before every wait: nobody needs to read it.
                self._armed = 0
                del events[i]
                break
        return events

    def close(self) -> None:
        os.close(self._timer.fd)
        self._epoll.close()
