from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_jobs import SECOND, SPIKE, make_job, phase

from loadtool.plan.job import FaultWindow
from loadtool.plan.timeline import Stretch, Timeline, slice_width


def timeline(*phases: object, faults: tuple[FaultWindow, ...] = ()) -> Timeline:
    return Timeline.of(make_job(phases=phases, faults=faults))


def fault(start: float, end: float, name: str = "f") -> FaultWindow:
    return FaultWindow(name, round(start * SECOND), round(end * SECOND))


def test_phases_lie_end_to_end() -> None:
    line = timeline(*SPIKE)
    assert [(s.index, s.name, s.role, s.start_ns // SECOND, s.end_ns // SECOND) for s in line.spans] == [
        (0, "warmup", "warmup", 0, 5),
        (1, "baseline", "baseline", 5, 29),
        (2, "spike", "spike", 29, 44),
        (3, "recovery", "recovery", 44, 74),
    ]
    assert line.duration_ns == 74 * SECOND
    assert line.slices == 74


@pytest.mark.parametrize(
    ("seconds", "rate", "arrivals"),
    [
        (-1, 0, 0),
        (0, 20, 0),
        (5, 50, 100),  # a boundary belongs to the later phase
        (29, 50, 1300),  # where the ramp begins
        (29.5, 275, 1300 + 25 + 56.25),
        (30, 500, 1300 + 275),
        (44, 50, 1575 + 7000),
        (73.999999999, 50, 8575 + 1500),
        (74, 0, 10075),
        (100, 0, 10075),
    ],
)
def test_rate_and_arrivals_along_the_axis(seconds: float, rate: float, arrivals: float) -> None:
    line = timeline(*SPIKE)
    assert line.rate_at(round(seconds * SECOND)) == pytest.approx(rate)
    assert line.arrivals_by(round(seconds * SECOND)) == pytest.approx(arrivals, abs=1e-6)


def test_arrivals_of_a_phase_are_the_integral_of_its_rate() -> None:
    assert [s.arrivals for s in timeline(*SPIKE).spans] == pytest.approx([100, 1200, 7275, 1500])
    assert [s.mean_rate for s in timeline(*SPIKE).spans] == pytest.approx([20, 50, 485, 50])


def test_a_first_ramp_starts_at_zero_and_a_later_one_where_the_rate_was() -> None:
    line = timeline(phase(100, 10, ramp=10), phase(100, 10, double_every=5), phase(40, 10, ramp=5))
    assert [line.rate_at(s * SECOND) for s in (0, 5, 10, 15)] == pytest.approx([0, 50, 100, 200])
    assert line.rate_at(20 * SECOND) == pytest.approx(400)
    assert line.rate_at(round(22.5 * SECOND)) == pytest.approx(220)
    assert line.rate_at(27 * SECOND) == 40
    assert line.arrivals == pytest.approx(500 + 3 * 500 / math.log(2) + 1100 + 200)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((), "a job needs at least one phase"),
        ((phase(1, 2, ramp=3),), "phase p: the ramp is longer than the phase"),
    ],
)
def test_no_timeline(phases: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        timeline(*phases)


@pytest.mark.parametrize(
    ("faults", "want"),
    [
        ((), [(0, 10, 0, ()), (10, 30, 1, ())]),
        ((fault(15, 20),), [(0, 10, 0, ()), (10, 15, 1, ()), (15, 20, 1, (0,)), (20, 30, 1, ())]),
        # Over a phase boundary, to the end, and one inside the other.
        (
            (fault(5, 30), fault(12, 14)),
            [(0, 5, 0, ()), (5, 10, 0, (0,)), (10, 12, 1, (0,)), (12, 14, 1, (0, 1)), (14, 30, 1, (0,))],
        ),
        # On the boundaries themselves no segment is empty.
        ((fault(0, 10), fault(10, 30)), [(0, 10, 0, (0,)), (10, 30, 1, (1,))]),
        # Outside the run, or of no length.
        ((fault(30, 40), fault(3, 3)), [(0, 3, 0, ()), (3, 10, 0, ()), (10, 30, 1, ())]),
        ((fault(25, 99),), [(0, 10, 0, ()), (10, 25, 1, ()), (25, 30, 1, (0,))]),
    ],
)
def test_stretches(
    faults: tuple[FaultWindow, ...], want: list[tuple[int, int, int, tuple[int, ...]]]
) -> None:
    line = timeline(phase(1, 10), phase(2, 20), faults=faults)
    assert line.stretches == tuple(
        Stretch(i, start * SECOND, end * SECOND, at, active)
        for i, (start, end, at, active) in enumerate(want)
    )


NS = st.integers(-3, 33)  # the run has [0, 30)


@given(st.lists(st.tuples(NS, NS), max_size=12))
def test_stretches_have_the_faults_whose_windows_hold_their_start(windows: list[tuple[int, int]]) -> None:
    faults = tuple(FaultWindow(f"f{i}", start, end) for i, (start, end) in enumerate(windows))
    line = timeline(phase(1, 1e-8), phase(2, 2e-8), faults=faults)
    cuts = sorted({0, 10} | {ns for window in windows for ns in window if 0 < ns < 30})
    assert line.stretches == tuple(
        Stretch(
            i, start, end, int(start >= 10),
            tuple(n for n, (begin, stop) in enumerate(windows) if begin <= start < stop),
        )
        for i, (start, end) in enumerate(pairwise([*cuts, 30]))
    )  # fmt: skip


class Counted(tuple[FaultWindow, ...]):
    """Knows how often it was gone through."""

    passes = 0

    def __iter__(self) -> Iterator[FaultWindow]:
        self.passes += 1
        return super().__iter__()


@pytest.mark.parametrize("number", [1, 100])
def test_all_fault_windows_are_gone_through_but_a_few_times(number: int) -> None:
    """However many they are: thousands of them, each at every cut, took seconds."""
    faults = Counted(fault(i / 10, i / 10 + 0.05) for i in range(1, number + 1))
    assert len(Timeline.of(make_job(phases=(phase(1, 30),), faults=faults)).stretches) == 2 * number + 1
    assert faults.passes < 10


def test_what_is_where() -> None:
    line = timeline(phase(1, 10), phase(2, 20), faults=(fault(15, 20),))
    at = [-5, 0, 9.999999999, 10, 15, 19.5, 20, 29, 30, 99]
    segments = [line.segment_at(round(s * SECOND)) for s in at]
    assert segments == [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]
    assert [line.segments[i].phase for i in segments] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0.001, 1), (1, 1), (899.5, 1), (900, 1), (900.001, 2), (1800, 2), (1801, 3), (86400, 96)],
)
def test_at_most_900_slices(seconds: float, width: int) -> None:
    duration = round(seconds * SECOND)
    assert slice_width(duration) == width * SECOND
    assert -(-duration // slice_width(duration)) <= 900


def test_dues_are_exact_on_boundaries_and_skip_pauses() -> None:
    # 100 arrivals, then a pause, then 50.
    line = timeline(phase(10, 10), phase(0, 5), phase(5, 10))
    assert line.dues([0, 99, 100, 149]) == [0, 9_900_000_000, 15 * SECOND, 24_800_000_000]
    assert line.dues([99.5]) == [9_950_000_000]
    # Within float error of the boundary is on it, on either side.
    assert line.dues([100 - 1e-9, 100 + 1e-9]) == [15 * SECOND, 15 * SECOND]
    assert line.dues([]) == []


def test_a_due_time_never_rounds_into_the_next_phase() -> None:
    line = timeline(phase(3e9, 1e-8), phase(1, 1))
    assert line.arrivals_by(10) == pytest.approx(30)
    assert max(line.dues(range(30))) == 9
    assert line.dues([30]) == [10]


def test_segments_are_stretches_cut_into_the_steps_of_spikes() -> None:
    phases = (
        phase(50, 4.5, "baseline", "baseline"),
        phase(500, 3, "spike", "spike"),
        phase(50, 2.2, "recovery", "recovery"),
    )
    line = timeline(*phases, faults=(fault(5, 6),))
    assert [(s.start_ns / SECOND, s.phase, s.faults) for s in line.stretches] == [
        (0, 0, ()), (4.5, 1, ()), (5, 1, (0,)), (6, 1, ()), (7.5, 2, ()),
    ]  # fmt: skip
    assert [(s.start_ns / SECOND, s.phase, s.stretch) for s in line.segments] == [
        (0, 0, 0),
        (4.5, 1, 1), (5, 1, 2), (5.5, 1, 2), (6, 1, 3), (6.5, 1, 3),
        (7.5, 2, 4), (8.5, 2, 4), (9.5, 2, 4),
    ]  # fmt: skip
    assert [s.index for s in line.segments] == list(range(9))
    assert [s.end_ns for s in line.segments] == [*(s.start_ns for s in line.segments[1:]), line.duration_ns]


def test_without_a_spike_segments_are_stretches() -> None:
    line = timeline(phase(1, 10), phase(2, 20), faults=(fault(15, 20),))
    assert [(s.start_ns, s.end_ns, s.phase) for s in line.segments] == [
        (s.start_ns, s.end_ns, s.phase) for s in line.stretches
    ]
