from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate, islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_jobs import SECOND, SPIKE, make_job, phase, request

from loadtool.plan.job import FaultWindow, Job, PhaseSpec, RowsSpec
from loadtool.plan.schedule import BLOCK, Schedule

Arrival = tuple[int, int, int, int, int]  # number, due, request, segment, ordinal


def arrivals(schedule: Schedule, worker: int = 0, workers: int = 1) -> list[Arrival]:
    rows: list[Arrival] = []
    for b in schedule.batches(worker, workers):
        assert 0 < len(b.arrival) <= BLOCK
        rows += zip(b.arrival, b.due, b.request, b.segment, b.ordinal, strict=True)
    return rows


@st.composite
def phases(draw: st.DrawFn) -> tuple[PhaseSpec, ...]:
    """A few phases of all shapes, pauses among them, of at most a few thousand arrivals."""
    made = []
    for _ in range(draw(st.integers(1, 5))):
        seconds = draw(st.floats(0.001, 20))
        rate = draw(st.one_of(st.just(0.0), st.floats(0, 100), st.sampled_from([1 / 3, 0.1, 50.0])))
        kind = draw(st.sampled_from(["constant", "ramp", "all ramp", "doubling"]))
        ramp = {"ramp": seconds / 3, "all ramp": seconds}.get(kind, 0)
        made.append(phase(rate, seconds, ramp=ramp, double_every=seconds / 2 if kind == "doubling" else 0))
    return tuple(made)


JOBS = st.builds(
    lambda phases, arrivals, seed, rows: make_job(
        phases=phases,
        arrivals=arrivals,
        seed=seed,
        requests=(
            request(name="a", weight=3),
            request(name="b", weight=0.5, path="/{{ row.x }}"),
            request(name="c", weight=1, path="/{{ other.y }}?{{ row.x }}"),
        ),
        rows=(("row", ROWS), ("other", ROWS)) if rows else (),
        faults=(FaultWindow("f", SECOND, 3 * SECOND),),
    ),
    phases(),
    st.sampled_from(["constant", "poisson"]),
    st.integers(-5, 2**70),
    st.booleans(),
)
ROWS = RowsSpec("cycle", ("x", "y"), ((1, 2),))


@given(JOBS)
@settings(max_examples=60)
def test_count_order_and_columns(job: Job) -> None:
    schedule = Schedule(job)
    line = schedule.timeline
    rows = arrivals(schedule)
    assert [r[0] for r in rows] == list(range(schedule.count()))
    dues = [r[1] for r in rows]
    assert dues == sorted(dues)
    assert all(0 <= due < line.duration_ns for due in dues)
    assert [r[3] for r in rows] == [line.segment_at(due) for due in dues]
    if job.arrivals == "constant":
        assert abs(len(rows) - line.arrivals) < 1
        # The k-th is due when k were planned, and a phase's own are those due in it.
        for number, due, *_ in rows:
            assert line.arrivals_by(due) == pytest.approx(number, abs=1e-6 + line.rate_at(due) * 1e-9)
        for span in line.spans:
            own = sum(span.start_ns <= due < span.end_ns for due in dues)
            assert abs(own - span.arrivals) < 1 + 1e-5


@given(JOBS, st.sampled_from([2, 5]))
@settings(max_examples=40)
def test_same_arrivals_for_any_number_of_workers(job: Job, workers: int) -> None:
    schedule = Schedule(job)
    shares = [arrivals(schedule, worker, workers) for worker in range(workers)]
    for worker, share in enumerate(shares):
        assert all(number % workers == worker for number, *_ in share)
    assert sorted(row for share in shares for row in share) == arrivals(Schedule(job))


@given(JOBS)
@settings(max_examples=40)
def test_ordinals_count_earlier_users_of_each_feeder(job: Job) -> None:
    row = other = 0
    for _, _, kind, _, ordinal in arrivals(Schedule(job)):
        if not job.rows:
            assert ordinal == 0
            continue
        # `row` is used by requests b and c, `other` by c alone.
        assert (ordinal & (1 << 48) - 1, ordinal >> 48) == (row, other)
        row += kind in (1, 2)
        other += kind == 2


