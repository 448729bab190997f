"""The report of a second goes in frames of some values each, and they add up to what one frame would say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from engine_harness import SECOND, job_for

from loadtool.engine.reporter import APART_NS, HURRY_NS, PIECE_VALUES, RESTS, TICK_NS, Reporter
from loadtool.engine.transports import Gauges
from loadtool.measure.frame import PREFIX_BYTES, Example, Frame, decode, lengths
from loadtool.measure.outcome import CLASSES, H_CONNECT, H_OK, M_RETRIES, OK
from loadtool.measure.recorder import PARTS, Recorder
from loadtool.measure.tally import Tally
from loadtool.plan.job import PhaseSpec, RequestSpec
from loadtool.plan.timeline import Timeline

START = 1_000 * SECOND
MS = 1_000_000
REQUESTS = tuple(RequestSpec(str(n), 1.0, "GET", "/") for n in range(5))
TIMELINE = Timeline.of(
    replace(
        job_for(1, requests=REQUESTS, phases=(PhaseSpec("baseline", "baseline", 100.0, 4 * SECOND),)),
        slice_ns=SECOND,
    )
)


class Told:
    """The pipe to the coordinator."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.waited = False
        self.takes: Callable[[], None] = lambda: None

    def send(self, data: bytes) -> None:
        self.takes()
        header, _ = lengths(data[:PREFIX_BYTES])
        self.frames.append(decode(data[PREFIX_BYTES : PREFIX_BYTES + header], data[PREFIX_BYTES + header :]))

    def send_last(self) -> None:
        self.waited = True


class Bench:
    def __init__(self, end_ns: int = 4 * SECOND) -> None:
        self.recorder = Recorder(frozenset())
        self.told = Told()
        self.now = START
        self.feed = SimpleNamespace(slice=0)
        self.ledger = SimpleNamespace(examples=[], slowest=None)
        self.local = {"EMFILE": 2}
        self.warnings: list[str] = []
        self.reporter = Reporter(
            3,
            START,
            SECOND,
            end_ns,
            recorder=self.recorder,
            feed=cast(Any, self.feed),
            ledger=cast(Any, self.ledger),
            gauges=self.gauges,
            warnings=self.warnings,
            reports=cast(Any, self.told),
            clock=lambda: self.now,
        )

    def gauges(self) -> Gauges:
        counted, self.local = self.local, {}
        return Gauges(in_flight=7, waiting=1, connections=9, local=counted, retried=len(counted))

    def serve(self, request: int, times_us: list[int], slice_: int = 0) -> None:
        """Arrivals that find a free connection and are answered."""
        cell = self.recorder.cell(slice_, 0, request)
        for us in times_us:
            cell.touched = True
            cell.scheduled += 1
            cell.attempts += 1
            cell.counts[OK] += 1
            cell.record_at_once((us % 50) * 1000)
            cell.record_ok(us * 1000, us * 1000, (us + 7) * 1000)

    def report(self, between: Callable[[], None] = lambda: None) -> list[Frame]:
        """One whole report: its frames."""
        before = len(self.told.frames)
        while True:
            due = self.reporter.tick(self.now)
            if not self.told.frames[-1].more:
                return self.told.frames[before:]
            assert due == self.now + APART_NS
            self.now = due
            between()


def times(request: int, count: int = 3000) -> list[int]:
    draw = random.Random(request)
    return [round(draw.lognormvariate(7, 0.8)) for _ in range(count)]


def tally_of(frames: list[Frame]) -> Tally:
    tally = Tally(TIMELINE, [r.name for r in REQUESTS])
    for frame in frames:
        tally.add(frame)
    return tally


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_every_class_is_in_one_part() -> None:
    assert sorted(code for part in PARTS for code in part) == list(range(len(CLASSES)))


def test_a_few_values_are_one_frame(bench: Bench) -> None:
    bench.serve(0, [100, 200, 200])
    bench.now = START + TICK_NS + 3 * MS
    assert bench.reporter.tick(bench.now) == START + 2 * TICK_NS
    (frame,) = bench.told.frames
    assert (frame.more, frame.elapsed_ns, frame.sequence, frame.worker) == (False, TICK_NS + 3 * MS, 0, 3)
    assert frame.cells[0].scheduled == 3
    assert (frame.local, frame.retried) == ({"EMFILE": 2}, 1)


def test_nothing_is_a_frame_too(bench: Bench) -> None:
    bench.now = START + TICK_NS
    (frame,) = bench.report()
    assert (frame.cells, frame.in_flight, frame.waiting, frame.connections) == ([], 7, 1, 9)


