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
    seen: dict[str, float] | None = None,
    factor: float = 1.0,
    verdict: str | None = None,
    lag_ms: float = 0.2,
    lost: int = 0,
) -> Comparison:
    """An experiment as a perfect machine holds it, unless told otherwise.

    `way_ms`: to the server, and back. `seen`: figures that loadtool says instead; `factor`: of all of them.
    """
    experiment = Experiment(who, 100, 20, 4, 0.5)  # type: ignore[arg-type]  # a table's text
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
        sent = due[number] + round((took + way_ms) * MS)
        times.append(took + 2 * way_ms)
        log.append(Answer(number, received, received + 20 * MS, sent))
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
        (held("A", way_ms=4.0), BUSY, ["p50: 28.000 ms, analytic 20.000 ± "]),
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
    assert truth_table.as_json(comparison)["problems"] == said


def test_the_allowance_is_the_ways_but_has_an_end() -> None:
    assert held(way_ms=0.1).allowed_ms("p50", 20.0) == pytest.approx(0.2)
    assert held(way_ms=0.4).allowed_ms("p50", 20.0) == pytest.approx(0.8)
    assert held(way_ms=3.0).allowed_ms("p50", 20.0) == 1.0
    assert "took 6.0 ms" in held(way_ms=3.0).busy()


def test_a_table_reads_well() -> None:
    lines = truth_table.table(held("A")).splitlines()
    assert lines[0] == "A. The server is frozen. 20 ms of service, 100/s for 4 s, 0.500 s of stall"
    assert lines[2:5] == [
        "| response time, ms | analytic | server's log | loadtool | off analytic | off the log |",
        "|---|---:|---:|---:|---:|---:|",
        "| p50 | 20.00 | 20.10 | 20.20 | +0.20 (+1.00 %) | +0.10 (+0.50 %) |",
    ]
    assert lines[-1] == "The run is valid: send lag p99 was 0.2 ms, nothing of the stall is in it."


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


def test_experiments_are_held_as_often_as_the_machine_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [held(way_ms=4.0), held(), held(factor=1.02)]
    taken: list[Comparison] = []

    async def run(experiment: Experiment) -> Comparison:
        taken.append(outcomes[len(taken)])
        return taken[-1]

    monkeypatch.setattr(Experiment, "run", run)
    monkeypatch.setattr(truth_table, "say", lambda text: None)
    assert truth_table.main(["--only", "A"]) == RIGHT
    assert len(taken) == 2
    taken.clear()
    assert truth_table.main(["--only", "A", "--tries", "1"]) == BUSY
    outcomes = outcomes[::-1]
    taken.clear()
    assert truth_table.main(["--only", "A"]) == WRONG
