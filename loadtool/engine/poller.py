"""Waiting for sockets and for the next due time at once, with microsecond timers.

What a poller does is said here; how, for each platform, in `epoll.py` and `kqueue.py`.
"""

from __future__ import annotations

import sys
from typing import Final, Protocol

READ: Final = 1
WRITE: Final = 4
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


def new_poller(capacity: int) -> Poller:
    """A poller for about `capacity` descriptors."""
    poller: Poller  # mypy reads only the branch of its platform
    if sys.platform == "linux":
        from loadtool.engine.epoll import EpollPoller

        poller = EpollPoller(capacity)
    else:
        from loadtool.engine.kqueue import KqueuePoller

        poller = KqueuePoller(capacity)
    return poller
