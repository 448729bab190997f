"""Rate curves as arithmetic: how many arrivals a stretch of the schedule holds, and when the n-th is due.

Every shape answers three questions exactly, without stepping through time. The idea, and the first two
formulas, are those of vegeta's pacers (github.com/tsenart/vegeta, lib/pacer.go): due times come from the
integral of the rate. A new shape is one class and, if a phase can ask for it, one row of `HOLDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loadtool.plan.job import PhaseSpec
from loadtool.units import SECOND


class Shape(Protocol):
    """A rate over time; `t` is in seconds since the shape began and at least 0, rates are in arrivals/s."""

    def rate(self, t: float) -> float:
        """Rate at t."""

    def arrivals(self, t: float) -> float:
        """Arrivals from the beginning to t: the integral of `rate`."""

    def time_of(self, n: float) -> float:
        """When `arrivals` reaches n: its inverse; any time past the end for n that it never reaches."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate all along."""

    per_second: float

    def rate(self, t: float) -> float:
        return self.per_second

    def arrivals(self, t: float) -> float:
        return self.per_second * t

    def time_of(self, n: float) -> float:
        if n <= 0:
            return 0.0
        return n / self.per_second if self.per_second > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Ramp:
    """Linear from `start` to `end` arrivals/s within `seconds` > 0."""

    start: float
    end: float
    seconds: float

    def rate(self, t: float) -> float:
        # Weights rather than a slope: exact at both ends, and never below zero in between.
        share = min(t / self.seconds, 1.0)
        return self.start * (1.0 - share) + self.end * share

    def arrivals(self, t: float) -> float:
        # ∫ (a + s·x) dx = a·t + s·t²/2, with s the slope.
        return t * (self.start + (self.end - self.start) / self.seconds * t / 2)

    def time_of(self, n: float) -> float:
        # The root of s/2·t² + a·t − n = 0, written so that nothing cancels when s is small or negative
        # (Press et al., Numerical Recipes, §5.6): t = 2n / (a + √(a² + 2·s·n)).
        if n <= 0:
            return 0.0
        slope = (self.end - self.start) / self.seconds
        root = math.sqrt(max(0.0, self.start * self.start + 2 * slope * n))
        below = self.start + root
        if below > 0:
            return 2 * n / below
        # Nothing ever comes, or so small a part of the first arrival that the root was lost below 1e-308.
        return math.sqrt(2 * (n / slope)) if slope > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Doubling:
    """Exponential: from `start` arrivals/s, doubled every `period` > 0 seconds."""

    start: float
    period: float

    def rate(self, t: float) -> float:
        return self.start * math.exp2(t / self.period)

    def arrivals(self, t: float) -> float:
        # ∫ r·2^(x/T) dx = r·T/ln 2 · (2^(t/T) − 1); expm1 and log1p keep it exact for small t.
        return self.start * self.period / math.log(2) * math.expm1(t * math.log(2) / self.period)

    def time_of(self, n: float) -> float:
        if n <= 0:
            return 0.0
        if self.start <= 0:
            return math.inf
        return self.period / math.log(2) * math.log1p(n * math.log(2) / (self.start * self.period))


# Key of a phase -> the shape that it holds, in place of a constant rate.
HOLDS: dict[str, Callable[[PhaseSpec], Shape]] = {
    "double_every_ns": lambda phase: Doubling(phase.rate, phase.double_every_ns / SECOND),
}


def hold_of(phase: PhaseSpec) -> Shape:
    """What the phase does after its ramp."""
    asked = (shape for key, shape in HOLDS.items() if getattr(phase, key))
    return next(asked, lambda p: Constant(p.rate))(phase)
