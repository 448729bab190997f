"""Validity, verdicts, reasons and exit codes (docs/ci.md, docs/accuracy.md), as a table."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from judge_samples import Part, fault, judge_slos, result_of
from overload_runs import Run, failed, schedule

from loadtool.judge.case import Case
from loadtool.judge.validity import LAG_REMEDY, invalidities
from loadtool.judge.verdict import Verdict, judge
from loadtool.measure.outcome import ABORTED
from loadtool.measure.result import Result
from loadtool.measure.result_json import dump, load

GOOD = Part(ok=[10_000] * 1000, lag=[100] * 1000)
MET, BROKEN, OPEN = "max < 1s", "max < 1ms", "p99.99 < 10ms"  # of GOOD: 10.007 ms is not below 10 ms


def sound(*slos: str) -> Result:
    return result_of(GOOD, slos=slos)


def interrupted(result: Result, signal: str = "SIGINT") -> Result:
    result.interrupted = signal
    return result


def later(result: Result, ended_s: float) -> Result:
    """All of its load had been sent, and the last answers were awaited."""
    result.ended_s = ended_s
    return result


def spoiled(result: Result) -> Result:
    result.problems = ["the proxy store went away"]
    return result


@pytest.mark.parametrize(
    ("result", "verdict", "exit_code", "reasons"),
    [
        (sound(), "pass", 0, ["no SLOs"]),
        (sound(MET), "pass", 0, ["1 SLO met"]),
        (sound(MET, "mean < 1s"), "pass", 0, ["2 SLOs met"]),
        (sound(MET, BROKEN), "fail", 1, ["max < 1ms: 10 ms"]),
        (sound(BROKEN, "goodput > 200/s"), "fail", 1, [
            "max < 1ms: 10 ms", "goodput > 200/s: 100/s (95 % interval 93.9/s to 106/s)"]),
        (sound("p99 < 1ms for gone"), "inconclusive", 3, [
            "p99 < 1ms for gone: nothing measured (what it is about was not reached)"]),
        (sound(MET, BROKEN, "p99 < 1ms for gone"), "fail", 1, ["max < 1ms: 10 ms"]),
        (spoiled(sound(BROKEN)), "invalid", 3, ["the proxy store went away"]),
        (spoiled(sound()), "invalid", 3, ["the proxy store went away"]),
        (interrupted(sound(MET)), "interrupted", 130, ["interrupted by SIGINT after 20.0 s"]),
        (interrupted(sound(BROKEN), "SIGTERM"), "interrupted", 143, ["interrupted by SIGTERM after 20.0 s"]),
        (interrupted(sound(MET), "SIGHUP"), "interrupted", 129, ["interrupted by SIGHUP after 20.0 s"]),
        (interrupted(spoiled(sound())), "interrupted", 130, [
            "interrupted by SIGINT after 20.0 s", "the proxy store went away"]),
        (later(interrupted(sound(MET)), 25.26), "interrupted", 130, ["interrupted by SIGINT after 25.3 s"]),
        (interrupted(sound(), "SIGNEW"), "interrupted", 130, ["interrupted by SIGNEW after 20.0 s"]),
    ],
)  # fmt: skip
def test_the_first_that_fits(result: Result, verdict: str, exit_code: int, reasons: list[str]) -> None:
    assert judge(result) == Verdict(verdict, tuple(reasons), exit_code)
    assert (result.verdict, result.reasons) == (verdict, reasons)
    assert [s.text for s in result.slos] == result.profile["slos"]


def test_what_a_reason_says_about_a_quantile() -> None:
    failing = result_of(Part(ok=[10_000] * 985, errors={"reset": 15}), slos=["p99 < 1s"])
    assert judge(failing).reasons == ("p99 < 1s: ∞ (95 % interval 10 ms to ∞)",)
    hopeless = result_of(Part(ok=[10_000] * 500, errors={"reset": 500}), slos=["p99 < 1s"])
    assert judge(hopeless).reasons == ("p99 < 1s: ∞",)
    open_ = result_of(Part(ok=[10_000] * 100), slos=["p99 < 1s", "error rate < 1%"])
    assert judge(open_).reasons == (
        "p99 < 1s: 10 ms (95 % interval 10 ms to ∞; only 100 arrivals, 1 beyond it)",
    )
    shares = result_of(Part(ok=[10_000] * 995, errors={"reset": 5}), slos=["error rate < 0.1%"])
    assert judge(shares).reasons == ("error rate < 0.1%: 0.5% (95 % interval 0.214% to 1.17%)",)


def lagging(phase: str = "spike", **profile: object) -> Result:
    """98.9 % of 1000 arrivals left at once, 11 left 40 ms late, one of those 200 ms."""
    lag = [100] * 989 + [40_000] * 10 + [200_000]
    return result_of(
        Part("baseline", ok=[1000] * 10, lag=[100] * 10),
        Part(phase, ok=[10_000] * 1000, lag=lag),
        **profile,  # type: ignore[arg-type]  # keys of a profile
    )


@pytest.mark.parametrize(
    ("result", "late"),
    [
        (lagging(), "p99 was 40 ms, over 10 ms"),
        (lagging("warmup"), None),
        (lagging(validity={"lag": "50ms"}), None),
        (lagging(validity={"lag": "40ms"}), "p99 was 40 ms, over 40 ms"),  # its bucket ends at 40.031 ms
        (lagging(validity={"lag": "50ms"}, slos=["p95 < 1s"]), None),
        (lagging(validity={"lag": "50ms"}, slos=["p99.9 < 1s during baseline"]), None),
        (lagging(validity={"lag": "50ms"}, slos=["p99.9 < 1s during spike"]), None),  # rank 999: 40 ms
        (
            lagging(validity={"lag": "50ms"}, slos=["p99.95 < 1s during spike"]),
            "p99.95 was 200 ms, over 50 ms",
        ),
        (lagging(validity={"lag": "50ms"}, slos=["ok p99.95 < 1s"]), "p99.95 was 200 ms, over 50 ms"),
        (lagging("warmup", slos=["p99.95 < 1s"]), None),
    ],
)
def test_a_late_generator_makes_a_run_invalid(result: Result, late: str | None) -> None:
    reasons = [f"the generator was late in spike: send lag {late}: {LAG_REMEDY}"] if late else []
    assert invalidities(Case.of(result)) == reasons


def test_each_phase_is_late_for_itself() -> None:
    late = [20_000] * 10
    result = result_of(
        Part("baseline", ok=[1] * 1000, lag=[1] * 1000), Part("spike", ("slow",), ok=[1] * 10, lag=late)
    )
    result.faults = [fault()]
    assert len(invalidities(Case.of(result))) == 1
    calm = result_of(
        Part("spike", ok=[1] * 990, lag=[1] * 990), Part("spike", ("slow",), ok=[1] * 10, lag=late)
    )
    assert invalidities(Case.of(calm)) == []  # 10 of 1000 in the phase: p99 is the 990th
    used = result_of(
        Part("spike", ok=[1] * 990, lag=[1] * 990),
        Part("spike", ("slow",), ok=[1] * 10, lag=late),
        slos=["p99.5 < 1s during slow"],
    )
    assert "send lag p99.5 was 20 ms" in invalidities(Case.of(used))[0]


def test_the_late_share_counts_what_left_after_the_bound() -> None:
    result = lagging()
    judge(result)
    assert result.generator.late_share == 11 / 1010
    result = lagging(validity={"lag": "100ms"})
    judge(result)
    assert result.generator.late_share == 1 / 1010


def with_generator(**more: object) -> Result:
    result = sound()
    for key, value in more.items():
        setattr(result.generator, key, value)
    return result


def with_faults(**more: object) -> Result:
    result = sound()
    result.faults = [fault("fine"), fault(**more)]
    return result


def silent(errors: dict[str, int], **detail: str) -> Result:
    result = result_of(Part(errors=errors))
    result.examples = [
        {"kind": kind, "request": "browse", "due_s": 0.0, "detail": d} for kind, d in detail.items()
    ]
    return result


@pytest.mark.parametrize(
    ("result", "reasons"),
    [
        (with_generator(workers_lost=1), [
            "1 worker of 2 died, with 0 arrivals unaccounted for: look in the system's log for what killed "
            "them (often too little memory), and run again"]),
        (with_generator(local={"ENOMEM": 1, "EMFILE": 3}), [
            "this machine ran out of open files (EMFILE, 3 times): raise `ulimit -n`, "
            "or lower `client.connections`",
            "this machine ran out of memory (ENOMEM, 1 time): lower `client.connections`, "
            "or give the machine more memory"]),
        (with_generator(local={"ENOSPC": 2, "RENDER": 1}), [
            "this machine ran out of places to watch sockets from (ENOSPC, 2 times): raise the sysctl "
            "`fs.epoll.max_user_watches`",
            "1 request could not be made, so never sent: see the example of `unsent`, and mend the template "
            "or its data"]),
        (with_generator(local={"EWHAT": 1}), [
            "this machine ran out of a resource (EWHAT, 1 time): free it, or use a bigger machine"]),
        (silent({"connect": 90, "timeout": 10}, connect="Connection refused"), [
            "no HTTP answer in the whole run: 90 of 100 ended as connect, Connection refused; "
            "see that http://127.0.0.1:8080 is up and reachable from here"]),
        (silent({"tls": 9}, tls="[::1]:443: certificate not accepted: self-signed certificate"), [
            "no HTTP answer in the whole run: 9 of 9 ended as tls, [::1]:443: certificate not accepted: "
            "self-signed certificate; name a file with the certificate of its authority in "
            "`client: {tls: {ca: …}}`, or skip the check with `client: {tls: {verify: false}}`"]),
        (silent({"timeout": 5}), [
            "no HTTP answer in the whole run: 5 of 5 ended as timeout; "
            "see that http://127.0.0.1:8080 is up and reachable from here"]),
        (interrupted(silent({})), []),
        (silent({}), [
            "no HTTP answer in the whole run: no arrival was due; raise a phase's `rate` or its `for`"]),
        (result_of(Part(status=[1000])), []),
        (result_of(Part(check=[1000])), []),
        (result_of(Part("spike", shed=[1000])), []),
        (result_of(Part("spike", ok=[1000] * 5, shed=[1000] * 5)), []),
        (with_faults(), []),
        (with_faults(problem="the proxy did not answer", removed=False), [
            "fault slow: the proxy did not answer"]),
        (with_faults(removed=False), [
            "fault slow may still be active: remove it with `loadtool chaos recover`"]),
        (with_faults(started_s=None, removed=False), [
            "fault slow was never placed: see that its proxy is there, and run again"]),
        (interrupted(with_faults(started_s=None, removed=False)), []),
        (interrupted(with_faults(removed=False)), [
            "fault slow may still be active: remove it with `loadtool chaos recover`"]),
    ],
)  # fmt: skip
def test_what_else_makes_a_run_invalid(result: Result, reasons: list[str]) -> None:
    assert invalidities(Case.of(result)) == reasons


@pytest.mark.parametrize(
    ("tls", "detail", "remedy"),
    [
        ({"ca": "ca.pem"}, "certificate not accepted: unable to get local issuer certificate", "whole chain"),
        ({"cert": "me.pem"}, "TLS: SSLV3_ALERT_CERTIFICATE_EXPIRED before an answer came", "another one"),
    ],
)
def test_what_the_profile_names_is_not_asked_for(tls: dict[str, str], detail: str, remedy: str) -> None:
    result = silent({"tls": 9}, tls=detail)
    result.profile = {**result.profile, "client": {"tls": tls}}
    [reason] = invalidities(Case.of(result))
    assert remedy in reason


def test_a_fault_that_problems_speak_of_is_not_named_twice() -> None:
    result = with_faults(problem="the proxy did not answer", removed=False)
    result.problems = ["fault slow could not be removed: the proxy did not answer"]
    assert invalidities(Case.of(result)) == result.problems


def test_a_lost_worker_that_problems_speak_of_is_not_told_twice() -> None:
    result = with_generator(workers_lost=1)
    result.problems = ["worker 2 of 2 was lost (killed by SIGKILL), and 12 arrivals with it"]
    assert invalidities(Case.of(result)) == result.problems


def test_lost_arrivals_are_counted() -> None:
    result = result_of(Part(ok=[1000] * 1000, errors={"lost": 1234}))
    result.generator.workers_lost = 2
    assert invalidities(Case.of(result))[0].startswith(
        "2 workers of 2 died, with 1,234 arrivals unaccounted for: "
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: sound(MET, BROKEN, OPEN),
        lambda: sound(MET),
        lambda: lagging(slos=["p99.95 < 1s"], validity={"lag": "50ms"}),
        lambda: silent({"connect": 3}, connect="refused"),
        lambda: with_generator(local={"EMFILE": 3}),
        lambda: interrupted(sound(BROKEN)),
        lambda: result_of(Part(ok=[10_000] * 50, errors={"reset": 2}), slos=["p99 < 1s", "shed p99 < 1s"]),
    ],
)
def test_the_file_gives_the_same_verdict(make: Callable[[], Result]) -> None:
    fresh = make()
    stored = json.dumps(dump(fresh))
    first = judge(fresh)
    unjudged = load(json.loads(stored))
    assert judge(unjudged) == first
    assert unjudged == fresh
    again = load(json.loads(json.dumps(dump(fresh))))
    assert judge(again) == first
    assert again == fresh
    assert judge_slos(fresh) == fresh.slos


@pytest.mark.parametrize(("until_s", "said"), [(0.4, False), (1.4, False), (1.5, True), (3.0, True)])
def test_an_interrupted_run_misses_only_answers_that_were_due(until_s: float, said: bool) -> None:
    """Those of a whole second, up to 1.0 s, had had all of `good_within` (500 ms) when it ended at 1.5 s."""
    aborted = Run(schedule()).serve(lambda t: failed(ABORTED), until_s)
    reasons = judge(aborted.result(until_s=until_s)).reasons
    n = round(50 * until_s)
    missing = (
        f"no HTTP answer in the whole run: {n} of {n} ended as aborted; "
        "see that http://127.0.0.1:8080 is up and reachable from here"
    )
    assert reasons == (f"interrupted by SIGINT after {until_s} s", *([missing] if said else []))
