"""Pace: how fast a worker opens connections, so that all of them together keep the profile's bound."""

from __future__ import annotations

from typing import Final

SLACK_NS: Final = 10_000_000


class Pace:
    """When the next connection may be opened. Times are ns of the monotonic clock.

    Workers do not talk to each other. Each has an equal share of the bound, and they take turns: the second
    one begins when the first would have opened its second connection, were it alone.
    """

    __slots__ = ("_every", "_turn", "next")

    def __init__(
        self, per_s: float | None = None, worker: int = 0, workers: int = 1, start_ns: int = 0
    ) -> None:
        """`per_s`: new connections of all `workers`; None: no bound. `start_ns`: when the load starts."""
        self._every = round(workers * 1e9 / per_s) if per_s is not None else 0
        self._turn = round(worker * 1e9 / per_s) if per_s is not None else 0
        self.next = start_ns + self._turn  # when the next one may be opened

    def opened(self, now: int) -> None:
        """One is opened now."""
        if self._every:
            # From when it might have been, so that a loop that is a little late keeps the pace.
            self.next = max(self.next, now - SLACK_NS) + self._every

    def all_at(self, moment: int) -> None:
        """All workers open connections from this moment on: they begin to take turns anew."""
        self.next = max(self.next, moment + self._turn)
