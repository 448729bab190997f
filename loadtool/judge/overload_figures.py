"""The figures of docs/overload.md as formulas on counts. What cannot be had is None."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtool.judge.spike_view import SAME_S, Counts, Recovery
from loadtool.measure.books import Books
from loadtool.measure.outcome import (
    ABORTED,
    CHECK,
    H_SHED,
    M_SHED_ATTEMPTS,
    M_THROTTLED,
    M_TOLD,
    OUTCOMES,
    STATUS,
    TIMEOUT,
    UNSENT,
)
from loadtool.measure.spike import SpikeFigures, Step

Z: Final = 2.33  # standard normal quantile of 0.99
LEAST_BASELINE: Final = 0.95  # good ÷ arrivals; with less there is nothing normal to judge against
RECOVERY_MARGIN: Final = 0.05
HYSTERESIS_MARGIN: Final = 0.02
ABSORBED_MARGIN: Final = 0.02
CLOSE: Final = 0.05  # offered load this close to capacity flips the verdict
LEAST_CUT_WINDOW_S: Final = 3.0
LEAST_CUT_WINDOW_ARRIVALS: Final = 30
# The defaults. They colour the table; only SLOs gate.
RETENTION: Final = 0.9
HONEST: Final = 0.95
RECOVERY_S: Final = 30.0
AMPLIFICATION: Final = 1.1
GROWTH: Final = 2.0
LEAST_SHED_BOUND_MS: Final = 50.0
# Verdicts from good to bad. What could not be judged may have been anything but what is proven worse.
SEVERITY: Final = ("absorbed", "shed", "queued", "degraded", "no-baseline", "melted", "stayed-down")
_ABORTED: Final = OUTCOMES[ABORTED]
_LET_IN: Final = tuple(OUTCOMES[code] for code in (TIMEOUT, STATUS, CHECK))  # errors of what was not refused
_FLOAT_ERROR: Final = 1e-12


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def served_and_demanded(blocks: Sequence[Counts], per_s: float) -> tuple[float, float]:
    """Σ min(good, R·b) and Σ min(arrivals, R·b): a surplus in one block never pays for another."""
    served = math.fsum(min(block.good, per_s * block.seconds) for block in blocks)
    demanded = math.fsum(min(block.arrivals, per_s * block.seconds) for block in blocks)
    return served, demanded


def retention(blocks: Sequence[Counts], per_s: float) -> float | None:
    """Goodput retention against the reference `per_s`; None if there was nothing to serve."""
    served, demanded = served_and_demanded(blocks, per_s)
    return served / demanded if demanded else None


def honest_rejection(books: Books, good_within_ms: float) -> float:
    """Sheds within `good_within` ÷ (sheds + errors); 1 if there is neither.

    What the clients' own throttle held back the service has not seen: it is left out.
    """
    quick = books.shed - books.histogram(H_SHED).count_above(good_within_ms * 1000)
    return _of_refused(quick, books)


def strict_rejection(books: Books) -> float:
    """The same of those sheds that had a valid Retry-After."""
    return _of_refused(books.marks[M_TOLD], books)


def _of_refused(sheds: int, books: Books) -> float:
    refused = books.shed + books.failed - books.marks[M_THROTTLED]
    return sheds / refused if refused else 1.0


def shed_attempts(books: Books) -> int:
    """Attempts that were shed; results of versions that tried nothing again don't count them apart."""
    return max(books.marks[M_SHED_ATTEMPTS], books.shed)


def late(books: Books) -> int:
    """Ok after `good_within`, timed out, or timed out before they left."""
    unsent = books.counts[UNSENT] - books.marks[M_THROTTLED]
    return books.ok - books.good + books.counts[TIMEOUT] + unsent


def hard(books: Books) -> int:
    """Errors that are not late, and that the clients have not chosen themselves."""
    return books.failed - books.counts[TIMEOUT] - books.counts[UNSENT]


def buffered(steps: Sequence[Step], start_s: float, first_shed_s: float, steady_s: float) -> float | None:
    """How many arrivals waited when the first was shed; None if that can't be told.

    Those that were due by then, less what the service had served by then. How much it serves is what it lets
    in once it is full: as many as leave it. Since the spike's start, at `start_s`: `first_shed_s`, and
    `steady_s`, up to when what it can do stays the same.
    """
    arrived, full = 0.0, []
    for step in steps:
        start, end = round(step.start_s - start_s, 9), round(step.end_s - start_s, 9)
        if end <= start:
            continue
        arrived += step.scheduled * min(max((first_shed_s - start) / (end - start), 0.0), 1.0)
        if start > first_shed_s and end <= steady_s + SAME_S and step.shed and not step.errors.get(_ABORTED):
            full.append(step)
    if not full:
        return None
    let_in = sum(step.ok + sum(step.errors.get(kind, 0) for kind in _LET_IN) for step in full)
    return arrived - let_in / math.fsum(step.end_s - step.start_s for step in full) * first_shed_s


@dataclass(frozen=True, slots=True)
class Recovered:
    """`seconds`: None if not recovered (`recovered` False), or if there was no window (None)."""

    recovered: bool | None
    seconds: float | None


