"""Whole runs with answers known by arithmetic: frames, figures, sentences, and when nothing can be said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from conservation import violations
from overload_runs import SPIKE, Answer, Phase, Run, every, failed, figures, ok, ran, schedule, shed
from simulated_service import Service, count

from loadtool.measure.outcome import ABORTED, RESET, TIMEOUT, UNSENT
from loadtool.measure.result import FaultFigure
from loadtool.measure.spike import SpikeFigures
from loadtool.report.overload import rows

# Constant arrivals: baseline 50/s in [0, 24), spike 500/s in [24, 39), recovery 50/s in [39, 69).


def test_a_spike_that_is_shed() -> None:
    # 100/s are served in 80 ms, 400/s are turned away within 3.9 ms.
    f = figures(ran(every(5, ok(80_000), shed(3_900))).result(capacity="100/s"))
    assert (f.name, f.phases, f.baseline, f.recovery) == ("spike", ["spike"], "baseline", ["recovery"])
    assert (f.arrivals, f.shed, f.errors, f.late, f.hard) == (7500, 6000, 0, 0, 0)
    assert (f.reference, f.reference_per_s) == ("capacity", 100.0)
    assert (f.offered_per_s, f.goodput_per_s, f.served_per_s, f.demanded_per_s) == (500, 100, 100, 100)
    assert (f.baseline_ratio, f.ratio, f.goodput_retention, f.end_retention) == (1.0, 0.2, 1.0, 1.0)
    assert (f.block_s, f.shed_ratio, f.shed_ratio_attempts) == (1.0, 0.8, 0.8)
    assert f.shed_p99_ms == 3.9
    assert f.shed_p99_bound_ms == 50.0  # half of the baseline's 10 ms would be less
    assert (f.honest_rejection, f.latency_growth) == (1.0, 1.0)
    assert (f.recovered, f.recovery_s, f.watched_s, f.watched) == (True, 0.0, 30.0, 1500)
    assert (f.hysteresis, f.hysteresis_bound) == (0.0, 0.02)
    assert (f.retry_amplification, f.retry_amplification_after) == (1.0, 1.0)
    assert (f.time_to_first_shed_s, f.implied_buffer) == (0.002, 0.8)
    assert (f.unknown, f.notes) == ({}, [])
    assert f.verdict == "shed"
    assert f.sentence == (
        "Served 100 of the 100 requests/s it can serve, turned 80 % away in under 4 ms, "
        "back to normal at once: shed"
    )


@pytest.mark.parametrize(
    ("service", "sentence"),
    [
        (
            every(5, ok(), shed(3_900)),
            "Served 100 of 500 requests/s in time (50/s before the spike), turned 80 % away in under 4 ms, "
            "back to normal at once: shed",
        ),
        (lambda t: ok(), "Served 500 of 500 requests/s in time, back to normal at once: absorbed"),
        (
            every(5, ok(), failed()),
            "Served 100 of 500 requests/s in time (50/s before the spike), failed 80 %, "
            "back to normal at once: degraded",
        ),
        # Nobody knows what would have come of them: they count against it, and are not called failed.
        (
            every(5, ok(), failed(ABORTED)),
            "Served 100 of 500 requests/s in time (50/s before the spike), "
            "had not answered 80 % when the run was ended, back to normal at once: degraded",
        ),
        (
            every(5, ok(), ok(600_000)),
            "Served 100 of 500 requests/s in time (50/s before the spike), left 80 % waiting too long, "
            "back to normal at once: queued",
        ),
        (
            every(100, ok(), failed(TIMEOUT)),
            "Served 5 of 500 requests/s in time (50/s before the spike), left 99 % waiting too long, "
            "back to normal at once: melted",
        ),
        (
            lambda t: ok() if t < 24 or t >= 49 else failed(UNSENT),
            "Served 0 of 500 requests/s in time (50/s before the spike), left 100 % waiting too long, "
            "back to normal after 10 s: melted",
        ),
        (
            lambda t: ok() if t < 24 else failed(RESET),
            "Served 0 of 500 requests/s in time (50/s before the spike), failed 100 %, "
            "not back to normal in the 30 s watched: stayed-down",
        ),
        # One in 250 is not worth a word.
        (
            every(250, failed(), ok()),
            "Served 498 of 500 requests/s in time, back to normal at once: absorbed",
        ),
        (
            every(5, ok(), shed(1_234_567)),
            "Served 100 of 500 requests/s in time (50/s before the spike), turned 80 % away in under 1.3 s, "
            "back to normal at once: degraded",
        ),
    ],
)
def test_sentences(service: Callable[[float], Answer], sentence: str) -> None:
    assert figures(ran(service).result()).sentence == sentence


def test_what_was_cut_off_is_not_told_as_failed() -> None:
    f = figures(ran(every(5, ok(), failed(ABORTED))).result())
    (row,) = [row for row in rows(f) if row.label == "honest rejection"]
    assert row.remark == "80% cut off as the run was ended"


def test_more_capacity_than_was_asked_for() -> None:
    service = every(5, ok(), shed())
    f = figures(ran(service).result(capacity="9000/s"))
    assert (f.goodput_retention, f.demanded_per_s, f.verdict) == (0.2, 500.0, "melted")
    assert f.sentence.startswith("Served 100 of 500 requests/s in time (it can serve 9,000/s), turned ")


@pytest.mark.parametrize(
    ("capacity", "noted"), [("520/s", True), ("480/s", True), ("530/s", False), ("470/s", False)]
)
def test_load_close_to_a_stated_capacity_is_noted(capacity: str, noted: bool) -> None:
    why = "it was offered within 5% of its capacity, where chance decides the verdict"
    assert figures(ran().result(capacity=capacity)).notes == [why] * noted
    assert figures(ran().result()).notes == []


def test_a_surplus_never_pays_and_the_end_counts_alone() -> None:
    # 100/s in the first ten seconds, nothing in the last five.
    f = figures(
        ran(lambda t: ok() if not 24 <= t < 39 else every(5, ok(), shed())(t) if t < 34 else shed()).result()
    )
    assert f.goodput_retention == pytest.approx(10 / 15)
    assert f.end_retention == 0.0
    assert f.verdict == "melted"
    assert f.latency_growth is None
    assert f.unknown["latency_growth"] == "no ok answer in its last third"


@pytest.mark.parametrize(
    ("phases", "block_s", "blocks"),
    [
        (SPIKE, 1.0, 15),
        # 50 arrivals at 20/s take 2.5 s; at 7/s 7.1 s, but a block in each third there has to be.
        ((("baseline", 20.0, 24.0), ("spike", 200.0, 15.0), ("recovery", 20.0, 30.0)), 2.5, 6),
        ((("baseline", 7.0, 24.0), ("spike", 21.0, 15.0), ("recovery", 7.0, 30.0)), 5.0, 3),
        # A spike shorter than three blocks.
        ((("baseline", 50.0, 24.0), ("spike", 500.0, 1.5), ("recovery", 50.0, 30.0)), 0.5, 3),
        # Not on whole seconds.
        ((("baseline", 50.0, 24.3), ("spike", 500.0, 7.9), ("recovery", 50.0, 30.0)), 7.9 / 6, 6),
        # Of several phases.
        (
            (
                ("baseline", 50.0, 24.0),
                ("spike1", 500.0, 2.5),
                ("spike2", 300.0, 3.5),
                ("recovery", 50.0, 30.0),
            ),
            1.0,
            6,
        ),
    ],
)
def test_blocks(phases: tuple[Phase, ...], block_s: float, blocks: int) -> None:
    result = ran(phases=phases).result()
    assert violations(result) == []
    assert len(result.spikes[0].blocks_s) == blocks + 1
    f = figures(result)
    assert f.block_s == pytest.approx(block_s)
    assert (f.goodput_retention, f.end_retention, f.verdict) == (1.0, 1.0, "absorbed")


def test_boundaries_that_are_not_on_whole_seconds_are_exact() -> None:
    """Nothing is served in the second third of the spike, [26.8, 29.3), whose ends cut seconds in two."""
    phases = (("baseline", 40.0, 24.3), ("spike", 400.0, 7.5), ("recovery", 40.0, 30.25))
    run = ran(lambda t: failed() if 26.8 <= t < 29.3 else ok(), phases)
    f = figures(run.result())
    assert f.goodput_retention == pytest.approx(2 / 3, rel=1e-9)
    assert (f.end_retention, f.recovery_s, f.watched_s) == (1.0, 0.0, 30.25)


def test_latency_growth_is_of_ok_answers_alone() -> None:
    # 40 ms in the first third, 100 ms in the last; failed ones took 2 ms.
    def service(t: float) -> Answer:
        return every(2, ok(40_000 if t < 29 else 70_000 if t < 34 else 100_000), failed(us=2_000))(t)

    result = ran(service).result()
    assert (result.spikes[0].first_third_ms, result.spikes[0].last_third_ms) == (40.0, 100.0)
    assert figures(result).latency_growth == 2.5


def test_time_to_first_shed_and_the_buffer_that_it_implies() -> None:
    # 500/s come, 250/s are served, and the first no comes for the arrival that is due after 1.5 s.
    def service(t: float) -> Answer:
        return every(2, ok(), shed() if t >= 25.5 else ok(700_000))(t)

    f = figures(ran(service).result())
    assert f.time_to_first_shed_s == 1.502  # odd arrivals are refused; those due at 25.5 are even
    assert f.implied_buffer == pytest.approx(250 * 1.502)


def full_from(shed_s: float, change_s: float, *faults: FaultFigure, ramp: str | None = None) -> SpikeFigures:
    """500/s come, and 250/s are served until `change_s`, then 100/s; all are taken up to the first shed."""

    def service(t: float) -> Answer:
        n, since = round(t * 500), round(t - 24, 6)
        if not 0 <= since < 15 or since < shed_s:
            return ok(10_000 if since < 1 else 100_000)
        return ok(200_000) if n % (2 if since < change_s else 5) == 0 else shed()

    result = ran(service).result(faults=faults)
    result.profile["faults"] = [{"name": "slow-store", "ramp": ramp}] if ramp else []
    return figures(result)


def fault(start: float, end: float, *, placed: bool = True) -> FaultFigure:
    figure = FaultFigure("slow-store", "latency", "store", "latency", [start, end])
    if placed:
        figure.started_s, figure.ended_s = start, end
    return figure


@pytest.mark.parametrize(
    ("shed_s", "change_s", "faults", "ramp", "buffer"),
    [
        (3.0, 15.0, (), None, 750),  # 1,500 have come, and 750 of them are served
        (3.0, 9.0, (fault(33, 60),), None, 750),
        (3.0, 9.0, (fault(33, 60), fault(10, 35)), None, 750),
        (3.0, 9.0, (fault(26, 33),), None, None),  # what it could do before and after is not known
        (3.0, 3.0, (fault(27, 29),), None, None),
        (3.0, 15.0, (fault(24, 39),), None, 750),  # it lasts as long as the spike, and nothing changes
        (3.0, 15.0, (fault(20, 50),), "5s", None),
        (3.0, 15.0, (fault(26, 33, placed=False),), None, 750),
        (14.5, 15.0, (), None, None),  # it was not full for long enough to show what it serves then
    ],
)
def test_the_buffer_is_that_of_a_service_that_could_always_do_the_same(
    shed_s: float,
    change_s: float,
    faults: tuple[FaultFigure, ...],
    ramp: str | None,
    buffer: float | None,
) -> None:
    f = full_from(shed_s, change_s, *faults, ramp=ramp)
    assert f.time_to_first_shed_s == pytest.approx(shed_s, abs=0.005)
    assert f.implied_buffer == (None if buffer is None else pytest.approx(buffer, abs=2))
    (row,) = [row for row in rows(f) if row.label == "time to first shed"]
    assert row.remark.startswith("room for about 75" if buffer else "")
    assert bool(row.remark) == (buffer is not None)


@pytest.mark.parametrize("queue", [50, 100, 190])
def test_the_buffer_of_a_queue_is_what_it_holds(queue: int) -> None:
    run = Run(schedule())
    batches = list(run.schedule.batches())
    dues = [due for batch in batches for due in batch.due]
    outcomes = Service(100, slots=4, queue=queue).serve([due // 1000 for due in dues], Random(1))
    count(run, dues, [segment for batch in batches for segment in batch.segment], outcomes)
    f = figures(run.result())
    assert f.implied_buffer == pytest.approx(queue + 4, abs=6)  # with those in its four slots


def test_it_is_said_which_fault_came_while_latency_grew() -> None:
    f = full_from(3.0, 9.0, fault(33, 60))
    assert f.latency_growth == pytest.approx(2, rel=0.05)
    for faults, remark in ((["slow-store"], "slow-store came or went meanwhile"), ([], "still growing")):
        (row,) = [r for r in rows(replace(f, faults=faults, latency_growth=9.0)) if "growth" in r.label]
        assert row.remark == remark


def test_hysteresis_is_of_the_last_third() -> None:
    # In recovery, every fifth fails: from 59 on, every tenth.
    def service(t: float) -> Answer:
        n = round(t * 50)
        return failed() if t >= 39 and n % (5 if t < 59 else 10) == 0 else ok()

    f = figures(ran(service).result())
    assert f.hysteresis == pytest.approx(0.1)
    assert f.hysteresis_bound == 0.02
    assert f.watched == 1500
    # Nine in ten are below 0.927, the bound of a window of 500: it did not come back.
    assert (f.recovered, f.verdict) == (False, "stayed-down")


@pytest.mark.parametrize(
    ("percent", "seconds", "said"),
    [
        (0, 10.0, "back to normal at once"),
        (0, 9.0, "well in the 9 s watched, too short to prove it"),
        (0, 4.0, "well in the 4 s watched, too short to prove it"),
        # Hysteresis is marked from 2 % on, and windows are bad from 7.3 % on.
        (1, 30.0, "back to normal at once"),
        (4, 30.0, "not quite back to normal (in the end 4 % fewer served in time than before)"),
        (4, 4.0, "not quite back to normal (in the end 4 % fewer served in time than before)"),
    ],
)
def test_at_once_is_said_where_nothing_else_speaks_against_it(
    percent: int, seconds: float, said: str
) -> None:
    """After the spike this share of arrivals fails, evenly spread."""

    def service(t: float) -> Answer:
        return failed() if t >= 39 and round(t * 50) * percent % 100 < percent else ok()

    f = figures(ran(service, (*SPIKE[:2], ("recovery", 50.0, seconds))).result())
    assert (f.recovered, f.recovery_s, f.watched_s, f.verdict) == (True, 0.0, seconds, "absorbed")
    assert f.hysteresis == pytest.approx(percent / 100, abs=0.005)
    assert f.sentence == f"Served 500 of 500 requests/s in time, {said}: absorbed"


def test_a_recovery_that_took_a_while_may_still_be_worse_in_the_end() -> None:
    """Nothing is answered for 5 s, then all but 4 %: the windows are well from the fifth second on."""

    def service(t: float) -> Answer:
        return failed() if t >= 39 and (t < 44 or round(t * 50) * 4 % 100 < 4) else ok()

    f = figures(ran(service).result())
    assert (f.recovered, f.recovery_s) == (True, 5.0)
    assert f.hysteresis == pytest.approx(0.04, abs=0.005)
    end = "back to normal after 5 s, though in the end 4 % fewer were served in time than before"
    assert f.sentence.startswith(f"Served 500 of 500 requests/s in time, {end}: ")


def test_attempts_and_arrivals_are_counted_apart() -> None:
    run = Run(schedule())
    for batch in run.schedule.batches():
        for due, segment in zip(batch.due, batch.segment, strict=True):
            t = due / 1e9
            run.add(segment, due, ok(), attempts=3 if 24 <= t < 39 else 2 if t >= 59 else 1)
    f = figures(run.result())
    assert (f.retry_amplification, f.retry_amplification_after) == (3.0, 2.0)
    assert (f.arrivals, f.watched, f.tail) == (7500, 1500, 500)
    shed_run = Run(schedule())
    for batch in shed_run.schedule.batches():
        for due, segment in zip(batch.due, batch.segment, strict=True):
            inside = 24 <= due / 1e9 < 39
            shed_run.add(segment, due, shed() if inside else ok(), attempts=4 if inside else 1)
    f = figures(shed_run.result())
    assert (f.shed_ratio, f.shed_ratio_attempts) == (1.0, 0.25)


def test_half_of_a_slow_baseline_bounds_the_latency_of_sheds() -> None:
    f = figures(ran(lambda t: ok(300_000) if not 24 <= t < 39 else shed(100_000)).result())
    assert f.shed_p99_bound_ms == pytest.approx(150, rel=0.001)


def test_a_baseline_of_failures_bounds_no_latency_of_sheds() -> None:
    f = figures(ran(lambda t: shed() if 24 <= t < 39 else failed(RESET)).result())
    assert (f.shed_p99_bound_ms, f.verdict) == (None, "no-baseline")
