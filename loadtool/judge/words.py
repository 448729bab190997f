"""How the judge's reasons write figures: three significant digits, with the unit, or as many as it takes."""

from __future__ import annotations

import math
from typing import Final

from loadtool.profile.slo import METRICS, Kind, Slo
from loadtool.units import counted as counted
from loadtool.units import format_share

DIGITS: Final = 3
MOST_DIGITS: Final = 7  # what is closer than that differs by float error


def number(value: float, digits: int = DIGITS) -> str:
    """So many significant digits, never fewer than the whole part."""
    if math.isinf(value):
        return "∞"
    if abs(value) < 999.5:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - len(f'{abs(value):.0f}'))}f}"


def written(kind: Kind, value: float, digits: int = DIGITS) -> str:
    """A figure of this kind: 23.4 ms, 0.76%, 450/s."""
    match kind:
        case "time":
            return "∞" if math.isinf(value) else f"{number(value, digits)} ms"
        case "share":
            return f"{number(value * 100, digits)}%"
        case "per_second":
            return f"{number(value, digits)}/s"
        case "ratio":
            return f"{number(value, digits)}x"


def digits_apart(kind: Kind, value: float, threshold: float) -> int | None:
    """How many digits it takes to tell a value from the threshold that it meets or misses; None: none do."""
    every = range(DIGITS, MOST_DIGITS + 1)
    return next((n for n in every if written(kind, value, n) != written(kind, threshold, n)), None)


def percentile(q: float) -> str:
    """p99.9 of 0.999."""
    return f"p{format_share(q).removesuffix('%')}"


def under_way(arrivals: int) -> str:
    """Of arrivals that the end of the run has aborted."""
    return f"{counted(arrivals, 'arrival')} {'was' if arrivals == 1 else 'were'} under way when the run ended"


def metric_name(slo: Slo) -> str:
    """The metric as the SLO writes it: p99.9, shed p99, error rate."""
    row = METRICS[slo.metric]
    if slo.quantile is None:
        return row.prefix
    return f"{row.prefix} {percentile(slo.quantile)}".strip()
