"""Comparisons of runs whose difference is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from compare_samples import Second, noisy, run

from loadtool.errors import UsageError
from loadtool.judge.compare import Comparer
from loadtool.judge.compare_metrics import METRICS, SPIKE_METRICS, quantile
from loadtool.judge.compare_profiles import changed_keys, changes
from loadtool.judge.compare_sample import OVERALL
from loadtool.judge.compare_stats import t_quantile
from loadtool.judge.comparison import Difference
from loadtool.measure.result import Aborted, Result
from loadtool.measure.spike import Overload, SpikeFigures


def compared(
    before: Sequence[Result] | Result, after: Sequence[Result] | Result, name: str, where: str = OVERALL
) -> Difference:
    """One figure."""
    sides = [[s] if isinstance(s, Result) else list(s) for s in (before, after)]
    return Comparer.of(sides[0], sides[1]).difference(METRICS[name], where)


def steady(us: int, slices: int = 12, failed: int = 0) -> list[Second]:
    return [Second([us] * 50, failed) for _ in range(slices)]


@pytest.mark.parametrize(
    ("before", "after", "name", "label", "change"),
    [
        (10_000, 13_000, "p50", "worse", 0.3),
        (13_000, 10_000, "p99", "better", 1 / 1.3 - 1),
        (10_000, 10_100, "p50", "same", 0.01),  # under 2 %
        (1_000, 1_150, "p50", "same", 0.15),  # under 0.2 ms
        (1_000, 1_300, "p50", "worse", 0.3),
    ],
)
def test_a_certain_difference_is_told_if_it_matters(
    before: int, after: int, name: str, label: str, change: float
) -> None:
    d = compared(run(baseline=steady(before)), run(baseline=steady(after)), name)
    assert (d.label, d.note) == (label, "")
    assert d.change == pytest.approx(change, rel=0.01, abs=0.001)
    assert d.probability == 1.0


def test_equal_runs_are_the_same_and_nothing_is_certain() -> None:
    d = compared(run(baseline=noisy(1)), run(baseline=noisy(1)), "p99")
    assert (d.label, d.change, d.probability) == ("can't tell", 0.0, 0.0)  # 9 samples beyond it
    assert d.note == "only 9 samples beyond it"
    d = compared(run(baseline=noisy(1)), run(baseline=noisy(1)), "p50")
    assert (d.label, d.change, d.interval, d.probability) == ("same", 0.0, (0.0, 0.0), 0.0)


def test_noise_is_no_difference_and_a_large_one_is() -> None:
    labels = [compared(run(baseline=noisy(i)), run(baseline=noisy(100 + i)), "p50").label for i in range(10)]
    assert {"better", "worse"}.isdisjoint(labels)
    slower = [
        compared(run(baseline=noisy(i)), run(baseline=noisy(100 + i, median_us=12_000)), "p50").label
        for i in range(8)
    ]
    assert slower.count("worse") >= 7


def test_failures_are_infinite_and_move_the_quantiles() -> None:
    before, after = run(baseline=steady(10_000)), run(baseline=steady(10_000, failed=1))
    d = compared(before, after, "p99")
    assert (d.baseline, d.candidate, d.label) == (pytest.approx(10.0, rel=0.001), math.inf, "worse")
    assert compared(before, after, "p90").label == "same"
    rate = compared(before, after, "error rate")
    assert (rate.relative, rate.label) == (False, "worse")
    assert rate.change == pytest.approx(1 / 51)
    both = compared(after, after, "p99")
    assert (both.label, both.note) == ("can't tell", "beyond every answer on both sides")


def test_goodput_is_better_when_it_is_higher() -> None:
    full, less = run(baseline=steady(10_000)), run(baseline=[Second([10_000] * 40, 10) for _ in range(12)])
    d = compared(full, less, "goodput")
    assert (d.baseline, d.candidate, d.label) == (50.0, 40.0, "worse")
    assert (d.change, d.worse_by) == (pytest.approx(-0.2), pytest.approx(0.2))
    assert compared(less, full, "goodput").label == "better"


def test_what_the_schedule_does_to_both_sides_cancels_out() -> None:
    # A queue that grows from 10 ms to 120 ms: hardly anything is certain of either run, their ratio is.
    growing = [Second([10_000 * (i + 1)] * 50) for i in range(12)]
    slower = [Second([12_000 * (i + 1)] * 50) for i in range(12)]
    d = compared(run(spike=growing), run(spike=slower), "p50", "spike")
    assert d.label == "worse"
    assert d.interval is not None
    assert d.interval == (pytest.approx(0.2, abs=0.01), pytest.approx(0.2, abs=0.01))


def test_ok_times_are_told_from_those_of_failed_answers() -> None:
    seconds = [Second([10_000] * 49, status=[1]) for _ in range(12)]
    result = run(baseline=seconds)
    d = compared(result, run(baseline=steady(10_000)), "p50")
    assert (d.baseline, d.label) == (pytest.approx(10.0, rel=0.001), "same")
    for s in result.series:
        s.ok_hdr = ""
    d = compared(result, result, "p50")
    assert d.note == "the file is of an older loadtool: no ok times by slice"


def test_short_phases_say_so() -> None:
    d = compared(run(baseline=steady(10, 4)), run(baseline=steady(10, 4)), "goodput", "baseline")
    assert (d.label, d.note) == ("can't tell", "only 4 whole slices: too few to see its spread")
    d = compared(run(baseline=steady(10, 1)), run(baseline=steady(10, 1)), "goodput", "baseline")
    assert d.note == "only 1 whole slice: too few to see its spread"


def test_few_samples_beyond_are_enough_only_for_far_apart_quantiles() -> None:
    slow = run(baseline=steady(90_000))
    q = quantile(0.995)
    near = Comparer.of([run(baseline=noisy(1))], [run(baseline=noisy(2))]).difference(q, OVERALL)
    assert near.note == "only 4 samples beyond it"
    assert Comparer.of([run(baseline=noisy(1))], [slow]).difference(q, OVERALL).label == "worse"


def test_a_busier_generator_is_no_slower_service() -> None:
    before, after = run(baseline=steady(10_000)), run(2_000, baseline=steady(30_000))
    d = compared(before, after, "p50")
    assert d.label == "can't tell"
    assert d.note == "not equally busy machines: send lag p99 0.1 ms and 2 ms"
    assert compared(before, run(1_000, baseline=steady(30_000)), "p50").label == "worse"
    # Not a factor of two apart, but what is found is no more than how they differ.
    some, more = run(10_000, baseline=steady(20_000)), run(16_000, baseline=steady(25_000))
    d = compared(some, more, "p50")
    assert (d.label, d.note) == ("can't tell", "no more than the send lag differs, by 6 ms at p99")
    assert compared(some, run(16_000, baseline=steady(29_000)), "p50").label == "worse"
    assert compared(before, run(2_000, baseline=steady(10_000, failed=5)), "error rate").label == "worse"


def test_runs_that_prove_nothing_are_told_and_not_judged_unless_forced() -> None:
    before, after = run(baseline=steady(10_000)), run(baseline=steady(20_000))
    before.verdict, before.reasons = "invalid", ["the generator was late"]
    after.verdict, after.interrupted, after.elapsed_s = "interrupted", "SIGINT", 12.0
    comparison = Comparer.of([before], [after]).compare()
    assert {d.label for d in comparison.differences} == {"can't tell"}
    assert comparison.notes[:2] == (
        "baseline: it is invalid: the generator was late",
        "candidate: it was interrupted after 12.0 s",
    )
    after.ended_s = 13.0
    assert Comparer.of([before], [after]).compare().notes[1] == "candidate: it was interrupted after 13.0 s"
    after.interrupted_after_load = True
    notes = Comparer.of([before], [after]).compare().notes
    assert notes[1] == "candidate: it was interrupted after its load"
    forced = Comparer.of([before], [after], force=True)
    assert forced.difference(METRICS["p50"], OVERALL).label == "worse"


def test_a_run_that_an_objective_has_ended_proves_nothing_about_the_rest() -> None:
    before, after = run(baseline=steady(10_000)), run(baseline=steady(20_000))
    after.verdict, after.aborted = "fail", Aborted(4.2, "p95 < 15ms abort", "all were slower")
    d = compared(before, after, "p50")
    assert (d.label, d.note) == ("can't tell", "candidate: it was ended early, at 4.2 s")


@pytest.mark.parametrize(("slices", "told"), [(5, False), (6, True)])
def test_three_blocks_are_the_least(slices: int, told: bool) -> None:
    """Blocks of five or six slices are two slices long."""
    d = compared(run(baseline=steady(10_000, slices)), run(baseline=steady(13_000, slices)), "p50")
    assert (d.label, d.interval is not None) == (("worse", True) if told else ("can't tell", False))


@pytest.mark.parametrize("phases", [{"baseline": 12, "spike": 4}, {"baseline": 4, "spike": 12}])
def test_a_short_phase_is_judged_with_its_neighbour_over_all(phases: dict[str, int]) -> None:
    before, after = (run(**{k: steady(us, n) for k, n in phases.items()}) for us in (10_000, 13_000))
    assert compared(before, after, "p50").label == "worse"
    labels = {name: compared(before, after, "p50", name).label for name in phases}
    assert labels == {name: "worse" if n == 12 else "can't tell" for name, n in phases.items()}


def test_a_slice_without_an_ok_answer_holds_no_times() -> None:
    def halting() -> Result:
        result = run(baseline=[*steady(10_000, 11), Second(failed=50)])
        result.series[-1].hdr = ""  # a file may leave it out
        return result

    d = compared(halting(), halting(), "p90")
    assert (d.label, d.baseline) == ("same", pytest.approx(10.0, rel=0.001))


@pytest.mark.parametrize(
    ("name", "field", "well", "badly"),
    [
        ("goodput retention", "goodput_retention", 1.0, 0.5),
        ("end retention", "end_retention", 1.0, 0.5),
        ("honest rejection", "honest_rejection", 1.0, 0.5),
        ("recovery", "recovery_s", 1.0, 30.0),
        ("hysteresis", "hysteresis", 0.0, 0.4),
        ("retry amplification", "retry_amplification", 1.0, 3.0),
        ("latency growth", "latency_growth", 1.0, 9.0),
    ],
)
def test_which_way_a_figure_of_a_spike_is_better(name: str, field: str, well: float, badly: float) -> None:
    def three(value: float) -> list[Result]:
        made = [with_spike(1.0) for _ in range(3)]
        for result in made:
            assert result.overload is not None
            setattr(result.overload.spikes[0], field, value)
        return made

    metric = SPIKE_METRICS[name]
    worse = Comparer.of(three(well), three(badly)).spike_difference(metric, "spike")
    better = Comparer.of(three(badly), three(well)).spike_difference(metric, "spike")
    assert (worse.label, better.label) == ("worse", "better")
    assert worse.worse_by is not None
    assert better.worse_by is not None
    assert worse.worse_by > 0 > better.worse_by


@pytest.mark.parametrize("name", ["error rate", "goodput", "p50"])
def test_blocks_in_which_nothing_was_due_are_no_obstacle(name: str) -> None:
    rare = [*[Second()] * 6, *steady(10_000, 1), *[Second()] * 5]  # some replicates hold no arrival at all
    d = compared(run(baseline=rare), run(baseline=rare), name)
    assert (d.label in ("same", "can't tell"), d.change, d.worse_by) == (True, 0.0, 0.0)


def test_warm_ups_are_left_out() -> None:
    before = run(warmup=steady(50_000), baseline=steady(10_000))
    after = run(warmup=steady(10_000), baseline=steady(10_000))
    comparison = Comparer.of([before], [after]).compare()
    assert {d.where for d in comparison.differences} == {OVERALL, "baseline"}
    assert {d.label for d in comparison.differences if not d.note} == {"same"}


def several(*medians: int) -> list[Result]:
    return [run(baseline=steady(us)) for us in medians]


def test_several_runs_are_judged_by_their_own_spread() -> None:
    d = compared(several(10_000, 10_100, 9_900), several(12_000, 12_100, 11_900), "p50")
    # Welch's t on logarithms: the difference of means over the root of the two variances ÷ 3.
    logs = [[math.log(v) for v in side] for side in ((10.0, 10.1, 9.9), (12.0, 12.1, 11.9))]
    means = [sum(side) / 3 for side in logs]
    assert d.label == "worse"
    assert d.change == pytest.approx(math.expm1(means[1] - means[0]), rel=0.005)
    assert d.baseline == pytest.approx(math.exp(means[0]), rel=0.001)
    wild = compared(several(6_000, 10_000, 17_000), several(9_000, 12_000, 16_000), "p50")
    assert wild.label == "can't tell"


def test_the_interval_is_the_one_of_welch() -> None:
    """Shares are compared as they are, and these spread more from run to run than chance explains."""
    failed = (1, 5, 9), (10, 20, 36)
    before, after = ([run(baseline=steady(10_000, 20, n)) for n in side] for side in failed)
    shares = [[n / (50 + n) for n in side] for side in failed]
    means = [sum(side) / 3 for side in shares]
    squares = [sum((x - m) ** 2 for x in side) / 2 / 3 for side, m in zip(shares, means, strict=True)]
    df = sum(squares) ** 2 / sum(v * v / 2 for v in squares)
    reach = t_quantile(0.95, df) * math.sqrt(sum(squares))
    d = compared(before, after, "error rate")
    change = means[1] - means[0]
    assert (d.change, d.interval) == (
        pytest.approx(change), pytest.approx((change - reach, change + reach)),
    )  # fmt: skip


def test_one_run_is_taken_to_spread_as_the_others_do() -> None:
    """Its own part of the error is as large as that of one of them, on as few degrees of freedom."""
    several_of = [run(baseline=steady(10_000, 20, n)) for n in (10, 20, 36)]
    shares = [n / (50 + n) for n in (10, 20, 36)]
    mean = sum(shares) / 3
    squared = sum((x - mean) ** 2 for x in shares) / 2
    reach = t_quantile(0.95, 2) * math.sqrt(squared / 3 + squared)
    change = 5 / 55 - mean
    d = compared(several_of, run(baseline=steady(10_000, 20, 5)), "error rate")
    assert d.interval == pytest.approx((change - reach, change + reach))
    d = compared(run(baseline=steady(10_000, 20, 5)), several_of, "error rate")
    assert d.interval == pytest.approx((-change - reach, -change + reach))


def test_a_run_without_arrivals_serves_nobody_badly() -> None:
    d = compared(run(baseline=steady(10_000)), run(baseline=[Second()] * 12), "goodput")
    assert (d.label, d.candidate, d.note) == ("can't tell", None, "nothing measured")


def test_one_run_against_several_spreads_as_they_do() -> None:
    assert compared(several(10_000, 10_100, 9_900), several(14_000), "p50").label == "worse"
    assert compared(several(9_000, 12_000, 10_000), several(13_000), "p50").label == "can't tell"


def with_spike(recovery_s: float | None, retention: float = 1.0) -> Result:
    result = run(baseline=steady(10_000), spike=steady(10_000))
    figures = SpikeFigures("spike", ["spike"], "baseline", [], "shed", "")
    figures.recovery_s, figures.recovered = recovery_s, recovery_s is not None
    figures.goodput_retention = retention
    result.overload = Overload([figures], "shed")
    return result


def test_figures_of_a_spike_need_several_runs() -> None:
    metric = SPIKE_METRICS["recovery"]
    one = Comparer.of([with_spike(0.0)], [with_spike(9.0)]).spike_difference(metric, "spike")
    assert (one.label, one.change) == ("can't tell", 9000.0)
    assert one.note == "one run a side does not show its spread: give several"
    sides = [with_spike(s) for s in (0.0, 1.0, 0.0)], [with_spike(s) for s in (9.0, 10.0, 9.0)]
    assert Comparer.of(*sides).spike_difference(metric, "spike").label == "worse"
    down = [with_spike(None) for _ in range(3)]
    gone = Comparer.of(sides[0], down).spike_difference(metric, "spike")
    assert (gone.label, gone.candidate) == ("worse", math.inf)


def test_a_mean_with_an_infinite_figure_is_infinite() -> None:
    metric = SPIKE_METRICS["recovery"]
    mixed, well = [with_spike(s) for s in (5.0, None)], [with_spike(s) for s in (5.0, 6.0)]
    found = Comparer.of(mixed, well).spike_difference(metric, "spike")
    assert (found.label, found.baseline, found.candidate) == ("can't tell", math.inf, 5500.0)
    never = [with_spike(None) for _ in range(3)]
    mostly = [*(with_spike(5.0) for _ in range(20)), with_spike(None)]
    found = Comparer.of(mostly, never).spike_difference(metric, "spike")
    assert (found.label, found.baseline, found.candidate) == ("worse", math.inf, math.inf)


def test_the_same_runs_give_the_same_answer() -> None:
    before, after = [run(baseline=noisy(1))], [run(baseline=noisy(2))]
    assert Comparer.of(before, after).compare() == Comparer.of(before, after).compare()


def test_other_profiles_are_refused_by_what_differs() -> None:
    before, after = run(baseline=steady(10)), run(baseline=steady(10))
    before.profile |= {"phases": [{"name": "spike", "rate": "500/s"}], "target": "http://a", "seed": 1}
    after.profile |= {"phases": [{"name": "spike", "rate": "600/s"}], "target": "http://b", "seed": 2}
    after.profile["headers"] = {"Authorization": "***"}
    with pytest.raises(UsageError) as e:
        Comparer.of([before], [after])
    assert str(e.value).splitlines() == [
        "the runs are of different profiles; --different-profiles compares them anyway:",
        '  phases[spike].rate: "500/s" and "600/s"',
        '  headers: absent and {"Authorization": "***"}',
    ]
    comparison = Comparer.of([before], [after], different_profiles=True).compare()
    assert [c.path for c in comparison.changed] == ["phases[spike].rate", "headers"]
    assert comparison.notes == ("target differs: http://a, http://b",)


PROFILE: dict[str, Any] = {
    "name": "x",
    "target": "http://a",
    "requests": [{"name": "get", "get": "/"}],
    "phases": [{"name": "baseline", "rate": "5/s", "for": "10s"}],
    "client": {"timeout": "1s"},
    "faults": [{"name": "slow", "at": ["5s"], "proxy": "p", "toxic": "latency", "latency": "1s"}],
    "demo": {"of": "another version"},
}


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        # What was left out is the default; an older version did not have the key.
        (("client", "trace"), False, []),
        (("client", "connections"), 1000, []),
        (("client", "tls"), {"verify": True}, ["client.tls"]),
        (("client", "trace"), True, ["client.trace: false and true"]),
        (("client", "timeout"), "1000ms", []),
        (("requests", 0, "weight"), 1, []),
        (("faults", 0, "toxicity"), "100%", []),
        (("faults", 0, "toxicity"), "50%", ['faults[slow].toxicity: "100%" and "50%"']),
        (("arrivals",), "poisson", []),
        # Keys that this version does not know are compared as they are.
        (("client", "warp"), 9, ["client.warp: absent and 9"]),
    ],
)
def test_what_is_left_out_is_the_default(
    path: tuple[str | int, ...], value: object, changed: list[str]
) -> None:
    other = deepcopy(PROFILE)
    at: Any = other
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    found = [str(c) for c in changes(PROFILE, other)]
    assert len(found) == len(changed)
    assert all(said.startswith(want) for said, want in zip(found, changed, strict=True))
    assert [c.path for c in changes(other, PROFILE)] == [c.path for c in changes(PROFILE, other)]


def test_what_counts_as_good_must_be_the_same() -> None:
    before, after = run(baseline=steady(10)), run(baseline=steady(10))
    after.good_within_ms = 250.0
    assert [str(c) for c in changed_keys([before, after])] == ["good_within: 500 ms and 250 ms"]


def test_nine_hundred_slices_take_bounded_work() -> None:
    # No time is asserted: pytest-timeout would tell. 900 slices a side, all figures.
    result = run(baseline=noisy(1, 900, 10))
    assert Comparer.of([result], [run(baseline=noisy(2, 900, 10))]).compare().differences
