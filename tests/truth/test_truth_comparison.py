"""What the experiments call right, wrong, or the machine's fault."""

from __future__ import annotations

import pytest
import truth_table
from analytic import figures, response_time
from truth_experiment import WARMUP_S, Comparison, Experiment
from truth_run import MS, SECOND, Answer, Measured, job_of, load
from truth_table import BUSY, RIGHT, WRONG
from truth_tries import TRIES, Busy, tried

from loadtool.measure.result import Engine, PhaseFigures, Quantiles, Result
from loadtool.measure.tally import Tally
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline

START = 7 * SECOND
WAY_MS = 0.1
LATE = "the generator was late in steady: send lag p99 was 500 ms, over 10 ms: …"


def held(
    who: str = "A",
    *,
    way_ms: float = WAY_MS,
    noticed_ms: float = 0.05,
    service_ms: float = 20,
    rate: float = 100,
    seen: dict[str, float] | None = None,
    factor: float = 1.0,
    verdict: str | None = None,
    lag_ms: float = 0.2,
    lost: int = 0,
) -> Comparison:
    """An experiment as a perfect machine holds it, unless told otherwise.

    `way_ms`: to the server, and back. `noticed_ms`: how long the server took to wake up. `seen`: figures that
    loadtool says instead; `factor`: of all of them.
    """
    experiment = Experiment(who, rate, service_ms, 4, 0.5)  # type: ignore[arg-type]  # a table's text
    job = job_of(load(experiment.profile(9)))
    due = [START + ns for batch in Schedule(job).batches() for ns in batch.due]
    first = START + round(WARMUP_S * SECOND)
    assert due[experiment.warm] == first
    began = first + round(experiment.at_s * SECOND)
    ended = began + SECOND // 2
    stalled = began / MS, ended / MS
    log, times = [], []
    for number in range(experiment.warm, len(due)):
        ms = due[number] / MS
        took = response_time(ms, experiment.service_ms, stalled)
        received = due[number] + round(way_ms * MS)
        if began <= due[number] < ended:
            received += ended - due[number]
        sent = due[number] + round((took + way_ms) * MS)
        times.append(took + 2 * way_ms)
        noticed = received + round(noticed_ms * MS)
        log.append(Answer(number, received, noticed, received + round(service_ms * MS), sent))
    shown = figures(times) | (seen or {})
    quantiles = Quantiles(**{name.replace(".", "_"): ms * factor for name, ms in shown.items()})
    phase = PhaseFigures(name="steady", ok=experiment.number - lost, latency_ms=quantiles)
    lag = lag_ms if who == "A" else 490.0
    phase.lag_ms = Quantiles(p99=lag, max=lag)
    result = Result("", "", 1, {}, "", Engine(), 4.5, 500.0, phases=[phase])
    result.verdict = verdict or {"A": "pass", "B": "invalid"}[who]
    result.reasons = [LATE] if result.verdict == "invalid" else ["no SLOs"]
    measured = Measured(START, due, Tally(Timeline.of(job), ["numbered"]), [], result)
    measured.stopped, measured.continued = [began, began], [ended, ended]
    return Comparison(experiment, measured, log)


@pytest.mark.parametrize(
    ("comparison", "status", "words"),
    [
        (held("A"), RIGHT, []),
        (held("B"), RIGHT, []),
        (held("A", factor=1.02), WRONG, ["p50: ", "p99: "]),
        (held("A", seen={"p99": 100.0}), WRONG, ["p99: 100.000 ms, the server's log proves 498.1"]),
        (held("B", seen={"p99": 30.0}), WRONG, ["p99: 30.000 ms, the server's log proves 498.1"]),
        (held("A", seen={"p50": 21.3}), WRONG, ["p50: 21.300 ms, analytic 20.000 ± "]),
        (held("A", seen={"mean": 60.0}), WRONG, ["mean: 60.000 ms, analytic "]),
        (held("A", way_ms=4.0), WRONG, ["p50: 28.000 ms, analytic 20.000 ± "]),
        (held("A", way_ms=4.0, noticed_ms=0.24), BUSY, ["p50: 28.000 ms, analytic 20.000 ± "]),
        (held("A", service_ms=30, way_ms=0.17), WRONG, ["p50: 30.340 ms, analytic 30.000 ± 0.331 ms"]),
        (held("A", service_ms=30, way_ms=0.16), RIGHT, []),
        (held("A", verdict="invalid"), WRONG, ["the run is invalid: "]),
        (held("A", lag_ms=300.0), WRONG, ["the stall shows as a lag of 300.0 ms"]),
        (held("B", verdict="pass"), WRONG, ["the run is pass, with a lag of 490.0 ms at p99"]),
        (held("A", lost=1), WRONG, ["400 arrivals, 400 answers, 399 ok"]),
    ],
)  # fmt: skip
def test_right_wrong_and_busy(comparison: Comparison, status: int, words: list[str]) -> None:
    assert truth_table.status(comparison) == status
    said = [*comparison.hidden(), *comparison.wrong(), *comparison.misjudged()]
    for text in words:
        assert any(line.startswith(text) for line in said), said
    assert bool(said) == bool(words)
    table = truth_table.table(comparison)
    assert table.count("\nNOT RIGHT: ") == len(said)
    assert ("\nThis machine was too busy: " in table) == (status == BUSY)
    assert truth_table.as_json(comparison, 1)["problems"] == said


