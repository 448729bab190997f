"""Peaks of a timeline, by arithmetic on its pieces."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from loadtool.plan.axis import TOLERANCE
from loadtool.plan.timeline import Timeline

_CUTS = 16  # of each stretch between breaks, to find where a difference of two rates changes its sign


def peak_rate(timeline: Timeline) -> tuple[float, int]:
    """The highest rate offered, and when it is first reached, in ns."""
    return max(timeline.peaks(), key=lambda peak: (peak[0], -peak[1]))


def peak_within(timeline: Timeline, window_ns: int, batch: int = 1) -> tuple[int, int]:
    """The most arrivals planned within any `window_ns`, rounded up, and when the first such window ends.

    Of f(t) = offered_by(t) − offered_by(t − window), the maximum lies where the rate jumps or changes its
    shape, at t or at t − window, or where the two rates are equal. Of arrivals that come in batches, a window
    may hold one batch more than its mean.
    """

    def within(ns: int) -> float:
        return timeline.offered_by(ns) - timeline.offered_by(ns - window_ns)

    def slope(ns: int) -> float:
        return timeline.offered_at(ns) - timeline.offered_at(ns - window_ns)

    ends = timeline.breaks()
    breaks = sorted({ns for end in ends for ns in (end, end + window_ns) if ns <= timeline.duration_ns})
    candidates = set(breaks)
    # A replay's rate is level from break to break, so nothing is to be found in between.
    for start, end in () if timeline.replayed else pairwise(breaks):
        cuts = sorted({start + (end - start) * i // _CUTS for i in range(_CUTS)} | {end - 1})
        for low, high in pairwise(cuts):
            if slope(low) > 0 >= slope(high):
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if slope(middle) > 0 else (low, middle)
                candidates.add(high)
    at = max(sorted(candidates), key=within)
    first = next(ns for ns in sorted(candidates) if within(ns) >= within(at) - TOLERANCE)
    most = max(0, ceil(within(at) - TOLERANCE))
    if batch > 1 and most:
        most = min((int(within(at) / batch + TOLERANCE) + 1) * batch, max(1, ceil(timeline.arrivals)))
    return most, first