def test_many_values_are_many_frames_that_say_the_same(bench: Bench) -> None:
    whole = Bench()
    for subject in (bench, whole):
        for request in range(5):
            subject.serve(request, times(request))
    bench.now = whole.now = START + TICK_NS
    frames = bench.report()
    assert len(frames) >= 5
    assert [frame.more for frame in frames] == [True] * (len(frames) - 1) + [False]
    assert {frame.elapsed_ns for frame in frames} == {TICK_NS}
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert [frame.local for frame in frames] == [{"EMFILE": 2}] + [{}] * (len(frames) - 1)
    assert [frame.retried for frame in frames] == [1] + [0] * (len(frames) - 1)
    for frame in frames[:-1]:
        sizes = [sum(len(s.counts) for s in cell.values.values()) for cell in frame.cells]
        assert sum(sizes) >= PIECE_VALUES > sum(sizes[:-1])
    whole.reporter.end(START + TICK_NS)
    pieces, at_once = tally_of(frames), tally_of(whole.told.frames)
    assert pieces.populations(TICK_NS) == at_once.populations(TICK_NS)
    assert pieces.snapshot(TICK_NS) == at_once.snapshot(TICK_NS)
    assert pieces.in_flight_by_slice == at_once.in_flight_by_slice == {0: {3: 7}}
    assert pieces.conservation(15_000) == []


@pytest.mark.parametrize(
    ("end_ns", "asked"),
    [
        (500 * MS, [500 * MS, 1_000 * MS, 2_000 * MS]),
        (1_000 * MS, [1_000 * MS, 2_000 * MS, 3_000 * MS]),
        (1_500 * MS, [1_000 * MS, 1_500 * MS, 2_000 * MS]),
    ],
)
def test_how_it_stands_at_the_end_of_the_plan_is_told_when_it_comes(end_ns: int, asked: list[int]) -> None:
    bench = Bench(end_ns)
    due = bench.reporter.first_ns
    for at in asked:
        assert due == START + at
        due = bench.reporter.tick(due)
    assert [frame.elapsed_ns for frame in bench.told.frames] == asked


def test_the_end_of_the_plan_in_the_middle_of_a_report_does_not_wait_for_its_end() -> None:
    """What goes on beyond the plan is none of it. Nothing is told twice, or not at all."""
    bench, whole = Bench(TICK_NS + MS), Bench()
    for subject in (bench, whole):
        for request in range(5):
            subject.serve(request, times(request))
    bench.now = START + TICK_NS
    due = bench.reporter.tick(bench.now)
    assert due == START + TICK_NS + MS < START + TICK_NS + APART_NS
    while bench.told.frames[-1].more:
        bench.now = due
        due = bench.reporter.tick(due)
    assert due == START + 2 * TICK_NS
    first, between, *rest = bench.told.frames
    assert (between.elapsed_ns, between.in_flight, between.cells) == (TICK_NS + MS, 7, [])
    assert {frame.elapsed_ns for frame in (first, *rest)} == {TICK_NS}
    whole.reporter.end(START + TICK_NS)
    pieces, at_once = tally_of(bench.told.frames), tally_of(whole.told.frames)
    assert pieces.populations(2 * TICK_NS) == at_once.populations(2 * TICK_NS)
    assert pieces.conservation(15_000) == []


@pytest.mark.parametrize("ticks", [0, 1])
def test_a_stop_tells_how_it_stood_and_the_end_tells_all_else(ticks: int) -> None:
    bench = Bench()
    for request in range(5):
        bench.serve(request, times(request))
    for _ in range(ticks):
        bench.reporter.tick(START + TICK_NS)  # the first piece of many
    bench.reporter.stop(START + TICK_NS + MS)
    stopped = bench.told.frames[-1]
    assert (stopped.stopped, stopped.more, stopped.in_flight, stopped.cells) == (True, True, 7, [])
    bench.reporter.end(START + TICK_NS + 2 * MS)
    final = bench.told.frames[-1]
    assert (final.stopped, final.more, final.final) == (False, False, True)
    assert [frame.local for frame in bench.told.frames if frame.local] == [{"EMFILE": 2}]
    assert tally_of(bench.told.frames).conservation(15_000) == []


