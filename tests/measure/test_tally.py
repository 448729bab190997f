"""The coordinator's running sum: merging, lost workers, conservation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_samples import SECOND, delta, frame, job, timeline

from loadtool.measure.frame import CellDelta, Example, decode, encode, lengths
from loadtool.measure.histogram import HIGHEST_US, quantise
from loadtool.measure.outcome import H_LAG, H_OK, LOST, OK
from loadtool.measure.population import CellKey, Population, pool
from loadtool.measure.recorder import Recorder
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.schedule import Schedule

# No phase has the role baseline, so that nothing is cut into the steps of a spike.
TWO_PHASES = timeline(("baseline", "warmup", 2), ("spike", "spike", 2), faults=[("slow", 2.5, 3.5)])


def test_seconds_rest_once_nothing_is_added_and_reading_wakes_none() -> None:
    """A slice that stays awake takes a hundred times the memory, so looking at it must not cost that."""
    tally = Tally(timeline(("hold", "custom", 40)), ["browse"], workers=1)

    def awake() -> set[int]:
        return {slice_ for slice_, books in tally.by_slice.items() if not books.packed}

    for second in range(30):
        cells = [delta(second, ok=[1000 * (second + 1)])]
        if second <= 20:
            cells.append(delta(0, ok=[5000]))  # answers to the first second keep coming
        tally.add(frame(0, second, second + 1.0, *cells[: 1 if second == 0 else 2]))
        for books in tally.by_slice.values():  # as an SLO in any ten seconds does
            assert books.histogram(H_OK).total == books.ok
            seen = Population(seconds=1.0)
            seen.add(books)
            assert seen.histogram(H_OK) == books.histogram(H_OK)
        assert awake() == {s for s in range(second + 1) if s >= second - 5 or (s == 0 and second <= 25)}
    assert tally.by_slice[0].histogram(H_OK).counts == {1000: 1, 5000: 20}


def test_frames_of_two_workers_add_up() -> None:
    tally = Tally(TWO_PHASES, ["browse", "checkout"], workers=2)
    tally.add(
        frame(0, 0, 1.0, delta(0, ok=[1000, 2000], lag=[10, 20]), delta(0, request=1, errors={"reset": 1}))
    )
    tally.add(frame(1, 0, 1.0, delta(0, ok=[3000]), delta(0, shed=[500])))
    tally.add(frame(0, 1, 2.0, delta(1, ok=[5000]), final=True))
    tally.add(
        frame(1, 1, 4.0, delta(2, 2, ok=[9000], good=0), delta(3, 3, errors={"timeout": 2}), final=True)
    )
    assert tally.conservation() == []
    assert (tally.totals.scheduled, tally.totals.ok, tally.totals.shed, tally.totals.good) == (9, 5, 1, 4)
    assert tally.totals.errors == {"timeout": 2, "reset": 1}
    cells = tally.populations(4 * SECOND)
    assert list(cells) == [
        CellKey(phase, faults, request)
        for phase, faults in (("baseline", ()), ("spike", ()), ("spike", ("slow",)))
        for request in ("browse", "checkout")
    ]
    baseline = cells[CellKey("baseline", (), "browse")]
    assert (baseline.scheduled, baseline.ok, baseline.shed, baseline.seconds) == (5, 4, 1, 2.0)
    assert sorted(baseline.histogram(H_OK).counts) == [1000, 2000, 3000, 5000 // 4 * 4]
    assert baseline.histogram(H_OK).sum_us == 11_000
    # The spike without the fault is two stretches, [2, 2.5) and [3.5, 4).
    outside = cells[CellKey("spike", (), "browse")]
    assert (outside.scheduled, outside.seconds) == (2, 1.0)
    assert cells[CellKey("spike", ("slow",), "browse")].scheduled == 1
    assert pool(cells.items()).seconds == 4.0


def test_a_fault_that_comes_again_is_one_cell() -> None:
    times = [("blink", 1.0 + 2 * n, 2.0 + 2 * n) for n in range(3)]
    line = timeline(("warmup", "warmup", 4), ("steady", "warmup", 6), faults=times)
    tally = Tally(line, ["browse"])
    for segment, stretch in enumerate(line.segments):
        second = stretch.start_ns // SECOND
        tally.add(frame(0, segment, second + 1.0, delta(second, segment, ok=[1000 * (segment + 1)])))
    assert tally.conservation() == []
    cells = tally.populations(7 * SECOND)
    assert {key[:2]: (p.ok, p.seconds, p.histogram(H_OK).sum_us) for key, p in cells.items()} == {
        ("warmup", ()): (2, 2.0, 1000 + 3000),
        ("warmup", ("blink",)): (2, 2.0, 2000 + 4000),
        ("steady", ()): (2, 2.0, 5000 + 7000),  # [4, 5) and [6, 10), of which one second has been
        ("steady", ("blink",)): (1, 1.0, 6000),
    }
    # However often it comes, there are no more books to add up.
    assert len(tally.by_stretch) == 4


def test_stretches_that_were_not_reached_are_left_out() -> None:
    tally = Tally(TWO_PHASES, ["browse"])
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1])))
    tally.add(frame(0, 1, 2.4, delta(2, 1, ok=[1])))
    cells = tally.populations(int(2.4 * SECOND))
    assert {key: p.seconds for key, p in cells.items()} == {
        CellKey("baseline", (), "browse"): 2.0,
        CellKey("spike", (), "browse"): 0.4,
    }


def test_a_lost_worker_owes_everything_that_was_due_and_not_reported() -> None:
    tally = Tally(timeline(("spike", "spike", 3)), ["browse"], workers=2)
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1000] * 7, scheduled=10)))  # three of its ten are under way
    tally.add(frame(1, 0, 1.0, delta(0, ok=[1000] * 10)))
    tally.add(frame(1, 1, 3.0, delta(1, ok=[1000] * 10), delta(2, ok=[1000] * 10), final=True))
    assert tally.conservation() == ["worker 0, slice 0, phase spike, request browse: 10 scheduled, 7 ended"]
    assert tally.lose(0, {(0, 0, 0): 10, (1, 0, 0): 10}) == 13
    assert tally.lose(0, {(0, 0, 0): 10, (1, 0, 0): 10, (2, 0, 0): 10}) == 10  # a later cut adds the rest
    assert tally.lose(0, {(0, 0, 0): 10, (1, 0, 0): 10, (2, 0, 0): 10}) == 0
    assert tally.conservation() == []
    assert tally.workers_lost == 1
    assert tally.totals.errors == {"lost": 23}
    assert [tally.by_slice[s].counts[LOST] for s in range(3)] == [3, 10, 10]
    assert [tally.by_slice[s].scheduled for s in range(3)] == [20, 20, 20]
    with pytest.raises(ValueError, match=r"^frame 1 of worker 0: the worker is counted as lost$"):
        tally.add(frame(0, 1, 2.0))


def test_a_worker_lost_before_its_first_frame_owes_its_whole_share_of_the_schedule() -> None:
    schedule = Schedule(
        job([("warmup", "warmup", 5, 1), ("spike", "spike", 50, 2)], ["a", "b"], arrivals="poisson")
    )
    tally = Tally(schedule.timeline, ["a", "b"], workers=3)
    lost = tally.lose(2, schedule.counts_by_segment_and_request(2 * SECOND, 2, 3))
    for worker in (0, 1):
        cells = schedule.counts_by_segment_and_request(2 * SECOND, worker, 3)
        deltas = [delta(*cell, ok=[1000] * count) for cell, count in cells.items()]
        tally.add(frame(worker, 0, 2.0, *deltas, final=True))
    assert tally.conservation() == []
    everything = schedule.counts_by_segment_and_request(2 * SECOND)
    planned = sum(everything.values())
    assert tally.conservation(planned) == []
    assert tally.conservation(planned + 1) == [
        f"{planned + 1} arrivals were planned, {planned} were scheduled"
    ]
    assert tally.totals.scheduled == sum(everything.values())
    assert tally.totals.counts[LOST] == lost > 0
    for segment in (0, 1):
        owed = sum(n for cell, n in everything.items() if cell[1] == segment)
        assert sum(tally.by_stretch[segment, r].scheduled for r in (0, 1)) == owed


SPIKE = timeline(("baseline", "baseline", 2), ("spike", "spike", 3), ("recovery", "recovery", 2))


def test_a_spike_is_counted_by_its_steps() -> None:
    """At 1/s a block would last 50 s, so that each third is one: segments 1, 2, 3; of recovery 4 and 5."""
    tally = Tally(SPIKE, ["a", "b"], workers=1)
    early, late = delta(2, 1, shed=[9]), delta(2, 1, 1, shed=[9])
    early.first_shed_ns, late.first_shed_ns = 2_700_000_000, 2_400_000_000
    tally.add(frame(0, 0, 3.0, delta(2, 1, ok=[10_000, 30_000, 30_000]), early, late))
    tally.add(frame(0, 1, 4.0, delta(3, 2, 1, ok=[90_000])))
    tally.add(
        frame(
            0, 2, 6.0, delta(4, 3, ok=[50_000], status=[1]), delta(4, 3, 1, ok=[70_000]), delta(5, 4, ok=[1])
        )
    )
    tally.add(frame(0, 3, 7.0, final=True))
    assert tally.conservation(10) == []
    parts = result_parts(tally, int(6.5 * SECOND), 10.0)
    assert [
        (s.phase, s.start_s, s.end_s, s.scheduled, s.ok, s.shed, s.first_shed_s) for s in parts.steps
    ] == [
        ("baseline", 0.0, 2.0, 0, 0, 0, None),
        ("spike", 2.0, 3.0, 5, 3, 2, 2.4),
        ("spike", 3.0, 4.0, 1, 1, 0, None),
        ("spike", 4.0, 5.0, 3, 2, 0, None),
        ("recovery", 5.0, 6.0, 1, 1, 0, None),
        ("recovery", 6.0, 6.5, 0, 0, 0, None),
    ]
    assert parts.steps[3].errors == {"status": 1}
    (spike,) = parts.spikes
    assert (spike.name, spike.baseline, spike.recovery) == ("spike", "baseline", ["recovery"])
    assert (spike.start_s, spike.end_s, spike.blocks_s) == (2.0, 5.0, [2.0, 3.0, 4.0, 5.0])
    # The median of 10, 30 and 30 ms; of 50 and 70 ms the first.
    assert spike.first_third_ms == 30.0
    assert spike.last_third_ms == pytest.approx(50.0, rel=0.001)
    assert spike.watch is not None
    assert (spike.watch.from_s, spike.watch.end_s, spike.watch.step_s) == (5.0, 7.0, 1.0)


def test_a_step_that_was_not_reached_is_left_out() -> None:
    parts = result_parts(Tally(SPIKE, ["a"]), 3 * SECOND, 10.0)
    assert [(s.start_s, s.end_s) for s in parts.steps] == [(0.0, 2.0), (2.0, 3.0)]


def test_when_the_first_shed_was_due_is_kept_by_cell_until_it_is_reported() -> None:
    recorder = Recorder(frozenset({1}))
    cell = recorder.cell(2, 1, 0)
    cell.touched, cell.first_shed = True, 2_500_000_000
    assert [d.first_shed_ns for d in recorder.deltas()] == [2_500_000_000]
    cell.touched = True
    assert [d.first_shed_ns for d in recorder.deltas()] == [None]


def test_what_a_worker_records_arrives_unchanged() -> None:
    recorder = Recorder(frozenset({1}))
    cell = recorder.cell(2, 1, 0)
    for us in (0, 7, 2049, 1_000_000, 2 * HIGHEST_US):
        cell.scheduled += 1
        cell.counts[OK] += 1
        cell.record(H_OK, us * 1000 + 499)  # ns, which round to the µs
    cell.touched = True
    tally = Tally(TWO_PHASES, ["browse"])
    tally.add(frame(0, 0, 3.0, *recorder.deltas(), final=True))
    assert tally.conservation(5) == []
    found = tally.by_stretch[1, 0].histogram(H_OK)
    assert found.counts == {1: 1, 7: 1, 2048: 1, 999_936: 1, quantise(HIGHEST_US): 1}
    assert (found.sum_us, found.max_us) == (1_002_056 + 2 * HIGHEST_US, 2 * HIGHEST_US)


@pytest.mark.parametrize(
    ("cells", "violation"),
    [
        (
            [delta(0, ok=[1], scheduled=2)],
            "worker 0, slice 0, phase baseline, request browse: 2 scheduled, 1 ended",
        ),
        (
            [delta(2, 1, ok=[1], scheduled=0)],
            "worker 0, slice 2, phase spike, request browse: 0 scheduled, 1 ended",
        ),
        (
            [CellDelta(0, 0, 0, scheduled=1, counts=[1] + [0] * 12)],
            "phase baseline, request browse: 1 ended ok, 0 timed",
        ),
        (
            [CellDelta(0, 0, 0, scheduled=1, counts=[0, 0, 0, 1] + [0] * 9)],
            "phase baseline, request browse: 1 ended failed, 0 timed",
        ),
    ],
)
def test_what_does_not_add_up_is_named(cells: list[CellDelta], violation: str) -> None:
    tally = Tally(TWO_PHASES, ["browse"])
    tally.add(frame(0, 0, 1.0, *cells))
    assert tally.conservation() == [violation]


def test_sums_that_disagree_are_named() -> None:
    tally = Tally(TWO_PHASES, ["browse"])
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1, 2])))
    tally.by_slice[0].counts[OK] = 1
    assert tally.conservation() == [
        "in total 2 scheduled, 2 ended; over workers 2 scheduled, 2 ended; "
        "over slices 2 scheduled, 1 ended; over phases 2 scheduled, 2 ended; "
        "over steps 2 scheduled, 2 ended"
    ]


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (frame(0, 2, 2.0), "frame 2 of worker 0: comes after frame 0"),
        (frame(0, 0, 2.0), "frame 0 of worker 0: comes after frame 0"),
        (frame(0, 1, 2.0, delta(4)), "frame 1 of worker 0: slice 4 of 4"),
        (frame(0, 1, 2.0, delta(0, 4)), "frame 1 of worker 0: segment 4 of 4"),
        (frame(0, 1, 2.0, delta(0, 0, 1)), "frame 1 of worker 0: request 1 of 1"),
        (frame(0, 1, 2.0, delta(-1)), "frame 1 of worker 0: slice -1 of 4"),
        (
            frame(0, 1, 2.0, CellDelta(0, 0, 0, counts=[1])),
            "frame 1 of worker 0: unknown outcomes or classes",
        ),
    ],
)
def test_frames_that_cannot_be_are_refused(second: Any, problem: str) -> None:
    tally = Tally(TWO_PHASES, ["browse"])
    tally.add(frame(0, 0, 1.0, delta(0, ok=[1])))
    with pytest.raises(ValueError, match=f"^{problem}$"):
        tally.add(second)
    assert tally.totals.scheduled == 1
    tally.add(frame(0, 1, 2.0, final=True))
    with pytest.raises(ValueError, match=r"^frame 2 of worker 0: comes after the final one$"):
        tally.add(frame(0, 2, 3.0))


def test_losing_arrivals_of_no_cell_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^arrivals of the lost worker 0: slice 9 of 4$"):
        Tally(TWO_PHASES, ["browse"]).lose(0, {(9, 0, 0): 1})


def test_the_books_of_the_generator() -> None:
    tally = Tally(TWO_PHASES, ["browse"], workers=2)
    late = Example("reset", "browse", 1.5, "later")
    early = Example("reset", "browse", 0.5, "earlier")
    tally.add(
        frame(0, 0, 1.0, cpu_ns=2 * SECOND, in_flight=3, local={"EMFILE": 2}, retried=1, examples=[late])
    )
    tally.add(
        frame(1, 0, 1.0, cpu_ns=SECOND // 2, in_flight=4, examples=[Example("status", "browse", 1, "x")])
    )
    tally.add(frame(0, 1, 2.0, cpu_ns=2 * SECOND + SECOND // 4, local={"EMFILE": 1}, examples=[early]))
    assert tally.cpu_share == 0.25  # worker 0 between its frames; most of its time it took before the first
    assert tally.local == {"EMFILE": 3}
    assert tally.retried == 1
    assert [e.detail for e in tally.examples] == ["x", "earlier"]
    assert tally.in_flight_by_slice == {0: {0: 3, 1: 4}, 1: {0: 0}}


def test_what_is_in_flight_at_the_end_of_a_wide_slice() -> None:
    tally = Tally(timeline(("spike", "spike", 8), slice_s=4), ["browse"])
    for second in range(8):
        tally.add(frame(0, second, second + 1.002, in_flight=second))
    assert tally.in_flight_by_slice == {0: {0: 3}, 1: {0: 7}}


Told = tuple[float, int, dict[str, Any]]
FINAL, STOPPED, MORE = {"final": True}, {"stopped": True, "more": True}, {"more": True}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            [(1.001, 4, {}), (2, 5, {}), (2.5, 6, {}), (3, 9, {}), (3.1, 0, FINAL)],
            [4, 5, 6],
        ),  # beyond the plan
        ([(1, 4, {}), (2, 5, {}), (2.501, 6, {}), (2.9, 0, FINAL)], [4, 5, 6]),  # the last answers come
        ([(1, 4, {}), (2, 5, {}), (2.4, 0, FINAL)], [4, 5, 0]),  # all had ended before
        ([(1, 4, {}), (1.2, 7, STOPPED), (2, 3, {}), (2.6, 0, FINAL)], [4, 7, 7]),  # to abort takes a while
        ([(0.3, 7, STOPPED), (0.4, 0, FINAL)], [7, 7, 7]),
        ([(1, 4, {}), (2.9, 6, STOPPED), (2.9, 0, FINAL)], [4, 6, 6]),  # it stood still
        ([(2, 4, MORE), (2.5, 6, MORE), (2, 4, MORE), (2, 4, {}), (3, 9, {})], [4, 4, 6]),  # in mid-report
    ],
)
def test_what_is_in_flight_at_the_end_of_a_slice_is_told_once(told: list[Told], found: list[int]) -> None:
    tally = Tally(timeline(("spike", "spike", 2.5)), ["browse"], workers=2)
    for worker in (0, 1):
        for n, (at, in_flight, options) in enumerate(told):
            tally.add(frame(worker, n, at, in_flight=in_flight, **options))
    assert [s.in_flight for s in result_parts(tally, 2 * SECOND + 1, 10.0).series] == [2 * n for n in found]


def test_one_frame_does_not_tell_how_busy_a_worker_was() -> None:
    """It holds the time that starting the process took, which is no share of a run of milliseconds."""
    tally = Tally(TWO_PHASES, ["browse"], workers=2)
    tally.add(frame(0, 0, 0.005, cpu_ns=SECOND // 6, final=True))
    tally.add(frame(1, 0, 0.005, cpu_ns=SECOND // 6, stopped=True))  # and to abort what there was is no load
    tally.add(frame(1, 1, 0.010, cpu_ns=SECOND // 5, final=True))
    assert tally.cpu_share == 0


def test_old_slices_rest_until_something_late_touches_them() -> None:
    tally = Tally(timeline(("spike", "spike", 100)), ["browse"])
    for second in range(100):
        tally.add(frame(0, second, second + 1.0, delta(second, ok=[1000], lag=[3])))
    assert tally.by_slice[0].packed
    assert not tally.by_slice[99].packed
    tally.add(frame(0, 100, 101.0, delta(0, ok=[4000]), final=True))
    assert tally.by_slice[0].histogram(H_OK).counts == {1000: 1, 4000: 1}
    assert tally.by_slice[0].quantile_ms(H_LAG, 0.5) == 0.003
    assert tally.conservation() == []


CELLS = st.builds(
    lambda s, r, ok, shed, status, timeouts: delta(
        s,
        0 if s < 2 else 1 if s == 2 else 3,
        r,
        ok=ok,
        shed=shed,
        status=status,
        errors={"timeout": timeouts},
    ),
    st.integers(0, 3),
    st.integers(0, 1),
    st.lists(st.integers(1, 10**7), max_size=5),
    st.lists(st.integers(1, 10**7), max_size=3),
    st.lists(st.integers(1, 10**7), max_size=3),
    st.integers(0, 3),
)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.lists(CELLS, max_size=4)), max_size=8))
def test_any_frames_in_any_split_give_the_same_sum(frames: list[tuple[int, list[CellDelta]]]) -> None:
    many, one = Tally(TWO_PHASES, ["a", "b"]), Tally(TWO_PHASES, ["a", "b"])
    sequence = dict.fromkeys(range(3), 0)
    for worker, cells in frames:
        wire = encode(frame(worker, sequence[worker], sequence[worker] + 1.0, *cells))
        header, _ = lengths(wire[:8])
        many.add(decode(wire[8 : 8 + header], wire[8 + header :]))
        sequence[worker] += 1
    one.add(frame(0, 0, 1.0, *(cell for _, cells in frames for cell in cells)))
    assert many.conservation() == one.conservation() == []
    assert many.totals == one.totals
    assert many.by_stretch == one.by_stretch
    assert many.by_segment == one.by_segment
    assert many.first_sheds == one.first_sheds
    assert many.by_slice == one.by_slice
    assert sum(many.totals.counts) == many.totals.scheduled
