"""When a run can no longer pass, by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loadtool.judge.abort import LOST, AbortWatch
from loadtool.judge.verdict import judge
from loadtool.measure.books import Books
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.histogram import Histogram, Packed
from loadtool.measure.outcome import H_LAG, H_OK, H_SERVICE, OK, OUTCOMES, SHED
from loadtool.measure.result import Aborted
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, FaultWindow, Job, PhaseSpec, RequestSpec
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.profile.slo import METRICS, parse_slo

SECOND = 1_000_000_000
# 100/s for 10 s and again for 10 s: 2,000 arrivals, 1,000 of each request; a fault in the last 5 s.
JOB = Job(
    seed=1,
    arrivals="constant",
    phases=(PhaseSpec("warmup", "warmup", 10.0, SECOND), PhaseSpec("spike", "spike", 100.0, 20 * SECOND)),
    faults=(FaultWindow("slow", 16 * SECOND, 21 * SECOND),),
    requests=(RequestSpec("browse", 1.0, "GET", "/"),),
    rows=(),
    endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
    client=ClientSpec(SECOND, None, 10, True, (429, 503)),
    good_within_ns=SECOND // 2,
    slice_ns=SECOND,
)


def second(at: int, ok: int = 100, *, failed: int = 0, shed: int = 0, us: int = 10_000) -> CellDelta:
    """A second of the run, in which these ended."""
    timeline = Timeline.of(JOB)
    cell = CellDelta(at, timeline.segment_at(at * SECOND), 0)
    cell.counts[OK], cell.counts[SHED] = ok, shed
    cell.counts[OUTCOMES.index("timeout")] = failed
    cell.scheduled = cell.attempts = ok + failed + shed
    cell.good = ok
    times = Histogram()
    times.record(us, ok)
    if ok:
        cell.values = {H_OK: Sparse(times.counts, times.sum_us, times.max_us)}
    return cell


def watched(text: str, *cells: CellDelta, at_s: float = 12.0) -> Aborted | None:
    timeline = Timeline.of(JOB)
    tally = Tally(timeline, ["browse"], 1)
    tally.add(Frame(worker=0, sequence=0, elapsed_ns=int(at_s * SECOND), cells=list(cells)))
    planned = Schedule(JOB).counts_by_segment_and_request()
    watch = AbortWatch.of([parse_slo(text)], timeline, ["browse"], planned)
    return watch.check(tally, int(at_s * SECOND))


@pytest.mark.parametrize(
    ("text", "classes"),
    [("error rate < 50% abort", set()), ("goodput > 1/s abort", set()), ("p90 < 1s abort", {H_OK})],
)
def test_watching_looks_at_no_histogram_that_it_does_not_need(
    monkeypatch: pytest.MonkeyPatch, text: str, classes: set[int]
) -> None:
    """It is done four times a second, in the thread that drives faults and probes."""
    read: set[int] = set()
    histogram = Books.histogram

    def reading(books: Books, code: int) -> Histogram:
        read.add(code)
        return histogram(books, code)

    monkeypatch.setattr(Books, "histogram", reading)
    cell = second(1)
    cell.values |= {H_LAG: cell.values[H_OK], H_SERVICE: cell.values[H_OK]}
    assert watched(text, cell) is None
    assert read == classes


def test_every_metric_that_may_abort_has_a_row() -> None:
    assert LOST.keys() == {name for name, row in METRICS.items() if row.abort}


@pytest.mark.parametrize(
    ("text", "cells", "lost"),
    [
        # 5 % of all 2,000 are 100.
        ("error rate < 5% abort", [second(1, 1, failed=99)], ""),
        ("error rate < 5% abort", [second(1, 0, failed=100)],
         "100 errors so far, which are 5% of all 2,000 arrivals there will be"),
        ("error rate <= 5% abort", [second(1, 0, failed=100)], ""),
        ("error rate < 5% during slow abort", [second(1, 0, failed=100)], ""),  # not yet
        ("error rate < 5% during slow abort", [second(17, 75, failed=25)],
         "25 errors so far, which are 5% of all 500 arrivals there will be"),
        ("shed rate < 1% abort", [second(1, 80, shed=20)],
         "20 sheds so far, which are 1% of all 2,000 arrivals there will be"),
        # p99 of 2,000: rank 1,980, so that 20 may lie beyond it. Sheds make fewer: 1,900 leave 19.
        ("p99 < 50ms abort", [second(1, 80, failed=20)], ""),
        ("p99 < 50ms abort", [second(1, 79, failed=21)],
         "0 slower arrivals and 21 failed ones so far; of at most 2,000, p99 leaves room for 20"),
        ("p99 < 50ms abort", [second(1, 15, us=90_000), second(2, 94, failed=6)],
         "15 slower arrivals and 6 failed ones so far; of at most 2,000, p99 leaves room for 20"),
        ("p99 < 50ms abort", [second(1, 0, shed=100), second(2, 80, failed=20)],
         "0 slower arrivals and 20 failed ones so far; of at most 1,900, p99 leaves room for 19"),
        ("p99 < 50ms abort", [second(1, 0, shed=100), second(2, 81, failed=19)], ""),
        ("ok p99 < 50ms abort", [second(1, 50, failed=50)], ""),
        ("ok p99 < 50ms abort", [second(1, 20, us=90_000, failed=80)],
         "20 slower arrivals and 0 failed ones so far; of at most 1,920, ok p99 leaves room for 19"),
        # A perfect rest gives 1,950 good ones in 20 s.
        ("goodput >= 97.5/s abort", [second(1, 50, failed=50)], ""),
        ("goodput > 97.5/s abort", [second(1, 50, failed=50)], "at most 97.5/s good are left in 20 s"),
        # What is to stay below a rate can only grow: 20 of it in 20 s are 1/s, however many are to come.
        ("goodput < 1/s abort", [second(1, 19)], ""),
        ("goodput < 1/s abort", [second(1, 20)], "at least 1/s good are left in 20 s"),
        ("rate <= 1/s abort", [second(1, 20)], ""),
        ("rate <= 1/s abort", [second(1, 21)], "at least 1.05/s ok are left in 20 s"),
        # Shares that are to be reached: 1,950 of 2,000 can still be sheds, or errors.
        ("shed rate >= 97.5% abort", [second(1, 50)], ""),
        ("shed rate > 97.5% abort", [second(1, 50)],
         "at most 1,950 of all 2,000 arrivals can still be sheds"),
        ("error rate >= 97.5% abort", [second(1, 41, shed=10)],
         "at most 1,949 of all 2,000 arrivals can still be errors"),
        ("max < 50ms abort", [second(1, 1, us=40_000)], ""),
        ("max < 50ms abort", [second(1, 1, us=60_000)], "an answer took 60 ms"),
        # A window is known when all of its arrivals have ended, and not before.
        ("error rate < 5% in any 2s abort", [second(1, 90, failed=10)], ""),
        ("error rate < 5% in any 2s abort", [second(1, 90, failed=10), second(2, 98, failed=1)], ""),
        ("error rate < 5% in any 2s abort", [second(1, 90, failed=10), second(2)],
         "error rate was 5% from 1 s to 3 s"),
        ("p90 < 50ms in any 2s abort", [second(1), second(2), second(3, us=90_000)],
         "p90 was 90 ms from 2 s to 4 s"),
    ],
)  # fmt: skip
def test_what_can_no_longer_be_met(text: str, cells: Sequence[CellDelta], lost: str) -> None:
    found = watched(text, *cells, at_s=18.0)
    assert (found.why if found is not None else "") == lost
    if found is not None:
        assert (found.at_s, found.slo) == (18.0, text)


def test_not_before_its_time() -> None:
    cells = [second(1, 0, failed=100)]
    assert watched("error rate < 5% abort after 13s", *cells, at_s=12.9) is None
    assert watched("error rate < 5% abort after 13s", *cells, at_s=13.0) is not None


def test_windows_are_looked_at_once_and_remembered() -> None:
    timeline = Timeline.of(JOB)
    tally = Tally(timeline, ["browse"], 1)
    planned = Schedule(JOB).counts_by_segment_and_request()
    slo = parse_slo("error rate < 5% in any 3s abort after 9s")
    watch = AbortWatch.of([slo], timeline, ["browse"], planned)
    failures = {4: 30}
    for at in range(1, 10):
        cell = second(at, 100 - failures.get(at, 0), failed=failures.get(at, 0))
        tally.add(Frame(worker=0, sequence=at - 1, elapsed_ns=(at + 1) * SECOND, cells=[cell]))
        found = watch.check(tally, (at + 1) * SECOND)
        assert (found is not None) == (at + 1 >= 9)
    assert found is not None
    assert (found.at_s, found.why) == (10.0, "error rate was 10% from 2 s to 5 s")


def test_slices_at_rest_are_opened_only_when_another_one_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times a second, on the loop of faults and probes."""
    opened: list[Packed] = []
    unpack = Packed.unpack
    monkeypatch.setattr(Packed, "unpack", lambda packed: opened.append(packed) or unpack(packed))
    timeline = Timeline.of(JOB)
    tally = Tally(timeline, ["browse"], 1)
    watch = AbortWatch.of(
        [parse_slo("p90 < 50ms in any 4s abort")],
        timeline,
        ["browse"],
        Schedule(JOB).counts_by_segment_and_request(),
    )
    for at in range(1, 21):
        tally.add(Frame(worker=0, sequence=at - 1, elapsed_ns=(at + 1) * SECOND, cells=[second(at)]))
        for books in tally.by_slice.values():
            books.rest()
        opened.clear()
        assert watch.check(tally, (at + 1) * SECOND) is None
        assert (len(opened) > 0) == (at >= 4)
        opened.clear()
        for quarter in range(1, 4):
            assert watch.check(tally, (at + 1) * SECOND + quarter * SECOND // 4) is None
        assert opened == []


def test_a_part_where_nothing_is_planned_does_not_hide_an_earlier_one() -> None:
    """All that is due in it has ended from the start."""
    phases = (
        PhaseSpec("steady", "baseline", 100.0, 5 * SECOND),
        PhaseSpec("spike", "spike", 100.0, 5 * SECOND),
        PhaseSpec("steady", "baseline", 0.0, 5 * SECOND),
    )
    job = replace(JOB, phases=phases, faults=())
    timeline = Timeline.of(job)
    tally = Tally(timeline, ["browse"], 1)
    slo = parse_slo("error rate < 5% during steady in any 2s abort")
    planned = Schedule(job).counts_by_segment_and_request()
    watch = AbortWatch.of([slo], timeline, ["browse"], planned)
    assert watch.check(tally, 0) is None
    cells = [replace(second(at, 50, failed=50), segment=0) for at in (0, 1)]
    tally.add(Frame(worker=0, sequence=0, elapsed_ns=2 * SECOND, cells=cells))
    found = watch.check(tally, 2 * SECOND)
    assert found is not None
    assert found.why == "error rate was 50% from 0 s to 2 s"


def test_seconds_in_which_nothing_is_planned_are_known_from_the_start() -> None:
    phases = PhaseSpec("pause", "baseline", 0.0, 3 * SECOND), PhaseSpec("spike", "spike", 100.0, 5 * SECOND)
    job = replace(JOB, phases=phases, faults=())
    timeline = Timeline.of(job)
    tally = Tally(timeline, ["browse"], 1)
    planned = Schedule(job).counts_by_segment_and_request()
    slo = parse_slo("error rate < 5% in any 2s abort")
    watch = AbortWatch.of([slo], timeline, ["browse"], planned)
    cell = replace(second(1, 50, failed=50), slice=3, segment=timeline.segment_at(3 * SECOND))
    tally.add(Frame(worker=0, sequence=0, elapsed_ns=4 * SECOND, cells=[cell]))
    found = watch.check(tally, 4 * SECOND)
    assert found is not None
    assert found.why == "error rate was 50% from 2 s to 4 s"


def test_a_plain_objective_ends_nothing() -> None:
    assert watched("error rate < 5%", second(1, 0, failed=100)) is None


def test_the_objective_that_ended_the_run_has_failed() -> None:
    from compare_samples import Second, run

    # Of what was measured, the interval alone would leave it open: 1 of 40 is beyond p95 or not.
    result = run(baseline=[Second([10_000] * 9, 1)] * 4)
    text = "p95 < 50ms abort"
    result.profile["slos"] = [text, "error rate < 50%"]
    result.aborted = Aborted(4.2, text, "3 failed")
    verdict = judge(result)
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert verdict.reasons == (f"ended early, at 4.2 s: {text} could no longer be met: 3 failed",)
    assert [s.status for s in result.slos] == ["fail", "pass"]
    assert result.slos[0].note == "ended the run at 4.2 s: 3 failed"
