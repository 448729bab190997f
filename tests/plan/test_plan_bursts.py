"""Bursts and batches: when arrivals come, by arithmetic; how many, as without them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_jobs import SECOND, make_job, phase, request

from loadtool.plan.arrivals_text import arrivals_text
from loadtool.plan.bursts import Bursts
from loadtool.plan.job import Job, PhaseSpec
from loadtool.plan.peak import peak_rate, peak_within
from loadtool.plan.schedule import Schedule
from loadtool.plan.spikes import spikes_of, watch_of
from loadtool.plan.timeline import Timeline

MS = 1_000_000


def bursts(spec: PhaseSpec, on: float, off: float) -> PhaseSpec:
    return replace(spec, burst_on_ns=round(on * SECOND), burst_off_ns=round(off * SECOND))


def dues(job: Job, worker: int = 0, workers: int = 1) -> list[int]:
    return [ns for batch in Schedule(job).batches(worker, workers) for ns in batch.due]


def test_a_burst_holds_what_its_whole_cycle_would_have() -> None:
    # 10/s for 20 s in cycles of 2 s on and 8 s off: 100 arrivals in [0, 2) and in [10, 12), 20 ms apart.
    job = make_job(phases=(bursts(phase(10, 20), 2, 8),))
    expected = [cycle * 10 * SECOND + k * 20 * MS for cycle in (0, 1) for k in range(100)]
    assert dues(job) == expected


def test_cycles_begin_with_the_phase_and_its_last_one_may_be_cut_short() -> None:
    # 15 s of cycles of 10 s: the last 5 s have 50 arrivals, in the first 1 s of them.
    job = make_job(phases=(phase(1, 3), bursts(phase(10, 15), 2, 8), phase(1, 2)))
    expected = [k * SECOND for k in range(3)]
    expected += [3 * SECOND + k * 20 * MS for k in range(100)]
    expected += [13 * SECOND + k * 20 * MS for k in range(50)]
    expected += [18 * SECOND + k * SECOND for k in range(2)]
    assert dues(job) == expected


@given(
    st.integers(0, 20 * SECOND),
    st.integers(1, 40 * SECOND),
    st.integers(1, 10 * SECOND),
    st.integers(1, 10 * SECOND),
    st.data(),
)
@settings(max_examples=80)
def test_squeezing_keeps_order_stays_inside_and_can_be_undone(
    start: int, length: int, on: int, off: int, data: st.DataObject
) -> None:
    it = Bursts(start, start + length, on, on + off)
    times = sorted(data.draw(st.lists(st.integers(start, start + length - 1), min_size=1, max_size=20)))
    squeezed = [it.squeezed(ns) for ns in times]
    assert squeezed == sorted(squeezed)
    for before, after in zip(times, squeezed, strict=True):
        assert start <= after <= before
        assert it.is_on(after)
        assert it.spread(after) == pytest.approx(before, abs=it.factor + 1)


def test_what_is_offered_differs_from_the_mean_within_a_cycle_alone() -> None:
    line = Timeline.of(make_job(phases=(phase(5, 10), bursts(phase(10, 20), 2, 8), phase(0, 5))))
    assert [line.offered_at(s * SECOND) for s in (9, 10, 11, 12, 19, 20, 29, 31)] == [
        5,
        50,
        50,
        0,
        0,
        50,
        0,
        0,
    ]
    assert [line.rate_at(s * SECOND) for s in (9, 10, 12, 20, 31)] == [5, 10, 10, 10, 0]
    offered = [line.offered_by(s * SECOND) for s in (10, 11, 12, 19, 20, 22, 30, 35)]
    assert offered == pytest.approx([50, 100, 150, 150, 150, 250, 250, 250])
    assert peak_rate(line) == (50, 10 * SECOND)
    assert peak_within(line, SECOND) == (50, pytest.approx(11 * SECOND, abs=1e-3 * SECOND))
    assert peak_within(line, 12 * SECOND)[0] == 200  # two bursts


def test_a_growing_rate_grows_from_burst_to_burst() -> None:
    job = make_job(phases=(bursts(phase(100, 20, ramp=20), 1, 9),))
    per_second = Counter(ns // SECOND for ns in dues(job))
    assert per_second == {0: 250, 10: 750}  # of the integral of 5·t
    rate, at = peak_rate(Timeline.of(job))
    assert (rate, at) == (pytest.approx(1000), 11 * SECOND)


@pytest.mark.parametrize("kind", ["constant", "poisson"])
@pytest.mark.parametrize("size", [2, 50, 700])
def test_batches_share_their_instant_and_keep_the_rate(kind: str, size: int) -> None:
    spec = replace(phase(1000, 20), batch=size)
    job = make_job(arrivals=kind, phases=(spec,), requests=(request(), request()))
    groups = [len(list(g)) for _, g in groupby(dues(job))]
    if kind == "constant":
        assert groups == [size] * (20_000 // size) + ([20_000 % size] if 20_000 % size else [])
        assert sorted(set(dues(job))) == [g * size * MS for g in range(len(groups))]
    else:
        assert set(groups) == {size}
        assert abs(len(groups) - 20_000 / size) < 4 * (20_000 / size) ** 0.5


@pytest.mark.parametrize("kind", ["constant", "poisson"])
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_out_bursts_and_batches(kind: str, workers: int) -> None:
    first = replace(bursts(phase(97, 7), 1, 2), batch=7)
    job = make_job(
        arrivals=kind,
        phases=(first, phase(50, 3), replace(phase(300, 5), process="constant", batch=600)),
        requests=(request(), request(weight=2)),
    )
    whole = [row for b in Schedule(job).batches() for row in zip(b.arrival, b.due, b.request, strict=True)]
    shares = [
        [
            row
            for b in Schedule(job).batches(w, workers)
            for row in zip(b.arrival, b.due, b.request, strict=True)
        ]
        for w in range(workers)
    ]
    assert sorted(row for share in shares for row in share) == whole
    assert [row[0] for row in whole] == list(range(Schedule(job).count()))
    assert [row[1] for row in whole] == sorted(row[1] for row in whole)


def test_phases_may_differ_in_process_and_batch() -> None:
    job = make_job(
        arrivals="poisson",
        phases=(
            replace(phase(2.5, 2), process="constant"),
            replace(phase(5, 4), process="constant", batch=10),
            replace(phase(2, 2), process="constant"),
        ),
    )
    half = SECOND // 2
    expected = [k * 2 * SECOND // 5 for k in range(5)]
    expected += [2 * SECOND] * 10 + [4 * SECOND] * 10
    expected += [6 * SECOND + k * half for k in range(4)]
    assert dues(job) == expected


@pytest.mark.parametrize(
    ("batch", "window", "most"),
    [(1, 1, 100), (50, 1, 150), (70, 1, 140), (300, 1, 300), (5000, 1, 1000), (50, 20, 1000)],
)
def test_connections_for_batches(batch: int, window: int, most: int) -> None:
    # 100/s for 10 s: a window may begin just before a batch and end just after another.
    assert peak_within(Timeline.of(make_job(phases=(phase(100, 10),))), window * SECOND, batch)[0] == most


def test_a_recovery_is_watched_in_whole_cycles() -> None:
    calm = bursts(phase(50, 60, "recovery", "recovery"), 3, 22)
    job = make_job(phases=(phase(50, 24), phase(500, 15, "spike", "spike"), calm))
    line = Timeline.of(job)
    (spike,) = spikes_of(line)
    watch = watch_of(line, spike)
    assert watch is not None
    # Its mean rate is the baseline's: bursts do not put off the moment from which it is watched.
    assert (watch.from_ns, watch.window_ns) == (39 * SECOND, 25 * SECOND)


def test_in_words() -> None:
    def text(*phases: PhaseSpec) -> str:
        job = make_job(arrivals="poisson", phases=phases)
        return arrivals_text(job, Timeline.of(job))

    burst = bursts(phase(500, 10, "spike"), 2, 8)
    assert text(phase(5, 5), phase(6, 5)) == "poisson"
    assert text(replace(phase(5, 5), batch=50)) == "poisson, 50 at the same instant"
    assert (
        text(phase(5, 5), phase(5, 5), burst) == "poisson; spike: poisson, bursts of 2s every 10s, at 2500/s"
    )
