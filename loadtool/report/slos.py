"""How an SLO's value, threshold and interval are written: ms, share, rate or factor, as its metric says."""

from __future__ import annotations

import re
from typing import Final

from loadtool.measure.result import SloFigure
from loadtool.report import figures

_PADDING: Final = re.compile(r"(\.\d*?)0+(?!\d)")  # 0.100% is 0.1%, 1.00 s is 1 s
_SHARES: Final = ("rate", "share", "ratio", "retention", "rejection", "hysteresis")


def value(slo: SloFigure) -> str:
    """What was measured; ∞ for a quantile that lies beyond every answer, n/a where nothing was measured."""
    return _written(slo, slo.value)


def threshold(slo: SloFigure) -> str:
    return _PADDING.sub(lambda m: m[1].rstrip("."), _written(slo, slo.threshold))


def interval(slo: SloFigure) -> str:
    """The 95 % confidence interval, such as `11.9 – 12.8 ms`; empty if there is none."""
    if slo.ci95 is None or len(slo.ci95) != 2 or (slo.ci95 == [None, None] and slo.value is None):
        return ""
    low, high = slo.ci95
    lowest = _written(slo, low if low is not None else 0.0)
    highest = figures.INFINITE if high is None else _written(slo, high)
    return figures.between(lowest, highest)


def _written(slo: SloFigure, value: float | None) -> str:
    if slo.metric.endswith(_SHARES):
        return figures.share(value)
    if slo.metric.endswith("amplification"):
        return figures.ratio(value)
    if slo.metric.endswith("goodput"):
        return figures.rate(value)
    return figures.duration(value, failed=slo.samples > 0)
