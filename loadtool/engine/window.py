"""Window: how much came in the last while, forgotten a tenth at a time. Times are ns."""

from __future__ import annotations

from typing import Final

SLOTS: Final = 10


class Window:
    """A count over the last `span`: what is older than that, or nearly so, has left it."""

    __slots__ = ("_at", "_slot_ns", "_slots", "_sum")

    def __init__(self, span_ns: int) -> None:
        """`span_ns`: of the whole, at least 1."""
        self._slot_ns = max(1, span_ns // SLOTS)
        self._slots = [0] * SLOTS
        self._at = 0
        self._sum = 0

    def add(self, now: int) -> None:
        """One more came."""
        at = now // self._slot_ns
        if at > self._at:
            self._roll(at)
        self._slots[self._at % SLOTS] += 1
        self._sum += 1

    def total(self, now: int) -> int:
        """What came in the window that ends now."""
        at = now // self._slot_ns
        if at > self._at:
            self._roll(at)
        return self._sum

    def _roll(self, to: int) -> None:
        for at in range(max(self._at + 1, to - SLOTS + 1), to + 1):
            self._sum -= self._slots[at % SLOTS]
            self._slots[at % SLOTS] = 0
        self._at = to