@pytest.mark.parametrize(("service_ms", "own_ms"), [(5, 0.15), (14, 0.15), (15, 0), (50, 0)])
def test_short_services_have_an_allowance_and_no_others(service_ms: float, own_ms: float) -> None:
    comparison = held(service_ms=service_ms, way_ms=0.01)
    assert comparison.own_ms == own_ms
    assert comparison.tolerance_ms("p50", service_ms) - 0.011 * service_ms == pytest.approx(own_ms, abs=0.003)


@pytest.mark.parametrize(
    ("figure", "truth", "rate", "catching_up_ms"),
    [
        ("p50", 5.0, 1000, 0.0),
        ("p90", 255.0, 1000, 12.5),  # of 500 arrivals half are before it, 50 µs each
        ("p99", 455.0, 1000, 2.5),
        ("mean", 30.0, 1000, 0.05 * 500**2 / 2 / 4000),
        ("p90", 230.0, 200, 0.05 * 100 * 0.55),
        ("p90", 260.0, 200, 0.0),
        ("p99", 455.0, 200, 0.0),
        ("mean", 30.0, 200, 0.0),
    ],
)
def test_a_crowd_takes_its_time(figure: str, truth: float, rate: float, catching_up_ms: float) -> None:
    assert held(service_ms=5, rate=rate).catching_up_ms(figure, truth) == pytest.approx(catching_up_ms)


def test_a_slow_machine_is_known_by_how_it_wakes_the_server_up() -> None:
    assert held(noticed_ms=0.1).busy() == ""
    assert (
        held(noticed_ms=0.3)
        .busy()
        .startswith("to wake a program up and have it answer in time took 0.60 ms (p50)")
    )


def test_a_table_reads_well() -> None:
    lines = truth_table.table(held("A")).splitlines()
    assert lines[0] == "A. The server is frozen. 20 ms of service, 100/s for 4 s, 0.500 s of stall"
    assert lines[2:5] == [
        "| response time, ms | analytic | server's log | loadtool | off analytic | off the log |",
        "|---|---:|---:|---:|---:|---:|",
        "| p50 | 20.00 | 20.10 | 20.20 | +0.20 (+1.00 %) | +0.10 (+0.50 %) |",
    ]
    assert lines[-2:] == [
        "The run is valid: send lag p99 was 0.2 ms, nothing of the stall is in it.",
        "All is within 1% and the histogram's 0.1 % of the analytic.",
    ]
    far = held("A", service_ms=5, rate=200)
    assert truth_table.status(far) == RIGHT
    assert far.beyond_share() == ["p50"]
    told = truth_table.as_json(far, 3)
    assert (told["beyond_share"], told["tries"]) == (["p50"], 3)
    words = "Further than 1% and the histogram's 0.1 % from the analytic: p50."
    assert truth_table.table(far).splitlines()[-1] == words


def test_a_run_that_proves_nothing_is_held_again_but_not_for_ever() -> None:
    calls: list[int] = []

    def attempts(*outcomes: list[str] | str) -> None:
        calls.clear()

        async def attempt() -> list[str]:
            outcome = outcomes[len(calls)]
            calls.append(1)
            if isinstance(outcome, str):
                raise Busy(outcome)
            return outcome

        tried(attempt)

    attempts([])
    assert len(calls) == 1
    attempts("busy", ["wrong"], [])
    assert len(calls) == TRIES
    with pytest.raises(pytest.fail.Exception, match=r"^wrong; worse$"):
        attempts(["wrong"], "busy", ["worse"])
    with pytest.raises(pytest.skip.Exception, match=r"^this machine was too busy, 3 times over: a; b; c$"):
        attempts("a", "b", "c")


def test_experiments_are_held_until_all_is_right_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, right, wrong = held(way_ms=4.0, noticed_ms=1.0), held(), held(factor=1.02)
    hiding = held(seen={"p99": 100.0})
    outcomes: list[Comparison] = []

    async def run(experiment: Experiment) -> Comparison:
        return outcomes.pop(0)

    monkeypatch.setattr(Experiment, "run", run)
    monkeypatch.setattr(truth_table, "say", lambda text: None)
    for given, words, code, left in (
        ([busy, wrong, right, right], [], RIGHT, 1),
        ([busy, right], ["--tries", "1"], BUSY, 1),
        ([*[wrong] * truth_table.TRIES, right], [], WRONG, 1),
        ([wrong, wrong, busy], ["--tries", "3"], WRONG, 0),  # the machine had time for two of them
        ([hiding, right], [], WRONG, 1),
    ):
        outcomes[:] = given
        assert truth_table.main(["--only", "A", *words]) == code
        assert len(outcomes) == left


async def test_the_best_of_those_held_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 ms: all are right with their allowance, and none is within 1 %."""
    far, near, farther = (held("A", service_ms=5, rate=200, way_ms=way) for way in (0.05, 0.04, 0.06))
    assert [c.beyond_share() for c in (far, near, farther)] == [["p50"]] * 3
    outcomes = [far, near, farther]

    async def run(experiment: Experiment) -> Comparison:
        return outcomes.pop(0)

    monkeypatch.setattr(Experiment, "run", run)
    assert await truth_table.conduct(far.experiment, 3) == (near, 3)
