"""How an SLO's value, threshold and interval are written: time, share or rate, as its metric says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from loadtool.judge.words import digits_apart, written
from loadtool.measure.result import SloFigure
from loadtool.profile.slo import METRICS, Kind
from loadtool.report import figures

_PADDING: Final = re.compile(r"(\.\d*?)0+(?!\d)")  # 0.100% is 0.1%, 1.00 s is 1 s
_QUANTILE: Final = re.compile(r"\s*\bp[\d.]+$")
# Kind of metric -> how its value is written; `measured`: there were samples, so that no value means infinity.
_WRITERS: Final[dict[Kind, Callable[[float | None, bool], str]]] = {
    "time": lambda value, measured: figures.duration(value, failed=measured),
    "share": lambda value, _: figures.share(value),
    "per_second": lambda value, _: figures.rate(value),
    "ratio": lambda value, _: figures.ratio(value),
}


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
    """As all figures are, but with more digits if the SLO's value would read as its threshold."""
    kind, measured = _kind(slo.metric), slo.samples > 0
    write = _WRITERS[kind]
    if value is None or slo.value is None or write(slo.value, measured) != write(slo.threshold, measured):
        return write(value, measured)
    digits = digits_apart(kind, slo.value, slo.threshold)
    return write(value, measured) if digits is None else written(kind, value, digits)


def _kind(metric: str) -> Kind:
    """What a metric measures, by its key in the table of metrics or by its name in a profile (`shed p99`)."""
    if metric in METRICS:
        return METRICS[metric].kind
    prefix, quantiles = _QUANTILE.subn("", metric)
    named = (m.kind for m in METRICS.values() if m.prefix == prefix and m.quantile == bool(quantiles))
    return next(named, "time")
