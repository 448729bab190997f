from __future__ import annotations

from itertools import pairwise

import pytest
from plan_jobs import SECOND, SPIKE, make_job, phase

from loadtool.plan.job import FaultWindow, PhaseSpec
from loadtool.plan.spikes import Watch, spikes_of, steps_of, watch_of
from loadtool.plan.timeline import Timeline
from loadtool.units import LONGEST


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
        # So it has to in what lies between two recoveries, whatever its role.
        ((b(50, 20), s(500, 10), r(50, 10), b(500, 10, "surge"), r(50, 20, "after")), (), (50, 70, 10)),
        ((b(50, 20), s(500, 10), r(50, 10), b(50, 10, "calm"), r(50, 20, "after")), (), (30, 70, 10)),
        ((b(50, 20), s(500, 10), r(50, 10), b(500, 10, "surge")), (), (30, 40, 10)),  # nobody watches it
        # A fault that reaches in, two of them in a row, one that comes later.
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 35),), (35, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 35), (33, 40)), (40, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 35), (26, 50)), (50, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((26, 50), (25, 35), (50, 52)), (52, 60, 10)),
        ((b(50, 20), s(500, 10), r(50, 30)), ((30, 35),), (35, 60, 10)),  # at the very instant
        ((b(50, 20), s(500, 10), r(50, 30)), ((25, 30),), (30, 60, 10)),
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


@pytest.mark.parametrize("rate", [1e-4, 1e-9, 1e-300, 5e-324])
def test_a_window_is_no_longer_than_any_run(rate: float) -> None:
    timeline = line(b(rate, 0.5), s(rate, 0.5), r(rate, 0.5))
    watch = watch_of(timeline, spikes_of(timeline)[0])
    assert watch is not None
    arrivals_ns = 100 / rate * SECOND
    assert watch.window_ns == pytest.approx(min(arrivals_ns, LONGEST), rel=1e-3)
    assert watch.window_ns <= LONGEST


def test_nothing_to_watch() -> None:
    for phases in ((s(9, 9), r(1, 9)), (b(1, 9), s(9, 9))):
        timeline = line(*phases)
        assert watch_of(timeline, spikes_of(timeline)[0]) is None


@pytest.mark.parametrize(
    ("rate", "seconds", "number"),
    [
        # A second each at 50/s and above; the time of 50 arrivals below.
        (50, 15, 15),
        (5000, 15, 15),
        (20, 15, 6),  # 2.5 s
        (10, 15, 3),  # 5 s
        (7, 15, 3),  # 7.1 s each would make two: every third has one
        (0, 15, 3),
        (50, 3, 3),
        (50, 2.9, 3),
        (50, 0.001, 3),
        (50, 16, 15),  # as many in each third: 1.07 s
        (50, 899, 897),
        (50, 900, 900),
        (50, 7200, 900),
    ],
)
def test_blocks(rate: float, seconds: float, number: int) -> None:
    (spike,) = spikes_of(line(b(rate, 20.3), s(500, seconds)))
    blocks = [ns - spike.start_ns for ns in spike.blocks]
    length = round(seconds * SECOND)
    assert blocks == [length * i // number for i in range(number + 1)]
    thirds = [spike.third(i) for i in range(3)]
    assert thirds[0][0] == spike.start_ns == round(20.3 * SECOND)
    assert thirds[2][1] == spike.end_ns
    assert [x[1] for x in thirds[:2]] == [x[0] for x in thirds[1:]]


def test_no_baseline_no_blocks() -> None:
    (spike,) = spikes_of(line(s(500, 15), r(50, 30)))
    assert spike.blocks == ()


@pytest.mark.parametrize(
    ("start", "end", "step", "last"),
    [
        (30, 60, 1, 1),
        (30, 60.25, 1, 0.25),
        (30.5, 40, 1, 0.5),
        (0, 900, 1, 1),
        (0, 1000, 2, 2),
        (0, 3601, 5, 1),
    ],
)
def test_steps_of_a_recovery(start: float, end: float, step: float, last: float) -> None:
    watch = Watch(round(start * SECOND), round(end * SECOND), 10 * SECOND)
    assert watch.step_ns == step * SECOND
    steps = watch.steps
    assert (steps[0], steps[-1]) == (watch.from_ns, watch.end_ns)
    lengths = [y - x for x, y in pairwise(steps)]
    assert set(lengths[:-1]) == {watch.step_ns}
    assert lengths[-1] == last * SECOND


def test_steps_of_a_run() -> None:
    assert steps_of(line(b(50, 20), r(50, 30))) == set()
    cuts = steps_of(line(b(50, 20), s(500, 3), r(50, 4), s(500, 3)))
    assert sorted(ns / SECOND for ns in cuts) == [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]
