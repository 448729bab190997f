"""SLOs on what spikes did: values, several spikes, and what can't be decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from judge_samples import judge_slos
from overload_runs import SPIKE, Answer, Phase, Run, failed, ok, schedule, shed

from loadtool.judge.overload_slo import SPIKE_METRICS, judge_spikes
from loadtool.judge.slo import judge_groups
from loadtool.judge.verdict import judge
from loadtool.measure.result import SloFigure
from loadtool.measure.spike import Overload, SpikeFigures
from loadtool.profile.slo import METRICS, parse_slo


def figures(name: str = "spike", **more: object) -> SpikeFigures:
    f = SpikeFigures(
        name, [name], "baseline", [name.replace("spike", "recovery")], "shed", "",
        goodput_retention=0.95, end_retention=0.9, honest_rejection=0.97, recovery_s=8.0, recovered=True,
        watched_s=30.0, watched=1500, tail=500, hysteresis=0.01, retry_amplification=2.5,
        retry_amplification_after=1.2, latency_growth=1.5, arrivals=7500, shed=5900, errors=100,
    )  # fmt: skip
    return replace(f, **more)  # type: ignore[arg-type]  # fields by name


def judged(text: str, *spikes: SpikeFigures) -> SloFigure:
    slo = parse_slo(text, 7)
    return judge_spikes(slo, Overload(list(spikes or (figures(),)), "shed"), "")


def test_every_metric_of_the_grammar_that_needs_a_spike_has_a_row() -> None:
    assert SPIKE_METRICS.keys() == {key for key, row in METRICS.items() if row.part}


@pytest.mark.parametrize(
    ("slo", "value", "samples", "status"),
    [
        ("goodput retention >= 95%", 0.95, 7500, "pass"),
        ("goodput retention > 95%", 0.95, 7500, "fail"),
        ("end retention >= 91%", 0.9, 7500, "fail"),
        ("honest rejection >= 95%", 0.97, 6000, "pass"),  # sheds and errors
        ("recovery < 8s", 8000.0, 1500, "fail"),
        ("recovery <= 8s", 8000.0, 1500, "pass"),
        ("hysteresis <= 1%", 0.01, 500, "pass"),
        ("latency growth < 1.5", 1.5, 7500, "fail"),
        ("latency growth < 1.6x", 1.5, 7500, "pass"),
        # The larger of the two, or the one that is asked for.
        ("retry amplification < 2.5", 2.5, 7500, "fail"),
        ("retry amplification < 1.3 during recovery", 1.2, 500, "pass"),
        ("retry amplification < 1.3 during spike", 2.5, 7500, "fail"),
        ("goodput retention > 90% during spike", 0.95, 7500, "pass"),
        ("recovery < 9s during recovery", 8000.0, 1500, "pass"),
        ("recovery < 9s during spike", 8000.0, 1500, "pass"),
    ],
)
def test_values(slo: str, value: float, samples: int, status: str) -> None:
    f = judged(slo)
    assert (f.value, f.samples, f.status, f.note, f.ci95, f.line, f.text) == (
        value, samples, status, "", None, 7, slo,
    )  # fmt: skip
    assert f.metric == slo.split(" <")[0].split(" >")[0]


def test_what_the_clients_held_back_is_no_sample_of_a_rejection() -> None:
    f = judged("honest rejection >= 95%", figures(shed=5900, errors=100, throttled=60))
    assert (f.value, f.samples) == (0.97, 5940)


@pytest.mark.parametrize(("after", "value", "samples"), [(1.05, 1.05, 7500), (3.0, 3.0, 500)])
def test_arrivals_are_counted_where_the_larger_retry_amplification_is_from(
    after: float, value: float, samples: int
) -> None:
    f = judged("retry amplification < 4", figures(retry_amplification=1.05, retry_amplification_after=after))
    assert (f.value, f.samples, f.status) == (value, samples, "pass")


@pytest.mark.parametrize(("slo", "status"), [("< 2", "fail"), ("< 3.5", "fail"), ("> 2", "pass")])
def test_the_larger_retry_amplification_is_told_also_where_the_spike_alone_decides(
    slo: str, status: str
) -> None:
    f = judged(f"retry amplification {slo}", figures(retry_amplification_after=4.0))
    assert (f.value, f.samples, f.status) == (4.0, 500, status)


def test_retry_amplification_of_a_spike_that_nothing_follows() -> None:
    f = judged("retry amplification < 3", figures(retry_amplification_after=None, recovery=[]))
    assert (f.value, f.status) == (2.5, "pass")


@pytest.mark.parametrize(
    ("slo", "value", "status"),
    [
        ("retry amplification < 3", None, "inconclusive"),  # what came of it afterwards may be more
        ("retry amplification < 2", 2.5, "fail"),
        ("retry amplification > 2", 2.5, "pass"),
        ("retry amplification > 3", None, "inconclusive"),
        ("retry amplification < 3 during spike", 2.5, "pass"),
        ("retry amplification < 3 during recovery", None, "inconclusive"),
    ],
)
def test_retry_amplification_of_a_spike_whose_recovery_was_not_watched(
    slo: str, value: float | None, status: str
) -> None:
    why = {"retry_amplification_after": "the run ended before its recovery could be watched"}
    f = judged(slo, figures(retry_amplification_after=None, unknown=why))
    assert (f.value, f.status) == (value, status)
    assert f.note == (why["retry_amplification_after"] if value is None else "")


NOT_RECOVERED = figures(
    recovered=False, recovery_s=None, unknown={"recovery_s": "not recovered in the 30 s watched"}
)


@pytest.mark.parametrize(
    ("slo", "status"),
    [
        ("recovery < 29s", "fail"),
        ("recovery < 30s", "fail"),  # at least that was watched
        ("recovery < 31s", "inconclusive"),
        ("recovery <= 30s", "fail"),
        ("recovery > 29s", "pass"),
        ("recovery > 31s", "inconclusive"),
    ],
)
def test_not_recovered(slo: str, status: str) -> None:
    f = judged(slo, NOT_RECOVERED)
    assert (f.status, f.value, f.samples) == (status, None, 1500)
    assert f.note == "not recovered in the 30 s watched"


@pytest.mark.parametrize(
    ("slo", "field", "why"),
    [
        ("recovery < 9s", "recovery_s", "100 arrivals in 2 s are too few to tell"),
        ("hysteresis < 9%", "hysteresis", "no arrival was due in the last third of the recovery"),
        ("end retention > 9%", "end_retention", "the run ended before the spike did"),
        ("latency growth < 2", "latency_growth", "no ok answer in its last third"),
    ],
)
def test_what_could_not_be_measured_is_inconclusive(slo: str, field: str, why: str) -> None:
    f = judged(slo, figures(**{field: None, "recovered": None, "unknown": {field: why}}))
    assert (f.status, f.value, f.samples, f.note) == ("inconclusive", None, 0, why)


@pytest.mark.parametrize("metric", SPIKE_METRICS)
def test_without_a_good_baseline_all_are_inconclusive(metric: str) -> None:
    why = "only 90% of the arrivals in baseline were good, want 95% or more"
    value = {"time": "5s", "share": "1%", "ratio": "9x", "per_second": "1/s"}[METRICS[metric].kind]
    f = judged(
        f"{metric} < {value}",
        figures(verdict="no-baseline", unknown={"goodput_retention": why}, recovery_s=None),
    )
    assert (f.status, f.value, f.note) == ("inconclusive", None, why)


TWO = (figures("spike1"), figures("spike2", goodput_retention=0.8, latency_growth=1.2, recovery_s=3.0))


@pytest.mark.parametrize(
    ("slo", "value", "status", "note"),
    [
        ("goodput retention >= 90%", 0.8, "fail", "spike2"),
        ("goodput retention >= 70%", 0.8, "pass", "spike2"),
        ("goodput retention < 90%", 0.95, "fail", "spike1"),
        ("latency growth < 2", 1.5, "pass", "spike1"),
        ("recovery < 9s", 8000.0, "pass", "spike1"),
        ("goodput retention >= 90% during spike1", 0.95, "pass", ""),
        ("recovery < 9s during recovery2", 3000.0, "pass", ""),
    ],
)
def test_of_several_spikes_the_one_that_misses_most_counts(
    slo: str, value: float, status: str, note: str
) -> None:
    f = judged(slo, *TWO)
    assert (f.value, f.status, f.note) == (value, status, note)


def test_a_failure_goes_before_what_is_not_known_and_that_before_a_pass() -> None:
    unknown = figures("spike2", end_retention=None, unknown={"end_retention": "it was cut"})
    assert judged("end retention > 95%", figures("spike1"), unknown).status == "fail"
    f = judged("end retention > 50%", figures("spike1"), unknown)
    assert (f.status, f.note) == ("inconclusive", "spike2: it was cut")


def test_a_spike_without_a_recovery_phase_is_not_asked_for_it() -> None:
    nothing = figures("spike2", recovery=[], recovered=None, recovery_s=None)
    f = judged("recovery < 9s", figures("spike1"), nothing)
    assert (f.status, f.value, f.note) == ("pass", 8000.0, "")


def test_not_recovered_misses_more_than_any_time() -> None:
    f = judged("recovery < 1s", figures("spike1"), replace(NOT_RECOVERED, name="spike2"))
    assert (f.status, f.value, f.note) == ("fail", None, "spike2: not recovered in the 30 s watched")


def test_a_spike_that_was_not_reached() -> None:
    f = judged("goodput retention > 9% during spike2", figures("spike1"))
    assert (f.status, f.note) == ("inconclusive", "spike2 was not reached")


# Whole runs


def run(service: Callable[[float], Answer], phases: tuple[Phase, ...] = SPIKE) -> Run:
    return Run(schedule(phases)).serve(service)


def shedding(t: float) -> Answer:
    return ok() if not 24 <= t < 39 or round(t * 500) % 5 == 0 else shed()


def test_the_run_passes_and_fails_by_them() -> None:
    slos = [
        "goodput retention >= 90%",
        "recovery < 10s",
        "honest rejection >= 95%",
        "retry amplification <= 1.1",
    ]
    result = run(shedding).result(slos=slos)
    assert judge(result).verdict == "pass"
    assert [f.value for f in result.slos] == [1.0, 0.0, 1.0, 1.0]
    broken = run(lambda t: failed() if t >= 24 else ok()).result(slos=slos)
    verdict = judge(broken)
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert verdict.reasons == (
        "goodput retention >= 90%: 0%",
        "recovery < 10s: not recovered in the 30 s watched",
        "honest rejection >= 95%: 0%",
    )


def test_what_can_not_be_judged_is_inconclusive() -> None:
    result = Run(schedule()).serve(lambda t: ok(), until_s=20).result(until_s=20, slos=["recovery < 9s"])
    (f,) = judge_slos(result)
    assert (f.status, f.note) == ("inconclusive", "the run ended before spike")
    weak = run(lambda t: failed() if t < 2 else ok()).result(slos=["goodput retention > 90%"])
    verdict = judge(weak)
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 3)
    assert verdict.reasons == (
        "goodput retention > 90%: only 91.6% of the arrivals in baseline were good, want 95% or more",
    )


def test_ratios_are_written_as_multiples() -> None:
    result = run(lambda t: ok(100_000 if t >= 34 else 40_000)).result(slos=["latency growth < 2"])
    assert judge(result).reasons == ("latency growth < 2: 2.5x",)


def test_while_the_run_lasts_nothing_is_known_of_them() -> None:
    result = run(shedding)
    slos = [parse_slo("goodput retention > 90%"), parse_slo("shed rate > 50%")]
    groups = result.tally().groups(69_000_000_000)
    first, second = judge_groups(slos, groups, ())
    assert (first.status, first.value, first.note) == ("inconclusive", None, "known when the run has ended")
    assert second.status == "pass"
