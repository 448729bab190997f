"""Waiting for sockets and for the next due time at once, with microsecond timers.

On Linux an epoll with a timerfd in it: `poll(timeout)` itself only has steps of a millisecond. Its descriptor
can be waited on by trio. Elsewhere kqueue, whose timeout is fine-grained by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import sys
import time
from typing import Protocol

READ = 1
WRITE = 4
Events = list[tuple[int, int]]


class Poller(Protocol):
    """Level-triggered. Events are (descriptor, flags); any flag but WRITE asks for a read, errors too."""

    def fileno(self) -> int: ...
    def register(self, fd: int, flags: int) -> None: ...
    def modify(self, fd: int, flags: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def forget(self, fd: int) -> None: ...
    def poll(self) -> Events: ...
    def wait_until(self, when_ns: int) -> Events: ...
    def arm(self, when_ns: int) -> None: ...
    def close(self) -> None: ...


if sys.platform == "linux":

    class _Timer:
        """An absolute CLOCK_MONOTONIC timerfd, through libc: Python has it from 3.13 on."""

        _SPEC = struct.Struct("@llll")

        def __init__(self) -> None:
            self._libc = ctypes.CDLL(None, use_errno=True)
            clock_monotonic, flags = 1, os.O_NONBLOCK | os.O_CLOEXEC
            self.fd = int(self._libc.timerfd_create(clock_monotonic, flags))
            if self.fd < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"timerfd_create: {os.strerror(number)}")
            self._buffer = ctypes.create_string_buffer(self._SPEC.size)
            self._settime = self._libc.timerfd_settime

        def set(self, when_ns: int) -> None:
            """Fire at this moment of the monotonic clock, a past one at once."""
            when_ns = max(when_ns, 1)  # to the kernel, 0 means never
            self._SPEC.pack_into(self._buffer, 0, 0, 0, when_ns // 1_000_000_000, when_ns % 1_000_000_000)
            absolute = 1
            if self._settime(self.fd, absolute, self._buffer, None) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"timerfd_settime: {os.strerror(number)}")

        def clear(self) -> None:
            with contextlib.suppress(BlockingIOError):  # re-armed since it fired
                os.read(self.fd, 8)

    class EpollPoller:
        """See `Poller`."""

        def __init__(self, capacity: int) -> None:
            self._epoll = select.epoll()
            self._timer = _Timer()
            self._armed = 0
            self._capacity = capacity + 8
            self._epoll.register(self._timer.fd, select.EPOLLIN)

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
                    self._timer.clear()
                    self._armed = 0
                    del events[i]
                    break
            return events

        def close(self) -> None:
            os.close(self._timer.fd)
            self._epoll.close()

else:

    class KqueuePoller:
        """See `Poller`. Timers of kqueue are relative, in microseconds here."""

        _TIMER = 1

        def __init__(self, capacity: int) -> None:
            self._kqueue = select.kqueue()
            self._capacity = 2 * capacity + 8
            self._flags: dict[int, int] = {}

        def fileno(self) -> int:
            return self._kqueue.fileno()

        def register(self, fd: int, flags: int) -> None:
            self._flags[fd] = 0
            self.modify(fd, flags)

        def modify(self, fd: int, flags: int) -> None:
            old = self._flags[fd]
            changes = []
            for flag, kind in ((READ, select.KQ_FILTER_READ), (WRITE, select.KQ_FILTER_WRITE)):
                if flags & flag and not old & flag:
                    changes.append(select.kevent(fd, kind, select.KQ_EV_ADD))
                elif old & flag and not flags & flag:
                    changes.append(select.kevent(fd, kind, select.KQ_EV_DELETE))
            if changes:
                self._kqueue.control(changes, 0, 0)
            self._flags[fd] = flags

        def unregister(self, fd: int) -> None:
            self.modify(fd, 0)
            del self._flags[fd]

        def forget(self, fd: int) -> None:
            """It is about to be closed, which unregisters it."""
            del self._flags[fd]

        def poll(self) -> Events:
            return self._events(0)

        def wait_until(self, when_ns: int) -> Events:
            return self._events(max(0.0, (when_ns - time.monotonic_ns()) / 1e9))

        def arm(self, when_ns: int) -> None:
            delay = max(1, (when_ns - time.monotonic_ns()) // 1000)
            event = select.kevent(
                self._TIMER,
                select.KQ_FILTER_TIMER,
                select.KQ_EV_ADD | select.KQ_EV_ONESHOT,
                fflags=2,  # NOTE_USECONDS
                data=delay,
            )
            self._kqueue.control([event], 0, 0)

        def _events(self, timeout_s: float) -> Events:
            found: dict[int, int] = {}
            for event in self._kqueue.control(None, self._capacity, timeout_s):
                if event.filter == select.KQ_FILTER_TIMER:
                    continue
                flag = READ if event.filter == select.KQ_FILTER_READ else WRITE
                found[event.ident] = found.get(event.ident, 0) | flag
            return list(found.items())

        def close(self) -> None:
            self._kqueue.close()


def new_poller(capacity: int) -> Poller:
    """A poller for about `capacity` descriptors."""
    if sys.platform == "linux":
        return EpollPoller(capacity)
    else:  # noqa: RET505 - mypy reads only the branch of its platform
        return KqueuePoller(capacity)
