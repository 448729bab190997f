"""Peaks of a timeline, by arithmetic on its pieces."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from loadtool.plan.axis import TOLERANCE
from loadtool.plan.timeline import Timeline

_CUTS = 16  # of each stretch between breaks, to find where a difference of two rates changes its sign


def peak_rate(timeline: Timeline) -> tuple[float, int]:
    """The highest planned rate, and when it is first reached, in ns. Shapes have theirs at an end."""
    ends = [(p.shape.rate(0.0), p.start_ns) for p in timeline.pieces]
    ends += [(p.end_rate, p.end_ns) for p in timeline.pieces]
    return max(ends, key=lambda end: (end[0], -end[1]))


def peak_within(timeline: Timeline, window_ns: int) -> tuple[int, int]:
    """The most arrivals planned within any `window_ns`, rounded up, and when the first such window ends.

    Of f(t) = arrivals_by(t) − arrivals_by(t − window), the maximum lies where a piece begins or ends, at t or
    at t − window, or where the two rates are equal.
    """

    def within(ns: int) -> float:
        return timeline.arrivals_by(ns) - timeline.arrivals_by(ns - window_ns)

    def slope(ns: int) -> float:
        return timeline.rate_at(ns) - timeline.rate_at(ns - window_ns)

    ends = {0} | {p.end_ns for p in timeline.pieces}
    breaks = sorted({ns for end in ends for ns in (end, end + window_ns) if ns <= timeline.duration_ns})
    candidates = set(breaks)
    for start, end in pairwise(breaks):
        cuts = sorted({start + (end - start) * i // _CUTS for i in range(_CUTS)} | {end - 1})
        for low, high in pairwise(cuts):
            if slope(low) > 0 >= slope(high):
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if slope(middle) > 0 else (low, middle)
                candidates.add(high)
    at = max(sorted(candidates), key=within)
    first = next(ns for ns in sorted(candidates) if within(ns) >= within(at) - TOLERANCE)
    return max(0, ceil(within(at) - TOLERANCE)), first
