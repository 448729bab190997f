"""What the live view is told."""

from __future__ import annotations

import math

import pytest
from measure_samples import SECOND, delta, frame, timeline

from loadtool.measure.recent import MOST_BINS, Recent
from loadtool.measure.snapshot import PhaseNow, Point
from loadtool.measure.tally import Tally

PHASES = (("baseline", "baseline", 4), ("spike", "spike", 4))


def test_nothing_yet() -> None:
    now = Tally(timeline(*PHASES), ["browse"], workers=2).snapshot(0)
    assert (now.elapsed_s, now.scheduled, now.in_flight, now.workers, now.workers_alive) == (0.0, 0, 0, 2, 2)
    assert (now.offered_per_s, now.p99_ms, now.lag_p99_ms, now.recent) == (0.0, None, None, ())
    assert now.phases == tuple(PhaseNow(n, r, 0, 0, 0, 0, None, None, None) for n, r, _ in PHASES)
    assert set(now.outcomes.values()) == {0}


def test_curves_nobody_looks_at_take_no_more_and_no_more_memory() -> None:
    recent, seconds = Recent(SECOND), 20 * MOST_BINS
    for second in range(seconds):
        recent.add(second, delta(second, 0, ok=[1000] * (second % 7)))
        assert len(recent._bins) <= MOST_BINS
    assert [point.ok for point in recent.points(seconds)] == [second % 7 for second in range(seconds)]
    now, over_s = recent.now(seconds)
    assert (now.ok, over_s) == (sum(second % 7 for second in range(seconds - 3, seconds)), 3.0)


@pytest.mark.parametrize("slice_ns", [SECOND, 2 * SECOND, 10 * SECOND])
def test_no_bin_is_drawn_before_it_is_full(slice_ns: int) -> None:
    """However seldom somebody looks."""
    recent, bins = Recent(slice_ns), slice_ns // SECOND  # of each slice only the first one is used
    for slice_ in range(200):
        for _ in range(2):  # two workers, of which the second reports two slices late
            recent.add(slice_ * bins, delta(slice_, 0, ok=[1000]))
            if slice_ >= 2:
                recent.add((slice_ - 2) * bins, delta(slice_ - 2, 0, ok=[1000]))
    seconds = slice_ns / SECOND
    assert {point.ok for point in recent.points(198 * bins)} == {4 / seconds}


