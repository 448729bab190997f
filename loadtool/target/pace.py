"""Sleeping for a given time, right on average."""

from __future__ import annotations

import trio

_SMOOTHING = 1 / 32
_MOST_S = 0.002  # more than this is a busy machine, not a coarse timer


class Pacer:
    """Sleeps whose mean length is the one asked for.

    An event loop wakes up late, by about a millisecond with epoll: that would make 8 ms of work 9, and
    capacity an eighth smaller than arithmetic says. The pacer watches how late it wakes and asks for so much
    less.
    """

    def __init__(self) -> None:
        self.late_s = 0.0  # smoothed

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` ≥ 0. Always a checkpoint."""
        asked = max(0.0, seconds - self.late_s)
        start = trio.current_time()
        await trio.sleep(asked)
        late = min(trio.current_time() - start - asked, _MOST_S)
        self.late_s += (late - self.late_s) * _SMOOTHING