@given(JOBS, st.integers(1, 4), st.integers(0, 20 * SECOND))
@settings(max_examples=40)
def test_counts_by_cell_are_the_arrivals_counted(job: Job, workers: int, until: int) -> None:
    schedule = Schedule(job)
    rows = arrivals(schedule)

    def counted(rows: list[Arrival]) -> dict[tuple[int, int, int], int]:
        return dict(Counter((due // SECOND, segment, kind) for _, due, kind, segment, _ in rows))

    assert schedule.counts_by_segment_and_request() == counted(rows)
    assert schedule.counts_by_segment_and_request(until) == counted([r for r in rows if r[1] < until])
    for worker in range(workers):
        mine = [r for r in rows if r[0] % workers == worker and r[1] < until]
        assert schedule.counts_by_segment_and_request(until, worker, workers) == counted(mine)
    for chosen in (range(workers), range(workers - 1, 0, -1)):
        assert schedule.counts_by_worker(until, chosen, workers) == {
            worker: schedule.counts_by_segment_and_request(until, worker, workers) for worker in chosen
        }


@given(JOBS, st.integers(0, 40))
@settings(max_examples=40)
def test_counts_by_segment_from_one_on_are_the_arrivals_counted(job: Job, at: int) -> None:
    schedule = Schedule(job)
    first = schedule.timeline.segments[at % len(schedule.timeline.segments)]
    counted = Counter(segment for _, _, _, segment, _ in arrivals(schedule) if segment >= first.index)
    assert schedule.counts_by_segment(first.start_ns) == counted


@pytest.mark.parametrize(
    ("phases", "counts"),
    [
        ((phase(50, 24),), [1200]),
        (SPIKE, [100, 1200, 7275, 1500]),
        ((phase(50, 1), phase(0, 10), phase(50, 1)), [50, 0, 50]),
        ((phase(0, 10),), [0]),
        ((phase(1 / 3, 9), phase(0.1, 10)), [3, 1]),
        ((phase(0.25, 2), phase(0.25, 2)), [1, 0]),
        ((phase(100, 10, ramp=10),), [500]),
        ((phase(100, 10), phase(0, 10, ramp=10), phase(1, 1)), [1000, 500, 1]),
    ],
)
def test_constant_arrivals_by_phase(phases: tuple[PhaseSpec, ...], counts: list[int]) -> None:
    schedule = Schedule(make_job(phases=phases))
    owned = Counter(schedule.timeline.segments[r[3]].phase for r in arrivals(schedule))
    assert [owned[i] for i in range(len(phases))] == counts
    assert schedule.count() == sum(counts)


def test_constant_arrivals_are_evenly_spaced_from_zero() -> None:
    dues = [r[1] for r in arrivals(Schedule(make_job(phases=(phase(50, 24), phase(20, 1)))))]
    assert dues == [k * 20_000_000 for k in range(1200)] + [24 * SECOND + k * 50_000_000 for k in range(20)]


def test_a_long_schedule_begins_at_once() -> None:
    # A thousand million arrivals: whoever gathered them first would not be back.
    for kind in ("constant", "poisson"):
        schedule = Schedule(make_job(arrivals=kind, phases=(phase(100_000, 10_000),)))
        first = list(islice(schedule.batches(1, 4), 3))
        assert [len(b.due) for b in first] == [BLOCK // 4] * 3
        assert first[2].arrival[0] == 2 * BLOCK + 1


def test_the_seed_decides_and_nothing_else() -> None:
    def run(seed: int) -> list[Arrival]:
        two = (request(), request())
        return arrivals(Schedule(make_job(arrivals="poisson", seed=seed, requests=two)))

    assert run(1) == run(1)
    assert len({tuple(run(seed)) for seed in (0, 1, -1, 2, 2**64, 2**64 + 1)}) == 6


def test_this_seed_gave_these_arrivals_when_it_was_first_released() -> None:
    rows = arrivals(Schedule(make_job(arrivals="poisson", seed=1, requests=(request(), request(weight=2)))))
    assert [r[1:3] for r in rows[:4]] == GOLDEN


GOLDEN = [(160317651, 0), (164840748, 1), (239661057, 0), (442378330, 0)]


@pytest.mark.parametrize("seed", range(8))
def test_poisson_gaps_are_exponential(seed: int) -> None:
    line_phases = (phase(400, 5), phase(0, 3), phase(1000, 4, ramp=4), phase(50, 8, double_every=2))
    schedule = Schedule(make_job(arrivals="poisson", seed=seed, phases=line_phases))
    # Back on the arrivals axis, gaps of a Poisson process of any rate are exponential with mean 1.
    at = [schedule.timeline.arrivals_by(r[1]) for r in arrivals(schedule)]
    gaps = sorted(b - a for a, b in pairwise([0.0, *at]))
    n = len(gaps)
    assert n > 4000
    assert abs(n - schedule.timeline.arrivals) < 4 * math.sqrt(schedule.timeline.arrivals)
    # Kolmogorov and Smirnov, at 0.1 %.
    distance = max(
        max((i + 1) / n - (1 - math.exp(-gap)), 1 - math.exp(-gap) - i / n) for i, gap in enumerate(gaps)
    )
    assert distance < 1.95 / math.sqrt(n)


@pytest.mark.parametrize("seed", range(4))
def test_poisson_counts_are_independent_from_second_to_second(seed: int) -> None:
    schedule = Schedule(make_job(arrivals="poisson", seed=seed, phases=(phase(40, 400),)))
    per_second = Counter(r[1] // SECOND for r in arrivals(schedule))
    counts = [per_second[s] for s in range(400)]
    mean = sum(counts) / 400
    # The index of dispersion is chi-square with 399 degrees of freedom: 399 ± 4·√(2·399).
    dispersion = sum((c - mean) ** 2 for c in counts) / mean
    assert abs(dispersion - 399) < 4 * math.sqrt(2 * 399)
    correlation = sum((a - mean) * (b - mean) for a, b in pairwise(counts)) / (mean * 399)
    assert abs(correlation) < 4 / math.sqrt(399)


@pytest.mark.parametrize("seed", range(4))
def test_requests_come_by_weight(seed: int) -> None:
    weights = (8.0, 2.0, 0.5, 1.5)
    job = make_job(
        seed=seed,
        phases=(phase(1000, 12),),
        requests=tuple(request(name=str(i), weight=w) for i, w in enumerate(weights)),
    )
    drawn = Counter(r[2] for r in arrivals(Schedule(job)))
    expected = [w * 1000 for w in weights]
    chi_square = sum((drawn[i] - e) ** 2 / e for i, e in enumerate(expected))
    assert chi_square < 16.27  # 3 degrees of freedom, 0.1 %


def test_weights_are_drawn_anew_for_each_arrival_and_not_in_turn() -> None:
    rows = arrivals(Schedule(make_job(phases=(phase(1000, 4),), requests=(request(), request()))))
    runs = sum(a[2] != b[2] for a, b in pairwise(rows))
    assert abs(runs - 2000) < 4 * math.sqrt(1000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrivals": "bursts"}, "arrivals: got bursts, want one of constant, poisson"),
        ({"requests": ()}, "a job needs at least one request"),
        ({"phases": ()}, "a job needs at least one phase"),
    ],
)
def test_no_schedule(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Schedule(make_job(**changes))


def test_cumulated_weights_reach_their_end() -> None:
    # Weights that don't add up exactly must never give an index past the last request.
    requests = tuple(request(name=str(i), weight=0.1) for i in range(10))
    assert list(accumulate(r.weight for r in requests))[-1] != 1.0
    assert {r[2] for r in arrivals(Schedule(make_job(phases=(phase(500, 10),), requests=requests)))} == set(
        range(10)
    )