@pytest.mark.parametrize("slice_s", [1, 2, 10, 32])
def test_seconds_add_up_to_slices(slice_s: int) -> None:
    """Whether somebody looks every second or only at the end."""
    looked, silent, seconds = Recent(slice_s * SECOND), Recent(slice_s * SECOND), 320
    for second in range(seconds):
        for recent in (looked, silent):
            recent.add(second, delta(0, ok=[1000 * (second + 1)] * (second % 7), shed=[9] * 2))
            recent.add(second, delta(0, errors={"timeout": 3}))
            recent.add(max(0, second - 2), delta(0, ok=[1000]))  # of a worker two seconds behind
            assert len(recent._bins) <= MOST_BINS
        assert len(looked.points(second - 1)) == max(0, second - 1) // slice_s
    points = looked.points(seconds)
    assert points == silent.points(seconds)
    assert [p.t for p in points] == [float(t) for t in range(0, seconds, slice_s)]
    ended = sum(1 + second % 7 for second in range(seconds))
    assert sum(p.ok * slice_s for p in points) == pytest.approx(ended)
    assert sum(p.offered * slice_s for p in points) == pytest.approx(ended + 5 * seconds)
    assert [(p.shed, p.errors) for p in points] == [(2.0, 3.0)] * (seconds // slice_s)


def test_rates_and_quantiles_are_of_the_last_three_seconds_that_all_workers_reported() -> None:
    tally = Tally(timeline(*PHASES), ["browse"], workers=2)
    for second in range(5):
        for worker in (0, 1):
            cell = delta(
                second,
                0 if second < 4 else 1,
                ok=[1000 * (second + 1)] * 8,
                shed=[10],
                errors={"timeout": 1},
                lag=[second],
                good=4,
            )
            if (worker, second) == (1, 4):
                break  # worker 1 has not reported second 4 yet
            tally.add(
                frame(worker, second, second + 1.002, cell, in_flight=worker + 5, waiting=1, connections=20)
            )
    now = tally.snapshot(int(5.1 * SECOND))
    assert (now.offered_per_s, now.ok_per_s, now.shed_per_s, now.errors_per_s) == (20, 16, 2, 2)
    # Of seconds 1 to 3: per second 16 × its time and 2 that failed. 54 samples: p50 is the 27th, p99 failed.
    assert (now.p50_ms, now.p99_ms, now.lag_p99_ms) == (3.001, math.inf, 0.003)
    assert [(p.t, p.offered, p.ok, p.p50) for p in now.recent] == [
        (float(s), 20.0, 16.0, ms) for s, ms in enumerate([1.0, 2.0, 3.0, 4.0])
    ]
    assert (now.in_flight, now.waiting, now.connections) == (11, 2, 40)
    assert (now.scheduled, now.ok, now.shed, now.errors, now.good, now.attempts) == (90, 72, 9, 9, 36, 90)
    baseline, spike = now.phases
    assert (baseline.scheduled, baseline.ok, baseline.shed, baseline.errors) == (80, 64, 8, 8)
    assert (baseline.p50_ms, baseline.p99_ms, baseline.lag_p99_ms) == (3.001, math.inf, 0.003)
    assert (spike.scheduled, spike.p50_ms) == (10, 5.0)


def test_parts_of_one_name_are_one_phase() -> None:
    tally = Tally(
        timeline(("baseline", "baseline", 2), ("half", "baseline", 1), ("half", "baseline", 1)), ["r"]
    )
    assert [p.name for p in tally.snapshot(0).phases] == ["baseline", "half"]
    tally.add(frame(0, 0, 3.0, delta(2, 1, ok=[10_000] * 60)))
    assert tally.snapshot(3 * SECOND).phases[1].p99_ms == pytest.approx(10, rel=0.001)
    # 60 in 10 ms, 39 in 30 ms and one lost: the 99th of 100 took 30 ms.
    tally.add(frame(0, 1, 4.0, delta(3, 2, ok=[30_000] * 39, errors={"timeout": 1})))
    _, half = tally.snapshot(4 * SECOND).phases
    assert (half.scheduled, half.ok, half.errors) == (100, 99, 1)
    assert (half.p50_ms, half.p99_ms) == (pytest.approx(10, rel=0.001), pytest.approx(30, rel=0.001))


def test_a_curve_counts_when_things_ended_a_phase_when_they_were_due() -> None:
    tally = Tally(timeline(*PHASES), ["browse"])
    tally.add(frame(0, 0, 1.0, delta(0, scheduled=10)))
    tally.add(frame(0, 1, 2.0, delta(0, ok=[1_500_000] * 10, scheduled=0)))
    now = tally.snapshot(2 * SECOND)
    assert now.recent == (
        Point(0.0, 10.0, 0.0, 0.0, 0.0, None, None),
        Point(1.0, 0.0, 10.0, 0.0, 0.0, 1500.0, 1500.0),
    )
    assert now.phases[0].scheduled == now.phases[0].ok == 10


@pytest.mark.parametrize(("at_s", "points"), [(2.9, 1), (3.0, 1), (4.0, 2), (99.0, 8)])
def test_a_silent_worker_holds_the_view_up_for_two_slices_only(at_s: float, points: int) -> None:
    tally = Tally(timeline(*PHASES), ["browse"], workers=2)
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1])))
    tally.add(frame(1, 0, 1.0, delta(0, ok=[1])))
    tally.add(frame(0, 1, 2.0, delta(1, ok=[1])))
    tally.add(frame(0, 2, 3.0, delta(2, ok=[1])))
    assert len(tally.snapshot(int(at_s * SECOND)).recent) == points


