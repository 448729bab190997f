"""Comparison: the figures of a baseline and a candidate side by side, and what to think of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loadtool.judge.compare_profiles import Changed
from loadtool.measure.result import Result
from loadtool.profile.slo import Kind

Label = Literal["better", "same", "worse", "can't tell"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure on both sides. Values in ms, per second, as shares or ratios; `math.inf` beyond every answer.

    `change` and `interval` are candidate against baseline: relative (0.1: 10 % more) where `relative`, else
    absolute in the unit of the value. `probability`: that it is real; None if it can't be had.
    """

    metric: str
    where: str  # a phase or a spike; OVERALL
    kind: Kind
    higher_is_better: bool
    relative: bool
    baseline: float | None
    candidate: float | None
    change: float | None
    interval: tuple[float, float] | None
    probability: float | None
    label: Label
    note: str = ""

    @property
    def worse_by(self) -> float | None:
        """The change in the direction that is worse: negative if it is better."""
        return None if self.change is None else -self.change if self.higher_is_better else self.change

    @property
    def worse_interval(self) -> tuple[float, float] | None:
        if self.interval is None:
            return None
        low, high = self.interval
        return (-high, -low) if self.higher_is_better else (low, high)


@dataclass(frozen=True, slots=True)
class Comparison:
    baseline: tuple[Result, ...]
    candidate: tuple[Result, ...]
    differences: tuple[Difference, ...]
    changed: tuple[Changed, ...] = ()  # keys of the profile that differ
    notes: tuple[str, ...] = ()
    method: str = ""
