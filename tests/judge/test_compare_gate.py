"""Gates of a comparison: their grammar, and how each is decided."""

from __future__ import annotations

import pytest
from compare_samples import Second, noisy, run

from loadtool.errors import UsageError
from loadtool.judge.compare import Comparer
from loadtool.judge.compare_gate import check, decide, exit_code, parse_gate
from loadtool.measure.result import Result
from loadtool.measure.spike import Overload, SpikeFigures


@pytest.mark.parametrize(
    ("text", "metric", "amount", "unit", "during"),
    [
        ("p99 worse by 10%", "p99", 0.1, "%", None),
        ("p99.95 worse by 250%", "p99.95", 2.5, "%", None),
        ("p99 worse by 20ms during spike", "p99", 20.0, "ms", "spike"),
        ("  error rate  worse  by 0.5pp", "error rate", 0.005, "pp", None),
        ("goodput worse by 20/s", "goodput", 20.0, "/s", None),
        ("goodput worse by 5%", "goodput", 0.05, "%", None),
        ("recovery worse by 5s", "recovery", 5000.0, "ms", None),
        ("goodput retention worse by 5pp during spike", "goodput retention", 0.05, "pp", "spike"),
        ("retry amplification worse by 10%", "retry amplification", 0.1, "%", None),
        ("ok p99 worse by 10%", "ok p99", 0.1, "%", None),
    ],
)
def test_a_gate_names_metric_amount_and_place(
    text: str, metric: str, amount: float, unit: str, during: str | None
) -> None:
    gate = parse_gate(text)
    assert (gate.metric.name, gate.unit, gate.during) == (metric, unit, during)
    assert gate.amount == pytest.approx(amount)


KNOWN = (
    "p50, p90, p95, p99, p99.9, goodput, error rate, shed rate, goodput retention, end retention, "
    "honest rejection, recovery, hysteresis, retry amplification, latency growth"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p99 < 250ms", "got p99 < 250ms, want a gate such as 'p99 worse by 10%'"),
        ("", "got '', want a gate such as 'p99 worse by 10%'"),
        ("p99 worse by", "got p99 worse by, want a gate such as 'p99 worse by 10%'"),
        ("p99 worse by ten", "p99 worse by: got ten, want a share or a time such as 10% or 20ms"),
        ("p99 worse by 0%", "p99 worse by: got 0%, want a share or a time such as 10% or 20ms"),
        ("p99 worse by -5%", "p99 worse by: got -5%, want a share or a time such as 10% or 20ms"),
        ("p99 worse by nan%", "p99 worse by: got nan%, want a share or a time such as 10% or 20ms"),
        ("error rate worse by 10%", "error rate worse by: got 10%, want percentage points such as 0.5pp"),
        ("goodput worse by 5ms", "goodput worse by: got 5ms, want a share or a rate such as 5% or 20/s"),
        ("gooodput worse by 5%", f"got gooodput, want one of {KNOWN}; did you mean goodput?"),
        ("p0 worse by 5%", f"got p0, want one of {KNOWN}; did you mean p90?"),
    ],
)
def test_a_wrong_gate_says_what_was_wanted(text: str, message: str) -> None:
    with pytest.raises(ValueError) as e:  # noqa: PT011 - the whole text is anchored below
        parse_gate(text)
    assert str(e.value) == message


def steady(us: int, failed: int = 0) -> Result:
    return run(baseline=[Second([us] * 50, failed) for _ in range(12)])


@pytest.mark.parametrize(
    ("before", "after", "text", "decision", "why"),
    [
        (steady(10_000), steady(12_000), "p50 worse by 10%", "holds", "20% worse, certain to over 99.9%"),
        (steady(10_000), steady(12_000), "p50 worse by 1ms", "holds", "2 ms worse, certain to over 99.9%"),
        (steady(10_000), steady(12_000), "p50 worse by 3ms", "clear", "2 ms worse, at most 2 ms worse"),
        (steady(10_000), steady(12_000), "p50 worse by 30%", "clear", "20% worse, at most 20% worse"),
        (steady(12_000), steady(10_000), "p50 worse by 1%", "clear", "16.7% better, at least 16.7% better"),
        (steady(10_000), steady(10_000, 5), "error rate worse by 1pp", "holds",
         "9.09pp worse, certain to over 99.9%"),
        (steady(10_000), steady(10_000, 5), "p99 worse by 10%", "holds", "∞ worse, certain to over 99.9%"),
        (steady(10_000), steady(10_000, 5), "p99 worse by 9ms", "holds", "∞ worse, certain to over 99.9%"),
        (steady(10_000, 5), steady(10_000), "p99 worse by 10%", "clear", "∞ better"),
        (steady(10_000, 5), steady(10_000), "p99 worse by 9ms", "clear", "∞ better"),
    ],
)  # fmt: skip
def test_a_gate_is_decided(before: Result, after: Result, text: str, decision: str, why: str) -> None:
    (found,) = decide([parse_gate(text)], Comparer.of([before], [after]))
    assert found.decision == decision
    assert found.why == why
    assert exit_code([found]) == {"holds": 1, "clear": 0, "undecidable": 3}[decision]


