"""A spike as the judge leaves it, for the tests of reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadtool.measure.spike import SpikeFigures


def spike_figures(verdict: str, **more: Any) -> SpikeFigures:
    """A spike that was shed well, but for what is said otherwise."""
    f = SpikeFigures(
        name="spike",
        phases=["spike"],
        baseline="baseline",
        recovery=["recovery"],
        verdict=verdict,
        sentence=(
            "Served 94 of the 95 requests/s it can serve, turned 81 % away in under 4 ms, "
            f"back to normal at once: {verdict}"
        ),
        reference="capacity",
        reference_per_s=95.0,
        offered_per_s=500.0,
        goodput_per_s=94.4,
        served_per_s=94.1,
        demanded_per_s=95.0,
        baseline_ratio=1.0,
        ratio=0.19,
        goodput_retention=0.9905,
        end_retention=0.988,
        block_s=1.0,
        shed_ratio=0.81,
        shed_ratio_attempts=0.81,
        shed_p99_ms=3.9,
        shed_p99_bound_ms=50.0,
        honest_rejection=0.998,
        recovery_s=0.0,
        recovered=True,
        watched_s=30.0,
        watched=1500,
        hysteresis=0.002,
        hysteresis_bound=0.02,
        retry_amplification=1.0,
        retry_amplification_after=1.0,
        latency_growth=1.04,
        time_to_first_shed_s=0.184,
        implied_buffer=74.6,
        arrivals=7500,
        shed=6075,
        errors=15,
        late=10,
        hard=5,
    )
    return replace(f, **more)
