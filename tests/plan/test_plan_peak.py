from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_jobs import SECOND, SPIKE, make_job, phase

from loadtool.plan.job import PhaseSpec
from loadtool.plan.peak import peak_rate, peak_within
from loadtool.plan.timeline import Timeline


def line(*phases: PhaseSpec) -> Timeline:
    return Timeline.of(make_job(phases=phases))


@pytest.mark.parametrize(
    ("phases", "rate", "at"),
    [
        (SPIKE, 500, 30),
        ((phase(10, 5), phase(10, 5)), 10, 0),
        ((phase(100, 10, ramp=10), phase(0, 5)), 100, 10),
        ((phase(10, 10, double_every=5),), 40, 10),
        ((phase(50, 5), phase(10, 10, ramp=5)), 50, 0),
    ],
)
def test_peak_rate(phases: tuple[PhaseSpec, ...], rate: float, at: float) -> None:
    assert peak_rate(line(*phases)) == (pytest.approx(rate), at * SECOND)


@pytest.mark.parametrize(
    ("phases", "window", "count", "at"),
    [
        ((phase(50, 10),), 2, 100, 2),
        ((phase(50, 10),), 60, 500, 10),  # longer than the run
        (SPIKE, 2, 1000, 32),
        (SPIKE, 15, 7275, 44),
        (SPIKE, 20, 7275 + 250, 44),
        ((phase(10, 10), phase(0, 10), phase(10, 10)), 25, 150, 25),
        # Up to 100/s and down again: the fullest 2 s lie around the top, 95 arrivals on each side.
        ((phase(100, 10, ramp=10), phase(0, 10, ramp=10)), 2, 190, 11),
        # Not symmetric: 80/s at both ends, 2 s before the top and 1 s after it.
        ((phase(100, 10, ramp=10), phase(0, 5, ramp=5)), 3, 270, 11),
        ((phase(10, 10, double_every=5),), 5, math.ceil(20 * 5 / math.log(2)), 10),
    ],
)
def test_peak_within(phases: tuple[PhaseSpec, ...], window: float, count: int, at: float) -> None:
    found, found_at = peak_within(line(*phases), round(window * SECOND))
    assert found == count
    assert found_at == pytest.approx(at * SECOND, abs=2e-4 * SECOND)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 10), st.booleans()), min_size=1, max_size=5),
    st.floats(0.1, 20),
)
@settings(max_examples=60)
def test_no_window_holds_more(parts: list[tuple[float, float, bool]], window: float) -> None:
    timeline = line(*(phase(rate, s, ramp=s if up else 0) for rate, s, up in parts))
    width = round(window * SECOND)
    count, at = peak_within(timeline, width)
    assert math.ceil(timeline.arrivals_by(at) - timeline.arrivals_by(at - width) - 1e-6) == count
    for i in range(400):
        ns = timeline.duration_ns * i // 399
        assert timeline.arrivals_by(ns) - timeline.arrivals_by(ns - width) <= count + 1e-3
