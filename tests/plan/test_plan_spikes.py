from __future__ import annotations

import pytest
from plan_jobs import SECOND, SPIKE, make_job, phase

from loadtool.plan.job import FaultWindow, PhaseSpec
from loadtool.plan.spikes import spikes_of, watch_of
from loadtool.plan.timeline import Timeline


def b(rate: float, seconds: float, name: str = "baseline", **more: float) -> PhaseSpec:
    return phase(rate, seconds, name, "baseline", **more)


def s(rate: float, seconds: float, name: str = "spike", **more: float) -> PhaseSpec:
    return phase(rate, seconds, name, "spike", **more)


def r(rate: float, seconds: float, name: str = "recovery", **more: float) -> PhaseSpec:
    return phase(rate, seconds, name, "recovery", **more)


def line(*phases: PhaseSpec, faults: tuple[tuple[float, float], ...] = ()) -> Timeline:
    windows = tuple(FaultWindow("f", round(x * SECOND), round(y * SECOND)) for x, y in faults)
    return Timeline.of(make_job(phases=phases, faults=windows))


@pytest.mark.parametrize(
    ("phases", "want"),
    [
        (SPIKE, [("spike", "baseline", "recovery")]),
        ((b(1, 1),), []),
        ((s(1, 1),), [("spike", None, "")]),
        ((r(1, 1), s(1, 1), b(1, 1)), [("spike", None, "")]),
        ((b(1, 1, "b1"), b(1, 1, "b2"), s(1, 1, "s1"), s(1, 1, "s2"), r(1, 1, "r")), [("s1+s2", "b2", "r")]),
        (
            (b(1, 1, "b1"), s(1, 1, "s1"), r(1, 1, "r1"), b(1, 1, "b2"), r(1, 1, "r2"), s(1, 1, "s2"),
             r(1, 1, "r3")),
            [("s1", "b1", "r1 r2"), ("s2", "b2", "r3")],
        ),
    ],
)  # fmt: skip
def test_spikes(phases: tuple[PhaseSpec, ...], want: list[tuple[str, str | None, str]]) -> None:
    found = spikes_of(line(*phases))
    assert [
        (x.name, x.baseline.name if x.baseline else None, " ".join(y.name for y in x.recovery)) for x in found
    ] == want


@pytest.mark.parametrize(
    ("phases", "faults", "want"),
    [
        # From, to and window in seconds. 100 arrivals at 50/s take 2 s, so the least window holds.
        ((b(50, 20), s(500, 10), r(50, 30)), (), (30, 60, 10)),
        # 100 arrivals at 4/s take 25 s, whether or not they still fit.
        ((b(4, 20), s(40, 10), r(4, 60)), (), (30, 90, 25)),
        ((b(4, 20), s(40, 10), r(4, 10)), (), (30, 40, 25)),
        # The rate comes down from 500 to 50 within 10 s, and passes 55 after 9.888… s.
        ((b(50, 20), s(500, 10), r(50, 30, ramp=10)), (), (30 + 10 * 445 / 450, 60, 10)),
        # 1.1 × is still the baseline; a bit more is not.
        ((b(50, 20), s(500, 10), r(55, 10), r(50, 20)), (), (30, 60, 10)),
        ((b(50, 20), s(500, 10), r(56, 10), r(50, 20)), (), (40, 60, 10)),
        # It has to stay there.
        ((b(50, 20), s(500, 10), r(50, 10), r(70, 10), r(50, 10)), (), (50, 60, 10)),
        ((b(50, 20), s(500, 10), r(60, 30)), (), (60, 60, 60 - 60 + 10)),
        # A fault that reaches in, two of them in a row, one that comes later.
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 35),), (35, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 35), (33, 40)), (40, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((40, 45),), (30, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 60),), (60, 60, 10)),
        # A baseline that ramps up counts with its mean: 25/s.
        ((b(50, 20, ramp=20), s(500, 10), r(27, 30)), (), (30, 60, 10)),
        ((b(50, 20, ramp=20), s(500, 10), r(28, 30)), (), (60, 60, 10)),
    ],
)
def test_watch(
    phases: tuple[PhaseSpec, ...],
    faults: tuple[tuple[float, float], ...],
    want: tuple[float, float, float],
) -> None:
    timeline = line(*phases, faults=faults)
    (spike,) = spikes_of(timeline)
    watch = watch_of(timeline, spike)
    assert watch is not None
    found = (watch.from_ns / SECOND, watch.end_ns / SECOND, watch.window_ns / SECOND)
    assert found == pytest.approx(want, abs=1e-6)
    assert watch.watched_ns == watch.end_ns - watch.from_ns


def test_nothing_to_watch() -> None:
    for phases in ((s(9, 9), r(1, 9)), (b(1, 9), s(9, 9))):
        timeline = line(*phases)
        assert watch_of(timeline, spikes_of(timeline)[0]) is None