def test_two_infinite_quantiles_decide_nothing_and_say_what_would() -> None:
    before, after, slower = steady(10_000, 5), steady(10_000, 25), steady(13_000, 5)  # 9 %, 33 %, 9 % fail
    instead = "gate on error rate and 'ok p95 worse by 25%' instead"
    expected = (
        (after, "p95 worse by 25%", "undecidable",
         f"beyond every answer on both sides: more failed than p95 leaves room for; {instead}"),
        (after, "error rate worse by 1pp", "holds", "24.2pp worse, certain to over 99.9%"),
        (after, "ok p95 worse by 25%", "clear", "0% worse, at most 0% worse"),
        (slower, "ok p95 worse by 25%", "holds", "30% worse, certain to over 99.9%"),
        (slower, "ok p99.99 worse by 25%", "undecidable", "only 0 samples beyond it"),
        (slower, "error rate worse by 1pp", "undecidable", None),  # too few arrivals to tell
        (steady(10_000), "p95 worse by 25%", "clear", None),  # finite is better than infinite
    )  # fmt: skip
    for candidate, text, decision, why in expected:
        (found,) = decide([parse_gate(text)], Comparer.of([before], [candidate]))
        assert (found.decision, found.why if why else None) == (decision, why)


@pytest.mark.parametrize(
    ("spike", "after", "recovery", "decision", "why"),
    [
        (1.05, 3.0, ["after"], "holds", "186% worse, certain to over 99.9%"),  # as an SLO has it
        (3.0, 1.05, ["after"], "holds", "186% worse, certain to over 99.9%"),
        (3.0, None, [], "holds", "186% worse, certain to over 99.9%"),
        (1.05, 1.05, ["after"], "clear", "0% worse, at most 0% worse"),
        (1.05, None, ["after"], "undecidable", "not measured"),  # it may have been more afterwards
    ],
)
def test_retry_amplification_is_the_larger_of_the_spike_and_after_it(
    spike: float, after: float | None, recovery: list[str], decision: str, why: str
) -> None:
    def amplified(in_spike: float, later: float | None, names: list[str]) -> Result:
        result = run(baseline=[Second([1])], spike=[Second([1])])
        f = SpikeFigures("spike", ["spike"], "baseline", names, "shed", "")
        f.retry_amplification, f.retry_amplification_after = in_spike, later
        result.overload = Overload([f], "shed")
        return result

    before = [amplified(1.05, 1.05, ["after"]) for _ in range(3)]
    comparer = Comparer.of(before, [amplified(spike, after, recovery) for _ in range(3)])
    (found,) = decide([parse_gate("retry amplification worse by 10%")], comparer)
    assert (found.decision, found.why) == (decision, why)


@pytest.mark.parametrize(
    ("figure", "before", "after", "text", "decision", "why"),
    [
        ("goodput_retention", 0.95, 0.948, "goodput retention worse by 0.1pp", "undecidable", "0.2pp worse"),
        ("goodput_retention", 0.95, 0.948, "goodput retention worse by 5pp", "clear", "0.2pp worse"),
        (
            "goodput_retention",
            0.95,
            0.95,
            "goodput retention worse by 0.1pp",
            "clear",
            "the same on both sides",
        ),
        ("goodput_retention", 0.948, 0.95, "goodput retention worse by 0.1pp", "clear", "0.2pp better"),
        ("hysteresis", 0.0, 0.002, "hysteresis worse by 0.1pp", "undecidable", "0.2pp worse"),
        ("latency_growth", 2.0, 2.018, "latency growth worse by 0.5%", "undecidable", "0.9% worse"),
        ("latency_growth", 2.0, 2.018, "latency growth worse by 1%", "clear", "0.9% worse"),
    ],
)
def test_one_run_a_side_shows_no_less_than_a_gates_amount(
    figure: str, before: float, after: float, text: str, decision: str, why: str
) -> None:
    """What is as good as the same may still be worse by more than the gate allows."""

    def valued(value: float) -> Result:
        result = run(baseline=[Second([1])])
        f = SpikeFigures("spike", ["spike"], "baseline", ["recovery"], "shed", "")
        setattr(f, figure, value)
        result.overload = Overload([f], "shed")
        return result

    (found,) = decide([parse_gate(text)], Comparer.of([valued(before)], [valued(after)]))
    assert found.difference is not None
    assert found.difference.label == "same"
    assert (found.decision, found.why.partition(":")[0].partition(",")[0]) == (decision, why)


