"""Results with known contents, as a run would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtool.judge.case import Case
from loadtool.judge.overload import judge_overload
from loadtool.judge.slo import judge_case
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import (
    CHECK,
    H_FAILED,
    H_LAG,
    H_OK,
    H_SERVICE,
    H_SHED,
    MARKS,
    OK,
    OUTCOMES,
    SHED,
    STATUS,
)
from loadtool.measure.population import CellKey, Population, pool, to_entries
from loadtool.measure.result import Engine, FaultFigure, PhaseFigures, Result, SloFigure

ROLES = {
    "warmup": "warmup",
    "hold": "baseline",
    "baseline": "baseline",
    "spike": "spike",
    "recovery": "recovery",
}


@dataclass
class Part:
    """A cell: times in µs."""

    phase: str = "baseline"
    faults: tuple[str, ...] = ()
    request: str = "browse"
    seconds: float = 10.0
    ok: Sequence[int] = ()
    shed: Sequence[int] = ()
    status: Sequence[int] = ()
    check: Sequence[int] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    lag: Sequence[int] = ()
    good: int | None = None
    marks: Mapping[str, int] = field(default_factory=dict)

    def population(self) -> Population:
        counts = [0] * len(OUTCOMES)
        counts[OK], counts[SHED] = len(self.ok), len(self.shed)
        counts[STATUS], counts[CHECK] = len(self.status), len(self.check)
        for kind, count in self.errors.items():
            counts[OUTCOMES.index(kind)] += count
        answered = [*self.status, *self.check]
        values = {
            H_OK: self.ok,
            H_SHED: self.shed,
            H_FAILED: answered,
            H_SERVICE: [*self.ok, *self.shed, *answered],
            H_LAG: self.lag,
        }
        histograms = {code: histogram(times) for code, times in values.items() if times}
        good = len(self.ok) if self.good is None else self.good
        number = sum(counts)
        marks = [self.marks.get(name, 0) for name in MARKS]
        return Population(number, good, number, counts, histograms, marks=marks, seconds=self.seconds)


def histogram(times: Sequence[int]) -> Histogram:
    made = Histogram()
    for time in times:
        made.record(time)
    return made


def result_of(*parts: Part, slos: Sequence[str] = (), **profile: object) -> Result:
    """A result of these cells with a profile of these SLOs."""
    cells = {CellKey(p.phase, p.faults, p.request): p.population() for p in parts}
    result = Result(
        "0.1.0",
        "2026-01-01T00:00:00Z",
        1,
        {"name": "x", "target": "http://127.0.0.1:8080", "slos": list(slos), **profile},
        "x.yaml",
        Engine(workers=2),
        20.0,
        500.0,
        slo_lines=list(range(11, 11 + len(slos))),
    )
    result.cells, result.histograms = to_entries(cells)
    everything = pool(cells.items())
    result.totals.scheduled, result.totals.ok = everything.scheduled, everything.ok
    result.totals.shed, result.totals.errors = everything.shed, everything.errors
    result.phases = [
        PhaseFigures(name=name, role=ROLES[name]) for name in dict.fromkeys(p.phase for p in parts)
    ]
    return result


def fault(name: str = "slow", **more: object) -> FaultFigure:
    made = FaultFigure(name, "latency 200ms", "store", "latency", [5.0, 10.0], 5.0, 10.0, True)
    for key, value in more.items():
        setattr(made, key, value)
    return made


def judge_slos(result: Result) -> list[SloFigure]:
    """Each SLO of the result's profile, judged from the result alone. Raises UsageError if unreadable."""
    case = Case.of(result)
    return judge_case(case, *judge_overload(case))