def recovery(recovery: Recovery, baseline_ratio: float) -> Recovered:
    """How long after the spike the last bad window lies (docs/overload.md)."""
    threshold = max(0.0, baseline_ratio - RECOVERY_MARGIN)
    bounds = recovery.bounds
    last_bad, bad = None, False
    windows = _windows(recovery)
    for first, window in windows:
        expected = threshold - Z * math.sqrt(threshold * (1 - threshold) / window.arrivals)
        bad = window.good / window.arrivals < expected
        if bad:
            last_bad = first
    if not windows:
        return Recovered(None, None)
    if last_bad is None:
        return Recovered(True, 0.0)
    if bad:
        return Recovered(False, None)
    return Recovered(True, round(bounds[last_bad + 1] - bounds[0], 6))


def _windows(recovery: Recovery) -> list[tuple[int, Counts]]:
    """The step that each window begins with, and its counts; the end cuts the last ones, if they hold enough.

    A window of which no arrival was due says nothing, and is left out.
    """
    bounds, steps = recovery.bounds, recovery.steps
    windows = []
    end = 0
    for first in range(len(steps)):
        while end < len(steps) and bounds[end] < bounds[first] + recovery.window_s - SAME_S:
            end += 1
        window = _sum(steps[first:end])
        whole = bounds[end] - bounds[first] >= recovery.window_s - SAME_S
        enough = (
            window.seconds >= LEAST_CUT_WINDOW_S - SAME_S and window.arrivals >= LEAST_CUT_WINDOW_ARRIVALS
        )
        if window.arrivals and (whole or enough):
            windows.append((first, window))
    return windows


def _sum(counts: Sequence[Counts]) -> Counts:
    return Counts(
        sum(c.seconds for c in counts),
        sum(c.arrivals for c in counts),
        sum(c.good for c in counts),
        sum(c.attempts for c in counts),
    )


def tail(recovery: Recovery) -> Counts:
    """The last third of what was watched."""
    return _sum(recovery.last_third)


def hysteresis_bound(baseline_ratio: float, baseline: int, last_third: int) -> float:
    """The most hysteresis that chance explains, from the numbers of arrivals."""
    spread = baseline_ratio * (1 - baseline_ratio) * (1 / baseline + 1 / last_third)
    return HYSTERESIS_MARGIN + Z * math.sqrt(spread)


# The first that fits (docs/overload.md). What could not be measured fits nothing.
VERDICTS: Final[tuple[tuple[str, Callable[[SpikeFigures], bool]], ...]] = (
    ("stayed-down", lambda f: f.recovered is False),
    ("absorbed", lambda f: _ratio(f) >= _baseline(f) - ABSORBED_MARGIN - _FLOAT_ERROR),
    ("melted", lambda f: _below(f.goodput_retention, 0.5) or _below(f.end_retention, 0.5)),
    (
        "shed",
        lambda f: (
            _reaches(f.goodput_retention, RETENTION)
            and _reaches(f.honest_rejection, HONEST)
            and f.shed > f.late
        ),
    ),
    (
        "queued",
        lambda f: f.late > f.hard and (10 * f.late >= f.arrivals - f.shed or f.late > f.shed),
    ),
    ("degraded", lambda f: True),
)


def _ratio(figures: SpikeFigures) -> float:
    return figures.ratio if figures.ratio is not None else -math.inf


def _baseline(figures: SpikeFigures) -> float:
    return figures.baseline_ratio if figures.baseline_ratio is not None else math.inf


def _below(value: float | None, bound: float) -> bool:
    return value is not None and value < bound


def _reaches(value: float | None, bound: float) -> bool:
    return value is not None and value >= bound


def verdict_of(figures: SpikeFigures) -> str:
    return next(verdict for verdict, fits in VERDICTS if fits(figures))


def worst(verdicts: Sequence[str]) -> str:
    return max(verdicts, key=SEVERITY.index)


# What SLOs and comparisons both ask for.


def recovery_ms(f: SpikeFigures) -> float | None:
    """Infinite if it has not recovered."""
    if f.recovered is False:
        return math.inf
    return None if f.recovery_s is None else f.recovery_s * 1000


@dataclass(frozen=True, slots=True)
class Amplified:
    """Attempts ÷ arrivals, of so many arrivals."""

    ratio: float
    arrivals: int


def amplified_in_spike(f: SpikeFigures) -> Amplified | None:
    return None if f.retry_amplification is None else Amplified(f.retry_amplification, f.arrivals)


def amplified_after(f: SpikeFigures) -> Amplified | None:
    """In the last third of what was watched of the recovery."""
    ratio = f.retry_amplification_after
    return None if ratio is None else Amplified(ratio, f.tail)


def amplified(f: SpikeFigures) -> Amplified | None:
    """The larger of the two. None where a recovery could not be watched: nobody knows which that is."""
    spike, after = amplified_in_spike(f), amplified_after(f)
    if after is None and f.recovery:
        return None
    return max((a for a in (spike, after) if a is not None), key=lambda a: a.ratio, default=None)
