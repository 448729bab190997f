"""Which parts of a run are judged: frames, recoveries, runs cut short, and the file that holds them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conservation import violations
from judge_samples import fault, judge_slos
from overload_runs import SPIKE, Answer, Phase, Run, every, failed, figures, ok, ran, schedule, shed

from loadtool.errors import UsageError
from loadtool.judge.case import Case
from loadtool.judge.overload import judge_overload
from loadtool.judge.verdict import judge
from loadtool.measure.outcome import ABORTED, RESET, TIMEOUT
from loadtool.measure.result import Result
from loadtool.measure.result_json import dump, load

# Constant arrivals: baseline 50/s in [0, 24), spike 500/s in [24, 39), recovery 50/s in [39, 69).


def test_spikes_are_judged_separately_and_the_worst_is_the_runs() -> None:
    phases = (
        ("baseline1", 50.0, 12.0), ("spike1", 500.0, 6.0), ("recovery1", 50.0, 15.0),
        ("baseline2", 50.0, 12.0), ("spike2", 500.0, 6.0), ("recovery2", 50.0, 15.0),
    )  # fmt: skip

    def service(t: float) -> Answer:
        n = round(t * 500)
        if 12 <= t < 18:
            return ok() if n % 5 == 0 else shed()
        return failed(TIMEOUT) if 45 <= t < 51 else ok()

    overload, why = judge_overload(Case.of(ran(service, phases).result()))
    assert overload is not None
    assert why == ""
    assert [(f.name, f.baseline, f.recovery, f.verdict) for f in overload.spikes] == [
        ("spike1", "baseline1", ["recovery1"], "shed"),
        ("spike2", "baseline2", ["recovery2"], "melted"),
    ]
    assert overload.verdict == "melted"


def test_a_surge_between_two_recoveries_is_no_recovery() -> None:
    """The planned rate stays at the baseline's from 84 s on; what came of the surge is the surge's."""
    phases = (*SPIKE, ("baseline2", 500.0, 15.0), ("recovery2", 50.0, 40.0))

    def service(t: float) -> Answer:
        return failed(TIMEOUT) if 24 <= t < 39 or 69 <= t < 84 else ok()

    result = ran(service, phases).result(slos=["recovery < 10s"])
    again = load(json.loads(json.dumps(dump(result))))
    for judged in (result, again):
        found = figures(judged)
        assert (found.recovered, found.recovery_s, found.watched_s) == (True, 0.0, 40.0)
        assert [figure.status for figure in judge_slos(judged)] == ["pass"]


def test_a_spike_without_a_baseline_beside_one_that_has_one() -> None:
    phases = (("spike1", 100.0, 6.0), ("baseline", 50.0, 12.0), ("spike2", 100.0, 6.0))
    overload, _ = judge_overload(Case.of(ran(phases=phases).result()))
    assert overload is not None
    assert [f.verdict for f in overload.spikes] == ["no-baseline", "absorbed"]
    assert overload.verdict == "no-baseline"
    assert overload.spikes[0].sentence == (
        "Not judged, since no phase with the role baseline comes before it: no-baseline"
    )
    assert overload.spikes[0].goodput_retention is None


@pytest.mark.parametrize(
    ("phases", "service", "why"),
    [
        ((("baseline", 50.0, 9.0),), lambda t: ok(), "no phase has the role spike"),
        ((("spike", 50.0, 9.0),), lambda t: ok(), "no phase with the role baseline comes before spike"),
        (
            (("spike1", 50.0, 3.0), ("recovery", 50.0, 3.0), ("spike2", 50.0, 3.0)),
            lambda t: ok(),
            "no phase with the role baseline comes before spike1 and spike2",
        ),
        ((("baseline", 50.0, 9.0), ("spike", 0.0, 9.0)), lambda t: ok(), "no arrival was due in spike"),
    ],
)
def test_why_there_is_nothing_to_judge(
    phases: tuple[Phase, ...], service: Callable[[float], Answer], why: str
) -> None:
    result = ran(service, phases).result()
    assert judge_overload(Case.of(result)) == (None, why)
    judge(result)
    assert (result.overload, result.no_overload) == (None, why)


def test_a_file_without_steps_is_not_judged() -> None:
    result = ran().result()
    result.steps = []
    assert judge_overload(Case.of(result)) == (
        None, "the result holds no counts step by step, as those of older versions of loadtool",
    )  # fmt: skip


@pytest.mark.parametrize(("bad", "judged"), [(60, True), (61, False)])
def test_a_baseline_has_to_be_good_itself(bad: int, judged: bool) -> None:
    # 1,200 arrivals: 60 bad ones are five per cent.
    f = figures(ran(lambda t: failed() if t < bad / 50 - 0.001 else ok()).result())
    if judged:
        assert (f.verdict, f.baseline_ratio) == ("absorbed", 0.95)
    else:
        why = "only 94.9% of the arrivals in baseline were good, want 95% or more"
        assert (f.verdict, f.sentence) == ("no-baseline", f"Not judged, since {why}: no-baseline")
        assert {f.unknown[k] for k in ("goodput_retention", "recovery_s", "hysteresis")} == {why}
        assert f.honest_rejection == 1.0


def test_a_baseline_without_arrivals() -> None:
    f = figures(ran(phases=(("baseline", 0.0, 9.0), ("spike", 50.0, 9.0))).result())
    assert f.sentence == "Not judged, since no arrival was due in baseline: no-baseline"


# Recovery


def test_no_recovery_phase() -> None:
    f = figures(ran(every(5, ok(), shed(3_900)), SPIKE[:2]).result())
    assert (f.recovered, f.recovery_s, f.watched_s, f.hysteresis) == (None, None, None, None)
    why = "no recovery phase follows it"
    assert {f.unknown[k] for k in ("recovery_s", "hysteresis", "retry_amplification_after")} == {why}
    # It ends with the run, and is whole all the same.
    assert (f.end_retention, f.latency_growth, f.notes) == (1.0, 1.0, [])
    assert f.verdict == "shed"
    assert f.sentence.endswith("in under 4 ms, recovery not known (no recovery phase follows it): shed")


@pytest.mark.parametrize(
    ("seconds", "rate", "why"),
    [
        (2.0, 50.0, "100 arrivals in 2 s are too few to tell"),
        (5.0, 5.0, "25 arrivals in 5 s are too few to tell"),
    ],
)
def test_a_recovery_without_a_window(seconds: float, rate: float, why: str) -> None:
    phases = (("baseline", rate, 60.0), ("spike", 10 * rate, 15.0), ("recovery", rate, seconds))
    f = figures(ran(phases=phases).result())
    assert (f.recovered, f.recovery_s, f.watched_s) == (None, None, seconds)
    assert f.unknown["recovery_s"] == why


def test_a_recovery_that_nobody_asks_for_at_its_end() -> None:
    """Ten of its thirty seconds have arrivals, of which the first five are lost: its last third has none."""
    phases = (*SPIKE[:2], ("recovery", 50.0, 10.0), ("recovery2", 0.0, 20.0))
    f = figures(ran(lambda t: failed() if 39 <= t < 44 else ok(), phases).result())
    assert (f.recovered, f.recovery_s, f.watched_s, f.watched, f.tail) == (True, 5.0, 30.0, 500, 0)
    assert (f.hysteresis, f.hysteresis_bound, f.retry_amplification_after) == (None, None, None)
    why = "no arrival was due in the last third of the recovery"
    assert f.unknown["hysteresis"] == f.unknown["retry_amplification_after"] == why


def test_a_load_that_never_comes_down_is_never_watched() -> None:
    phases = (*SPIKE[:2], ("recovery", 56.0, 30.0))
    f = figures(ran(phases=phases).result())
    assert f.recovered is None
    assert f.unknown["recovery_s"] == (
        "up to the end of recovery the load was above the baseline's or a fault was active"
    )


def test_recovery_counts_from_when_the_load_has_come_down() -> None:
    # The ramp passes 55/s after 10·445/450 s; the service is back at 51.
    made = schedule(SPIKE, ramps={"recovery": 10})
    f = figures(Run(made).serve(lambda t: failed() if 24 <= t < 51 else ok()).result())
    assert f.watched_s == pytest.approx(30 - 10 * 445 / 450, abs=1e-6)
    assert f.recovery_s == 2.0  # windows from 48.89 and 49.89 are bad; the next has 0.11 s of it
    assert f.verdict == "melted"


@pytest.mark.parametrize(
    ("real_end", "watched_s", "recovery_s"),
    [
        (49.0, 20.0, 0.0),
        (49.02, 20.0, 0.0),  # as it is in practice: the step before it counts
        (49.4, 20.0, 0.0),
        (49.6, 19.0, 0.0),
        (51.0, 18.0, 0.0),
        (47.0, 20.0, 0.0),  # cut short: planned to go on
    ],
)
def test_a_fault_into_recovery_delays_it(real_end: float, watched_s: float, recovery_s: float) -> None:
    made = schedule(SPIKE, faults=[("slow", 30, 49)])
    run = Run(made).serve(lambda t: failed() if 30 <= t < 49 else ok())
    slow = fault("slow", planned_s=[30.0, 49.0], started_s=30.0, ended_s=real_end)
    f = figures(run.result(faults=[slow]))
    assert (f.watched_s, f.recovery_s) == (watched_s, recovery_s)
    assert f.notes == []


def test_a_fault_that_was_never_taken_out() -> None:
    made = schedule(SPIKE, faults=[("slow", 30, 49)])
    slow = fault("slow", planned_s=[30.0, 49.0], started_s=30.0, ended_s=None, removed=False)
    f = figures(Run(made).serve(lambda t: ok()).result(faults=[slow]))
    assert f.recovered is None
    assert f.unknown["recovery_s"] == "fault slow was active to the end"


def test_recovery_counts_from_when_a_fault_was_found_gone() -> None:
    made = schedule(SPIKE, faults=[("slow", 30, 51)])
    slow = fault("slow", planned_s=[30.0, 51.0], started_s=30.0, ended_s=None, removed=True)
    f = figures(Run(made).serve(lambda t: failed() if 30 <= t < 49 else ok()).result(faults=[slow]))
    assert (f.watched_s, f.recovery_s) == (18.0, 0.0)


def test_a_fault_that_comes_while_recovery_is_watched_counts_and_is_named() -> None:
    made = schedule(SPIKE, faults=[("late", 50, 53)])
    late = fault("late", planned_s=[50.0, 53.0], started_s=50.0, ended_s=53.0)
    f = figures(Run(made).serve(lambda t: failed() if 50 <= t < 53 else ok()).result(faults=[late]))
    assert f.recovery_s == 14.0  # the last window with one of its seconds begins at 52
    assert f.notes == ["late began while recovery was watched, and what came of that counts"]


# Runs cut short


def test_cut_short_in_recovery() -> None:
    run = Run(schedule()).serve(lambda t: failed() if 24 <= t < 41 else ok(), until_s=50.4)
    f = figures(run.result(until_s=50.4))
    assert (f.recovery_s, f.watched_s, f.watched) == (2.0, pytest.approx(11.4), 570)
    assert f.goodput_retention == 0.0
    stayed = Run(schedule()).serve(lambda t: failed() if t >= 24 else ok(), until_s=44)
    f = figures(stayed.result(until_s=44))
    assert (f.recovered, f.watched_s, f.verdict) == (False, 5.0, "stayed-down")
    assert f.unknown["recovery_s"] == "not recovered in the 5 s watched"


def test_cut_short_in_the_spike() -> None:
    run = Run(schedule()).serve(every(5, ok(), shed()), until_s=30.5)
    f = figures(run.result(until_s=30.5))
    assert (f.goodput_retention, f.end_retention, f.arrivals) == (1.0, None, 3250)
    assert f.unknown["end_retention"] == f.unknown["latency_growth"] == "the run ended before the spike did"
    assert f.unknown["recovery_s"] == "the run ended before its recovery could be watched"
    assert f.notes == ["the run ended before the spike did"]
    assert f.verdict == "shed"


def test_what_was_under_way_when_it_was_cut_short_is_said() -> None:
    """Of 3,250 arrivals the last 250 were aborted: they count, or one that stands still would look well."""
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= 30 else ok(), until_s=30.5)
    f = figures(run.result(until_s=30.5))
    assert (f.arrivals, f.errors, f.hard, f.ratio, f.honest_rejection) == (3250, 250, 250, 3000 / 3250, 0.0)
    assert f.notes == [
        "the run ended before the spike did",
        "250 arrivals were under way when the run ended, and count as errors: "
        "had all been good that still had time, it would be absorbed",
    ]
    assert f.verdict == "degraded"


def test_a_service_that_stood_still_until_the_run_was_cut_short_is_not_absorbed() -> None:
    """Of 3,000 aborted arrivals only those of the last half a second had time left."""
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= 24.5 else ok(), until_s=30.5)
    f = figures(run.result(until_s=30.5))
    assert f.verdict == "melted"
    assert f.notes[1] == (
        "3,000 arrivals were under way when the run ended, and count as errors: "
        "the verdict does not hang on them"
    )


def test_what_was_under_way_when_it_was_cut_short_in_its_recovery_is_said() -> None:
    """Of the 150 arrivals of the last 3 s, 20 were aborted: less than 0.95 − 0.0415 were good."""
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= 44.6 else ok(), until_s=45)
    f = figures(run.result(until_s=45))
    assert f.verdict == "stayed-down"
    assert f.notes == [
        "20 arrivals were under way when the run ended, and count as errors: "
        "had all been good that still had time, it would be absorbed",
    ]


def test_at_best_is_what_still_could_be_good() -> None:
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= 24.5 else ok(), until_s=30.3)
    case = Case.of(run.result(until_s=30.3))
    best = case.at_best()
    steps = [(s.start_s, s.end_s, s.good) for s in best.result.steps if s.start_s >= 28]
    assert steps == [(28, 29, 0), (29, 30, 500), (30, 30.3, 150)]  # what was due from 29.8 s on had time
    assert (case.aborted, best.aborted) == (2900, 2250)
    spike = sum(p.good for key, p in best.cells.items() if key.phase == "spike")
    assert spike == 250 + 650
    assert sum(p.finished for p in best.cells.values()) == sum(p.finished for p in case.cells.values())
    assert sum(p.good for p in case.cells.values()) == sum(s.good for s in case.result.steps)  # as it was


def test_what_was_due_in_a_step_that_ended_as_early_as_good_within_had_no_time() -> None:
    """The run was ended at 30.5 s, and what is good comes within half a second."""
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= 29 else ok(), until_s=30.5)
    result = run.result(until_s=30.5, slos=["goodput > 400/s during spike in any 1s"])
    case = Case.of(result)
    assert case.hopeful() == {"spike": 250}
    assert [s.good for s in case.at_best().result.steps if s.start_s >= 28] == [500, 0, 250]
    (figure,) = judge_slos(result)
    assert (figure.status, figure.value) == ("fail", 0.0)  # from 29 s to 30 s nothing could come any more


@pytest.mark.parametrize(
    ("since_s", "status", "note"),
    [
        (30.0, "inconclusive", "150 arrivals were under way when the run ended"),
        (24.5, "fail", ""),  # most of them had no time left
    ],
)
def test_what_was_under_way_fails_no_objective_on_spikes(since_s: float, status: str, note: str) -> None:
    run = Run(schedule()).serve(lambda t: failed(ABORTED) if t >= since_s else ok(), until_s=30.3)
    result = run.result(slos=["honest rejection >= 95%"], until_s=30.3)
    (figure,) = judge_slos(result)
    assert (figure.status, figure.value, figure.note) == (status, 0.0, note)
    result.interrupted = None  # then it is no end that anybody chose
    (figure,) = judge_slos(result)
    assert (figure.status, figure.note) == ("fail", "")


def test_cut_short_before_the_spike() -> None:
    run = Run(schedule()).serve(lambda t: ok(), until_s=20)
    assert judge_overload(Case.of(run.result(until_s=20))) == (None, "the run ended before spike")


# The file

UNEVEN = (("baseline", 7.0, 24.3), *SPIKE[1:])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ran(every(5, ok(80_000), shed(3_900))).result(capacity="95/s"),
        lambda: ran(lambda t: failed(RESET) if t >= 24 else ok()).result(),
        lambda: ran(lambda t: shed() if 24 <= t < 39 else failed(RESET)).result(),
        lambda: ran(phases=SPIKE[:1]).result(),
        lambda: Run(schedule()).serve(lambda t: ok(), until_s=50.4).result(until_s=50.4),
        lambda: (
            Run(schedule((("baseline", 7.0, 24.3), *SPIKE[1:]), arrivals="poisson"))
            .serve(lambda t: ok())
            .result()
        ),
    ],
)
def test_the_file_gives_the_same_verdict(make: Callable[[], Result]) -> None:
    fresh = make()
    stored = json.dumps(dump(fresh))
    assert violations(fresh) == []
    judge(fresh)
    again = load(json.loads(stored))
    judge(again)
    assert again == fresh
    judged = load(json.loads(json.dumps(dump(fresh))))
    assert judged == fresh
    judge(judged)
    assert judged == fresh


def test_long_runs_have_wide_slices_and_lose_nothing() -> None:
    """Twenty minutes before it: slices of two seconds, blocks and windows of one."""
    phases = (("baseline", 50.0, 1200.0), *SPIKE[1:])
    run = Run(schedule(phases, slice_s=2)).serve(lambda t: failed() if 1200 <= t < 1218 else ok())
    result = run.result()
    assert (result.slice_s, violations(result)) == (2.0, [])
    f = figures(result)
    assert (f.block_s, f.recovery_s, f.watched_s) == (1.0, 3.0, 30.0)


@pytest.mark.parametrize("text", ["fast", "0/s", "-5/s"])
def test_a_capacity_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"^result: profile\.capacity: got "):
        judge_overload(Case.of(ran().result(capacity=text)))