def test_recoveries_that_never_came_decide_nothing() -> None:
    def down() -> Result:
        result = run(baseline=[Second([1])], spike=[Second([1])])
        figures = SpikeFigures("spike", ["spike"], "baseline", [], "stayed-down", "")
        figures.recovered = False
        result.overload = Overload([figures], "stayed-down")
        return result

    comparer = Comparer.of([down(), down()], [down(), down()])
    (found,) = decide([parse_gate("recovery worse by 5s")], comparer)
    assert found.decision == "undecidable"
    assert found.why == "not recovered on either side: a longer recovery phase tells more"


def test_a_quantile_of_ok_answers_needs_one() -> None:
    nothing = run(baseline=[Second(failed=50) for _ in range(12)])
    (found,) = decide([parse_gate("ok p50 worse by 10%")], Comparer.of([steady(10_000)], [nothing]))
    assert (found.decision, found.why) == ("undecidable", "nothing measured")


def test_what_noise_hides_is_undecidable() -> None:
    comparer = Comparer.of([run(baseline=noisy(1))], [run(baseline=noisy(2))])
    (found,) = decide([parse_gate("p50 worse by 1%")], comparer)
    assert found.decision == "undecidable"
    assert found.why.endswith("longer runs or several a side tell more")
    (found,) = decide([parse_gate("p50 worse by 50%")], comparer)
    assert found.decision == "clear"
    (found,) = decide([parse_gate("p99.9 worse by 50%")], comparer)
    assert (found.decision, found.why) == ("undecidable", "only 0 samples beyond it")


def test_an_invalid_run_decides_no_gate() -> None:
    after = steady(20_000)
    after.verdict = "invalid"
    (found,) = decide([parse_gate("p50 worse by 1%")], Comparer.of([steady(10_000)], [after]))
    assert (found.decision, found.why) == ("undecidable", "candidate: it is invalid")


def test_a_gate_on_a_spike_needs_one() -> None:
    (found,) = decide([parse_gate("recovery worse by 5s")], Comparer.of([steady(1)], [steady(1)]))
    assert (found.decision, found.why) == ("undecidable", "no spike of the baseline was judged")


@pytest.mark.parametrize(
    ("during", "decision"),
    [
        ("", "holds"),  # any of them
        (" during spike1", "clear"),
        (" during recovery1", "clear"),
        (" during spike2", "holds"),
        (" during recovery2", "holds"),
    ],
)
def test_a_gate_on_one_of_two_spikes_is_about_no_other(during: str, decision: str) -> None:
    def recovered(*after_s: float) -> Result:
        result = run(baseline=[Second([1])])
        spikes = []
        for number, seconds in enumerate(after_s, 1):
            names = [f"spike{number}"], "baseline", [f"recovery{number}"]
            spikes.append(SpikeFigures(f"spike{number}", *names, "shed", ""))
            spikes[-1].recovered, spikes[-1].recovery_s = True, seconds
        result.overload = Overload(spikes, "shed")
        return result

    comparer = Comparer.of([recovered(3.0, 3.0)] * 3, [recovered(3.0, 30.0)] * 3)
    (found,) = decide([parse_gate(f"recovery worse by 5s{during}")], comparer)
    assert found.decision == decision


def test_a_gate_names_what_is_there() -> None:
    said = r"^--fail-if: p50 worse by 1% during x: got x, want one of baseline$"
    with pytest.raises(UsageError, match=said):
        check([parse_gate("p50 worse by 1% during x")], steady(1))


def test_one_gate_that_holds_fails_them_all() -> None:
    comparer = Comparer.of([steady(10_000)], [steady(12_000)])
    texts = ("p50 worse by 10%", "recovery worse by 1s", "p50 worse by 90%")
    findings = decide([parse_gate(t) for t in texts], comparer)
    assert [f.decision for f in findings] == ["holds", "undecidable", "clear"]
    assert [exit_code(findings[i:]) for i in range(4)] == [1, 3, 0, 0]
