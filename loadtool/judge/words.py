"""How the judge's reasons write figures: three significant digits, with the unit."""

from __future__ import annotations

import math

from loadtool.profile.slo import METRICS, Kind, Slo
from loadtool.units import counted as counted
from loadtool.units import format_share


def number(value: float) -> str:
    """Three significant digits, never fewer than the whole part."""
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def written(kind: Kind, value: float) -> str:
    """A figure of this kind: 23.4 ms, 0.76%, 450/s."""
    match kind:
        case "time":
            return "∞" if math.isinf(value) else f"{number(value)} ms"
        case "share":
            return f"{number(value * 100)}%"
        case "per_second":
            return f"{number(value)}/s"
        case "ratio":
            return f"{number(value)}x"


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
