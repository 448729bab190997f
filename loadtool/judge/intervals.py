"""Confidence intervals, two-sided, of 95 %. No distribution of response times is assumed.

All take arrivals as independent. Those of one overload are not quite, so that real intervals are wider: they
say how much the number of samples can tell, not what the next run will show.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

CONFIDENCE: Final = 0.95
_TAIL: Final = (1 - CONFIDENCE) / 2
_Z: Final = 1.959963984540054  # standard normal quantile of 0.975
_REACH: Final = 12  # standard deviations; what lies beyond is under 1e-30 of a binomial distribution
_STEPS: Final = 60


def quantile_ranks(q: float, n: int) -> tuple[int, int]:
    """Ranks (lo, hi) such that the quantile `q` (0 < q < 1) lies in [X(lo), X(hi)] of n ordered samples.

    lo is 0 if no sample is surely below it, hi is n + 1 if none is surely above. The number of samples below
    the quantile is binomial, whatever their distribution, so that coverage is at least 95 %: Hahn & Meeker,
    Statistical Intervals (1991), §5.2.
    """
    first, probabilities = _binomial(n, q)
    lo, hi = 0, n + 1
    for below, cumulated in enumerate(accumulate(probabilities), first):
        if cumulated <= _TAIL:
            lo = below + 1
        if cumulated >= 1 - _TAIL:
            hi = min(hi, below + 1)
    return lo, hi


def _binomial(n: int, p: float) -> tuple[int, list[float]]:
    """P(B = k) for k = first, first + 1, … as far as it matters, by the recurrence from the mode.

    Dividing by their sum needs no factorial, so that it stays exact to some 1e-12 for any n.
    """
    spread = _REACH * math.sqrt(n * p * (1 - p)) + 5 * _REACH
    mode = min(n, int((n + 1) * p))
    first, last = max(0, int(mode - spread)), min(n, int(mode + spread) + 1)
    odds = p / (1 - p)
    below, above = [], []
    term = 1.0
    for k in range(mode, first, -1):  # P(k − 1) from P(k)
        term *= k / ((n - k + 1) * odds)
        below.append(term)
    term = 1.0
    for k in range(mode, last):  # P(k + 1) from P(k)
        term *= (n - k) * odds / (k + 1)
        above.append(term)
    weights = [*reversed(below), 1.0, *above]
    total = math.fsum(weights)
    return first, [w / total for w in weights]


def proportion(count: int, n: int) -> tuple[float, float]:
    """The interval of a share, `count` of n > 0. Within [0, 1].

    Wilson's score interval (J. Am. Stat. Assoc. 22, 1927), which Brown, Cai & DasGupta (Statistical Science
    16, 2001) recommend: on average it covers near 95 %, for shares near 0 and 1 and few samples, too.
    """
    share = count / n
    middle = share + _Z * _Z / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    scale = 1 + _Z * _Z / n
    # At the ends the formula is exactly 0 or 1, which floats may miss.
    lo = 0.0 if count == 0 else max(0.0, (middle - half) / scale)
    hi = 1.0 if count == n else min(1.0, (middle + half) / scale)
    return lo, hi


def poisson(count: int) -> tuple[float, float]:
    """The interval of the mean of a Poisson distribution of which `count` >= 0 was drawn.

    Exact, from the tails of the distribution: Garwood, Biometrika 28 (1936). Arrivals at constant intervals
    vary less than that, so for them it is wide.
    """
    return (_solve(count, upper=False) if count else 0.0), _solve(count, upper=True)


def _solve(count: int, *, upper: bool) -> float:
    """The mean at which the tail from `count` on has the probability 2.5 %, by Newton on its logarithm.

    The tail is P(X = count) · s, and its derivative by the mean is −P(X = count), or P(X = count − 1).
    """
    mean = count + _Z * math.sqrt(count) + 3 if upper else max(count - _Z * math.sqrt(count), count / 40)
    for _ in range(_STEPS):
        s = _lower_sum(count, mean) if upper else _upper_sum(count, mean)
        log_tail = count * math.log(mean) - mean - math.lgamma(count + 1) + math.log(s)
        slope = -1 / s if upper else count / (mean * s)
        step = (math.log(_TAIL) - log_tail) / slope
        mean = max(mean + step, mean / 10)
        if abs(step) <= 1e-12 * mean:
            break
    return mean


def _lower_sum(count: int, mean: float) -> float:
    """P(X <= count) ÷ P(X = count) = 1 + count/mean + count·(count − 1)/mean² + …"""
    total = term = 1.0
    for k in range(count, 0, -1):
        term *= k / mean
        total += term
        if term < 1e-17 * total:
            break
    return total


def _upper_sum(count: int, mean: float) -> float:
    """P(X >= count) ÷ P(X = count) = 1 + mean/(count + 1) + mean²/((count + 1)·(count + 2)) + …"""
    total = term = 1.0
    k = count
    while term >= 1e-17 * total:
        k += 1
        term *= mean / k
        total += term
    return total