def test_a_lost_worker_does_not_hold_the_view_up() -> None:
    tally = Tally(timeline(*PHASES), ["browse"], workers=2)
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1])))
    tally.add(frame(0, 1, 2.0, delta(1, ok=[1]), in_flight=1))
    assert len(tally.snapshot(2 * SECOND).recent) == 0
    tally.lose(1, {(0, 0, 0): 5})
    now = tally.snapshot(2 * SECOND)
    assert (len(now.recent), now.workers, now.workers_alive, now.in_flight) == (2, 2, 1, 1)
    assert now.outcomes["lost"] == now.errors == 5


def test_what_comes_late_is_drawn_late_but_counted() -> None:
    tally = Tally(timeline(*PHASES), ["browse"], workers=2)
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1000])))
    assert len(tally.snapshot(3 * SECOND).recent) == 1
    tally.add(frame(1, 0, 1.0, delta(0, ok=[2000] * 2)))
    tally.add(frame(0, 1, 2.0))
    tally.add(frame(1, 1, 2.0))
    assert [p.ok for p in tally.snapshot(3 * SECOND).recent] == [1.0, 2.0]
    assert tally.totals.ok == 3


def test_wide_slices_make_few_points() -> None:
    tally = Tally(timeline(("spike", "spike", 8), slice_s=4), ["browse"])
    for second in range(8):  # a frame a second, two slices
        tally.add(frame(0, second, second + 1.0, delta(second // 4, ok=[1000] * 10)))
    now = tally.snapshot(8 * SECOND)
    assert [(p.t, p.ok) for p in now.recent] == [(0.0, 10.0), (4.0, 10.0)]
    assert now.ok_per_s == 10.0


@pytest.mark.parametrize("slice_s", [1, 4, 32, 288])
def test_now_is_the_last_three_seconds_however_long_the_run(slice_s: int) -> None:
    tally = Tally(timeline(("spike", "spike", 900 * slice_s), slice_s=slice_s), ["browse"], workers=2)
    rates = []
    for second in range(16):
        fine, failed = (0, 10) if 8 <= second < 12 else (10, 0)
        for worker in (0, 1):
            cell = delta(
                second // slice_s, ok=[1000] * fine, errors={"timeout": failed}, lag=[second + 1] * 10
            )
            tally.add(frame(worker, second, second + 1.002, cell))
        now = tally.snapshot(int((second + 1.1) * SECOND))
        rates.append((round(now.ok_per_s), round(now.errors_per_s)))
        assert now.offered_per_s == 20.0
        assert now.lag_p99_ms == (second + 1) / 1000
        assert len(now.recent) == (second + 1) // slice_s
    dead, dying, back = (0, 20), [(13, 7), (7, 13)], [(7, 13), (13, 7)]
    assert rates == [(20, 0)] * 8 + dying + [dead] * 2 + back + [(20, 0)] * 2


@pytest.mark.parametrize("slice_s", [1, 4, 288])
def test_a_silent_worker_holds_now_up_for_two_seconds_only(slice_s: int) -> None:
    tally = Tally(timeline(("spike", "spike", 900 * slice_s), slice_s=slice_s), ["browse"], workers=2)
    rates = []
    for second in range(9):
        tally.add(frame(0, second, second + 1.0, delta(0, ok=[1] * 10)))
        if second < 3:
            tally.add(frame(1, second, second + 1.0, delta(0, ok=[1] * 10)))
        rates.append(round(tally.snapshot((second + 1) * SECOND).ok_per_s))
    # The view waits at second 3 until 5 s, then goes on without it.
    assert rates == [20] * 5 + [17, 13, 10, 10]


def test_what_clients_did_beside_sending_is_told_as_it_stands() -> None:
    tally = Tally(timeline(*PHASES), ["browse"])
    tally.add(frame(0, 0, 1.0, delta(0, ok=[9], marks={"retries": 3, "exhausted": 1})))
    tally.add(frame(0, 1, 2.0, delta(1, ok=[9], marks={"retries": 2})))
    assert tally.snapshot(2 * SECOND).client == {"retries": 5, "exhausted": 1}
