from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_jobs import phase

from loadtool.plan.shape import Constant, Doubling, Ramp, Shape, hold_of

LN2 = math.log(2)


@pytest.mark.parametrize(
    ("shape", "t", "rate", "arrivals"),
    [
        (Constant(50), 0, 50, 0),
        (Constant(50), 24, 50, 1200),
        (Constant(0), 10, 0, 0),
        (Ramp(0, 100, 10), 0, 0, 0),
        (Ramp(0, 100, 10), 5, 50, 125),
        (Ramp(0, 100, 10), 10, 100, 500),
        (Ramp(100, 0, 10), 5, 50, 375),
        (Ramp(100, 0, 10), 10, 0, 500),
        (Ramp(50, 500, 1), 1, 500, 275),
        (Ramp(30, 30, 7), 3.5, 30, 105),
        (Doubling(10, 7), 0, 10, 0),
        (Doubling(10, 7), 7, 20, 70 / LN2),
        (Doubling(10, 7), 21, 80, 7 * 70 / LN2),
        (Doubling(0, 7), 21, 0, 0),
    ],
)
def test_rate_and_integral(shape: Shape, t: float, rate: float, arrivals: float) -> None:
    assert shape.rate(t) == pytest.approx(rate, rel=1e-14)
    assert shape.arrivals(t) == pytest.approx(arrivals, rel=1e-14)
    if arrivals:
        assert shape.time_of(arrivals) == pytest.approx(t, rel=1e-12)
    assert shape.time_of(0) == 0


def test_a_pause_never_reaches_an_arrival() -> None:
    for shape in (Constant(0), Doubling(0, 1), Ramp(0, 0, 5)):
        assert shape.time_of(1) == math.inf


def test_ramp_down_to_zero_has_an_end_though_rounding_asks_for_more() -> None:
    assert Ramp(100, 0, 10).time_of(500 + 1e-9) == pytest.approx(10)
    assert Ramp(0, 0.5, 3).time_of(5e-324) < 1e-100  # whose rate there is lost below the smallest number


def test_nearly_flat_ramp_does_not_cancel() -> None:
    # The textbook root (−a + √(a² + 2sn)) / s loses every digit here.
    assert Ramp(1000, 1000 + 1e-9, 100).time_of(50_000) == pytest.approx(50, rel=1e-12)


RATES = st.just(0.0) | st.floats(1e-6, 1e5)  # once in eleven days and more
LENGTHS = st.floats(1e-3, 1e4)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[Shape, float]:
    """A shape and how long it lasts."""
    seconds = draw(LENGTHS)
    kind = draw(st.sampled_from([Constant, Ramp, Doubling]))
    if kind is Constant:
        return Constant(draw(RATES)), seconds
    if kind is Ramp:
        return Ramp(draw(RATES), draw(RATES), seconds), seconds
    return Doubling(draw(RATES), seconds / draw(st.floats(0.01, 20))), seconds


@given(shapes(), st.floats(0, 1))
def test_arrivals_is_the_integral_of_the_rate(case: tuple[Shape, float], share: float) -> None:
    shape, seconds = case
    t = share * seconds
    # Simpson's rule: exact for lines, and with this many steps for 2^20 too.
    steps = 400
    weights = [1, *([4, 2] * (steps // 2 - 1)), 4, 1]
    ordinates = [shape.rate(t * i / steps) for i in range(steps + 1)]
    integral = t / steps / 3 * math.fsum(w * y for w, y in zip(weights, ordinates, strict=True))
    assert shape.arrivals(t) == pytest.approx(integral, rel=1e-6, abs=1e-9)


@given(shapes(), st.floats(0, 1))
def test_time_of_inverts_arrivals(case: tuple[Shape, float], share: float) -> None:
    shape, seconds = case
    n = share * shape.arrivals(seconds)
    t = shape.time_of(n)
    if n > 1e-12:
        assert shape.arrivals(t) == pytest.approx(n, rel=1e-9, abs=1e-9)
        assert 0 < t <= seconds * (1 + 1e-9)


@given(shapes(), st.floats(0, 1), st.floats(0, 1))
def test_time_of_never_decreases(case: tuple[Shape, float], a: float, b: float) -> None:
    shape, seconds = case
    total = shape.arrivals(seconds)
    assert shape.time_of(min(a, b) * total) <= shape.time_of(max(a, b) * total)


def test_a_phase_asks_for_its_shape_by_key() -> None:
    assert hold_of(phase(50, 10)) == Constant(50)
    assert hold_of(phase(50, 10, double_every=7)) == Doubling(50, 7)
