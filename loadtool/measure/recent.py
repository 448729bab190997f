"""Recent: what ended when, by the run's clock: in seconds for the live rates, in slices for the curves."""

from __future__ import annotations

from typing import Final

from loadtool.measure.books import Books
from loadtool.measure.frame import CellDelta
from loadtool.measure.outcome import H_LAG, H_OK
from loadtool.measure.snapshot import Point

SECOND: Final = 1_000_000_000
WINDOW_NS: Final = 3 * SECOND  # what "now" is
MOST_BINS: Final = 6  # that nobody has looked at, twice "now"; then the oldest are drawn all the same
_CLASSES: Final = (H_OK, H_LAG)


class Recent:
    """Bins of one second each. A bin is full once every worker has reported past its end.

    The curves have a point a slice, which is minutes in a run of days: "now" cannot wait for that.
    """

    def __init__(self, slice_ns: int) -> None:
        self.slice_ns = slice_ns
        self._per_slice = max(1, slice_ns // SECOND)  # bins, as slices are whole seconds
        self.bin_ns = slice_ns // self._per_slice
        self.window = max(1, WINDOW_NS // self.bin_ns)  # bins that are "now"
        self._bins: dict[int, Books] = {}
        self._drawn = 0  # bins that are in the curves
        self._slice = Books()  # those of them that are of the slice under way
        self._points: list[Point] = []
        self._now: tuple[int, Books] | None = None  # the last answer of `now`, while it holds

    def bin_of(self, since_ns: int, until_ns: int) -> int:
        """The bin of a frame that covers [since_ns, until_ns): the one of its middle.

        Frames are cut near the ends of seconds, not at them.
        """
        return max(0, (since_ns + until_ns) // 2 // self.bin_ns)

    def slice_of(self, bin_: int) -> int:
        """The slice that this bin is in."""
        return bin_ // self._per_slice

    def add(self, bin_: int, delta: CellDelta) -> None:
        """Count a delta. One that comes after its bin was drawn shows in the next one to be drawn."""
        self._bins.setdefault(max(bin_, self._drawn), Books()).add(delta, _CLASSES)
        self._now = None
        while len(self._bins) > MOST_BINS:  # a view that is silent, or whose terminal has gone
            self.points(self._drawn + 1)

    def full(self, covered_ns: int) -> int:
        """How many bins are full when everything up to `covered_ns` was reported."""
        return max(0, (covered_ns + self.bin_ns // 10) // self.bin_ns)

    def points(self, full: int) -> tuple[Point, ...]:
        """The curves up to the last slice that ends with this bin or before it.

        Earlier bins than "now" are forgotten.
        """
        for place in range(self._drawn, full):
            if place in self._bins:
                self._slice.add(self._bins[place], _CLASSES)
            if (place + 1) % self._per_slice == 0:
                self._points.append(self._point(self._slice))
                self._slice = Books()
        self._drawn = max(self._drawn, full)
        for place in [p for p in self._bins if p < full - self.window]:
            del self._bins[place]
        return tuple(self._points)

    def now(self, full: int) -> tuple[Books, float]:
        """The books of the last full bins, to be read only, and the seconds that they cover."""
        first = max(0, full - self.window)
        if self._now is None or self._now[0] != full:
            total = Books()
            for place in range(first, full):
                if place in self._bins:
                    total.add(self._bins[place])
            self._now = full, total
        return self._now[1], (full - first) * self.bin_ns / SECOND

    def _point(self, books: Books) -> Point:
        seconds = self.slice_ns / SECOND
        return Point(
            t=len(self._points) * seconds,
            offered=books.scheduled / seconds,
            ok=books.ok / seconds,
            shed=books.shed / seconds,
            errors=books.failed / seconds,
            p50=books.latency_ms(0.5),
            p99=books.latency_ms(0.99),
        )
