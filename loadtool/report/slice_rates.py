"""What a picture draws of a slice: over how long, at which rate, and how slow; the same in every report."""

from __future__ import annotations

import math
from typing import Final

from loadtool.measure.result import Result, Slice

LEAST_SLICE: Final = 0.25  # of a slice, for a rate to be drawn


def seconds_of(s: Slice, result: Result) -> float:
    """How much of a slice the run lasted: the last one is a whole one by chance only."""
    left = result.elapsed_s - s.t
    return min(left, result.slice_s) if left > 0 else result.slice_s


def has_rate(s: Slice, result: Result) -> bool:
    """Whether it is long enough for one: not a scrap at the end, in which an arrival would be a peak."""
    return seconds_of(s, result) >= result.slice_s * LEAST_SLICE or len(result.series) == 1


def rate_of(count: int, s: Slice, result: Result) -> float | None:
    """Per second; None in a scrap of a last slice."""
    return count / seconds_of(s, result) if has_rate(s, result) else None


def reached(s: Slice, quantile: float | None) -> float | None:
    """A slice's quantile in ms: infinite where failures took it out of reach, None where nothing was due."""
    return math.inf if quantile is None and s.scheduled > s.shed else quantile