@pytest.mark.parametrize(
    ("took_ns", "late_ns", "apart_ns"),
    [
        (0, 0, APART_NS),
        (100_000, 0, APART_NS),
        (APART_NS // RESTS, 0, APART_NS),
        (1 * MS, 0, RESTS * MS),
        (7 * MS, 0, 7 * RESTS * MS),
        (7 * MS, HURRY_NS - 1, 7 * RESTS * MS),
        (7 * MS, HURRY_NS, APART_NS),
    ],
)
def test_frames_that_take_long_are_further_apart_until_time_presses(
    bench: Bench, took_ns: int, late_ns: int, apart_ns: int
) -> None:
    for request in range(5):
        bench.serve(request, times(request))
    bench.now = START + TICK_NS
    bench.reporter.tick(bench.now)
    bench.now += late_ns
    bench.told.takes = lambda: setattr(bench, "now", bench.now + took_ns)
    began = bench.now
    assert bench.reporter.tick(began) == began + took_ns + apart_ns
    assert bench.told.frames[-1].more


def test_what_belongs_to_the_counts_is_told_with_them(bench: Bench) -> None:
    """A quantile of response times takes both; an `abort` SLO looks at any moment."""
    for request in range(5):
        bench.serve(request, times(request))
    bench.now = START + TICK_NS
    tally = tally_of([])
    for frame in bench.report():
        tally.add(frame)
        for books in tally.by_stretch.values():
            assert books.histogram(H_OK).total == books.ok


def test_the_second_is_not_reported_before_its_last_frame(bench: Bench) -> None:
    for request in range(5):
        bench.serve(request, times(request))
    bench.now = START + TICK_NS
    tally = tally_of([])
    for frame in bench.report():
        assert len(tally.snapshot(TICK_NS).recent) == 0
        tally.add(frame)
    assert [point.ok for point in tally.snapshot(TICK_NS).recent] == [15_000]


def test_what_happens_between_two_frames_is_told_once(bench: Bench) -> None:
    served = {request: times(request) for request in range(5)}
    for request, lengths_us in served.items():
        bench.serve(request, lengths_us)

    def between() -> None:
        for request, lengths_us in served.items():
            lengths_us += [request + 1, 5_000]
            bench.serve(request, [request + 1, 5_000])
            bench.recorder.cell(0, 0, request).record(H_CONNECT, 40_000)

    bench.now = START + TICK_NS
    frames = bench.report(between)
    more = len(frames) - 1
    bench.now = START + 2 * TICK_NS
    frames += bench.report()
    tally = tally_of(frames)
    assert tally.conservation(15_000 + more * 10) == []
    for (_, request), books in tally.by_stretch.items():
        assert books.histogram(H_OK).sum_us == sum(us + 7 for us in served[request])
        assert books.histogram(H_CONNECT).total == more
    assert bench.recorder.changed() == []


def test_each_step_of_an_arrival_is_told_when_it_happened(bench: Bench) -> None:
    """Due in one second, sent in the next, again in the third, answered in the last."""
    cell = bench.recorder.cell(0, 0, 0)

    def second(number: int) -> list[Frame]:
        cell.touched = True
        bench.now = START + number * TICK_NS
        return bench.report()

    cell.scheduled = 1
    frames = second(1)
    cell.attempts = 1
    frames += second(2)
    cell.attempts = cell.marks[M_RETRIES] = 1
    frames += second(3)
    cell.good = cell.counts[OK] = 1
    cell.record_ok(5_000, 5_000, 5_000)
    frames += second(4)
    totals = tally_of(frames).totals
    assert (totals.scheduled, totals.attempts, totals.good, totals.ok) == (1, 2, 1, 1)
    assert totals.client == {"retries": 1}


def test_the_end_tells_all_that_is_left(bench: Bench) -> None:
    """In the middle of a report, with more since."""
    for request in range(5):
        bench.serve(request, times(request))
    bench.now = START + TICK_NS
    bench.reporter.tick(bench.now)
    assert bench.told.frames[-1].more
    bench.serve(0, [1, 2, 3])
    bench.serve(1, [9], slice_=1)
    bench.ledger.examples = [Example("timeout", "get", 0.5, "no answer")]
    bench.reporter.end(START + TICK_NS + MS)
    last = bench.told.frames[-1]
    assert (last.final, last.more, last.elapsed_ns, bench.told.waited) == (True, False, TICK_NS + MS, True)
    assert [example.kind for example in last.examples] == ["timeout"]
    tally = tally_of(bench.told.frames)
    assert tally.conservation(15_004) == []
    assert sum(books.histogram(H_OK).total for books in tally.by_stretch.values()) == 15_004


def test_cells_are_forgotten_once_they_are_told_and_over(bench: Bench) -> None:
    bench.serve(0, [1], slice_=0)
    bench.serve(0, [1], slice_=1)
    waiting = bench.recorder.cell(0, 0, 1)
    waiting.open, waiting.touched = 1, True
    bench.feed.slice = 5
    bench.now = START + TICK_NS
    bench.report()
    known = bench.recorder._cells
    assert list(known) == [(1, 0, 0), (0, 0, 1)]  # one slice goes on, and one arrival is under way
    waiting.open = 0
    waiting.touched = True
    bench.now = START + 3 * TICK_NS
    bench.report()
    assert known == {}
