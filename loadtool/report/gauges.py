"""Gauges as reports tell of them: what the service said of itself, at its least, most and last."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loadtool.measure.result import Probe, Result
from loadtool.profile.environment import unescape
from loadtool.report import figures


@dataclass(frozen=True, slots=True)
class GaugeRow:
    """One of `probes:`. Values are None if nothing was read; `afterwards`: when load and faults were over."""

    name: str
    n: int
    failed: int
    least: float | None
    median: float | None
    most: float | None
    most_at_s: float | None
    afterwards: float | None
    wrong: str  # what went wrong with the first that failed

    @property
    def told(self) -> tuple[str, str, str, str]:
        """Median, range, when the most was read, and what was read afterwards, as texts."""
        spread = figures.between(value(self.least), value(self.most))
        at = figures.seconds(self.most_at_s) if self.most_at_s is not None else figures.NOTHING
        return value(self.median), spread, at, value(self.afterwards)


def value(number: float | None) -> str:
    """A value as read: whole numbers without a point."""
    return figures.NOTHING if number is None else figures.number(number)


def names(result: Result) -> list[str]:
    """Names of the gauges, in the profile's order."""
    return [unescape(str(gauge["name"])) for gauge in result.profile.get("probes") or []]


def series(result: Result, name: str) -> list[Probe]:
    """What was asked while the run lasted."""
    return [p for p in result.probes if p.name == name and not p.after]


def rows(result: Result) -> list[GaugeRow]:
    """Each gauge that was asked."""
    return [_row(result, name, asked) for name in names(result) if (asked := series(result, name))]


def _row(result: Result, name: str, asked: Sequence[Probe]) -> GaugeRow:
    read = [(p.value, p.t) for p in asked if p.value is not None]
    failed = [p for p in asked if p.value is None]
    after = next((p.value for p in result.probes if p.name == name and p.after), None)
    most, at = max(read, key=lambda pair: pair[0], default=(None, None))
    return GaugeRow(
        name=name,
        n=len(asked),
        failed=len(failed),
        least=min((v for v, _ in read), default=None),
        median=statistics.median(v for v, _ in read) if read else None,
        most=most,
        most_at_s=at,
        afterwards=after,
        wrong=failed[0].detail if failed else "",
    )
