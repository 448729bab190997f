"""The poller of macOS and the BSDs: a kqueue, whose timeout is fine-grained by itself."""

from __future__ import annotations

import select
import sys
import time
from typing import Final

from loadtool.engine.poller import READ, WRITE, Events, Poller

assert sys.platform != "linux"

_TIMER: Final = 1
_NOTE_USECONDS: Final = 2


class KqueuePoller(Poller):
    """See `Poller`. Timers of kqueue are relative, in microseconds here."""

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
            _TIMER,
            select.KQ_FILTER_TIMER,
            select.KQ_EV_ADD | select.KQ_EV_ONESHOT,
            fflags=_NOTE_USECONDS,
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
