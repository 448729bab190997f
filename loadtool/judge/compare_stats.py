"""Statistics of a comparison: Student's t, and the block bootstrap. Pure, seeded, plain Python.

Slices of one run are not independent: a queue that is long now is long in a second. So blocks of
neighbouring slices are drawn, not slices (moving blocks: Künsch, Annals of Statistics 17, 1989; joined to a
circle, so that every slice is as likely: Politis & Romano, in Exploring the Limits of Bootstrap, 1992). The
length of a block is the cube root of the number of slices, the rate that is best for a variance (Hall,
Horowitz & Jing, Biometrika 82, 1995).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LEAST_BLOCKS: Final = 3  # of a stretch; with fewer nothing is known of its spread
REPLICATES: Final = 1000
_EPSILON: Final = 1e-14
_TINY: Final = 1e-300


def t_tail(t: float, df: float) -> float:
    """P(|T| >= |t|) of Student's t with `df` > 0 degrees of freedom: DLMF 8.17, AS 26.7.1."""
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


def t_quantile(confidence: float, df: float) -> float:
    """The t with P(|T| < t) = `confidence` (0 < confidence < 1), by bisection to 1e-9 of it."""
    low, high = 0.0, 1.0
    while t_tail(high, df) > 1 - confidence:
        low, high = high, high * 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if t_tail(middle, df) > 1 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b): its continued fraction, DLMF 8.17.22."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # it converges fast only below its mean
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / _away(1 + step * d)
            c = _away(1 + step / c)
            total *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return math.exp(front) * total / a


def _away(value: float) -> float:
    """The value, or one next to zero that can be divided by."""
    return value if abs(value) > _TINY else _TINY


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard error with its degrees of freedom."""

    error: float
    df: float


def sum_of(spreads: Sequence[Spread]) -> Spread:
    """The spread of a sum or difference of independent figures: Welch, Biometrika 34 (1947)."""
    squares = [s.error * s.error for s in spreads]
    total = sum(squares)
    if total == 0:
        return Spread(0.0, min(s.df for s in spreads))
    return Spread(
        math.sqrt(total), total * total / sum(v * v / s.df for v, s in zip(squares, spreads, strict=True))
    )


def variance(values: Sequence[float]) -> float:
    """Of a sample of at least two."""
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


def block_length(slices: int) -> int:
    """How many slices a block has: the cube root of their number, rounded up."""
    return next(length for length in range(1, slices + 1) if length**3 >= slices) if slices else 1


@dataclass(frozen=True, slots=True)
class Draws:
    """Which blocks each replicate has, by the number of the slice that they begin with.

    Slices are numbered through over all strata; a block stays in its stratum. `widening` is by how much the
    standard deviation of the replicates is too small: k blocks of a stratum leave k − 1 degrees of freedom
    (Rao & Wu, JASA 83, 1988), and they may be a little more than the stratum's slices.
    """

    strata: tuple[int, ...]  # slices in each
    picks: tuple[tuple[int, ...], ...]
    df: int
    widening: float

    @classmethod
    def of(cls, strata: Sequence[int], seed: int, replicates: int = REPLICATES) -> Draws | None:
        """None if a stratum has too few slices for `LEAST_BLOCKS` blocks."""
        plans: list[tuple[int, int, int]] = []  # first slice, slices, blocks drawn
        offset = whole = 0
        longer = 0.0
        for size in strata:
            length = block_length(size)
            if size // length < LEAST_BLOCKS:
                return None
            number = -(-size // length)
            plans.append((offset, size, number))
            whole += size // length
            longer += number * length
            offset += size
        if not plans:
            return None
        draw = random.Random(f"compare {seed} {tuple(strata)}").randrange
        picks = tuple(
            tuple(first + draw(size) for first, size, number in plans for _ in range(number))
            for _ in range(replicates)
        )
        df = whole - len(plans)
        return cls(tuple(strata), picks, df, math.sqrt(longer / offset * whole / df))

    def block_sums(self, column: Sequence[float]) -> list[float]:
        """For each slice the sum over the block that begins with it, of a column of figures by slice."""
        sums: list[float] = []
        first = 0
        for size in self.strata:
            length = block_length(size)
            part = column[first : first + size]
            window = sum(part[:length])
            for at in range(size):
                sums.append(window)
                window += part[(at + length) % size] - part[at]
            first += size
        return sums

    def spread(self, replicates: Sequence[float]) -> Spread:
        """The spread of a figure of which these are the replicates."""
        return Spread(math.sqrt(variance(replicates)) * self.widening, self.df)
