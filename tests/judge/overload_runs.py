"""Whole runs for the overload judge: a real schedule, and what a service of the test made of each arrival."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from loadtool.judge.case import Case
from loadtool.judge.overload import judge_overload
from loadtool.measure.frame import CellDelta, Frame, Sparse
from loadtool.measure.histogram import quantise
from loadtool.measure.outcome import CHECK, H_FAILED, H_OK, H_SERVICE, H_SHED, OK, SHED, STATUS
from loadtool.measure.result import Engine, FaultFigure, Result
from loadtool.measure.spike import SpikeFigures
from loadtool.measure.spike_frames import spike_frames, steps_of
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, FaultWindow, Job, PhaseSpec, RequestSpec
from loadtool.plan.schedule import Schedule

SECOND = 1_000_000_000
GOOD_WITHIN_MS = 500
GOOD_WITHIN_US = 1000 * GOOD_WITHIN_MS

# Outcome code, response time and service time in µs.
Answer = tuple[int, int, int]
Phase = tuple[str, float, float]  # name, rate/s, seconds; the role is the name without digits
SPIKE = (("baseline", 50.0, 24.0), ("spike", 500.0, 15.0), ("recovery", 50.0, 30.0))


def ok(us: int = 10_000) -> Answer:
    return OK, us, us


def shed(us: int = 2_000) -> Answer:
    return SHED, us, us


def failed(code: int = STATUS, us: int = 2_000) -> Answer:
    return code, us, us


def schedule(
    phases: Sequence[Phase] = SPIKE,
    *,
    arrivals: str = "constant",
    seed: int = 1,
    faults: Iterable[tuple[str, float, float]] = (),
    slice_s: int = 1,
    ramps: dict[str, float] | None = None,
) -> Schedule:
    """`faults`: name, start and end in s; `ramps`: of phases, in s."""
    job = Job(
        seed=seed,
        arrivals=arrivals,
        phases=tuple(
            PhaseSpec(
                name,
                name.rstrip("0123456789"),
                rate,
                round(seconds * SECOND),
                ramp_ns=round((ramps or {}).get(name, 0) * SECOND),
            )
            for name, rate, seconds in phases
        ),
        faults=tuple(FaultWindow(name, round(a * SECOND), round(b * SECOND)) for name, a, b in faults),
        requests=(RequestSpec("home", 1.0, "GET", "/"),),
        rows=(),
        endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
        client=ClientSpec(2 * SECOND, None, 100, True, (429, 503)),
        good_within_ns=GOOD_WITHIN_MS * 1_000_000,
        slice_ns=slice_s * SECOND,
    )
    return Schedule(job)


class Run:
    """The books of a run; `add` each arrival, in any order, then ask for its figures."""

    def __init__(self, of: Schedule) -> None:
        self.schedule = of
        self.timeline = of.timeline
        self._cells: dict[int, CellDelta] = {}

    def cell(self, segment: int) -> CellDelta:
        cell = self._cells.get(segment)
        if cell is None:
            slice_ = self.timeline.segments[segment].start_ns // self.timeline.slice_ns
            cell = self._cells[segment] = CellDelta(slice_, segment, 0)
        return cell

    def add(self, segment: int, due_ns: int, answer: Answer, attempts: int = 1) -> None:
        code, response, service = answer
        cell = self.cell(segment)
        cell.scheduled += 1
        cell.attempts += attempts
        cell.counts[code] += 1
        if code == OK:
            cell.good += response <= GOOD_WITHIN_US
            _record(cell, H_OK, response)
        elif code == SHED:
            _record(cell, H_SHED, service)
            if cell.first_shed_ns is None or due_ns < cell.first_shed_ns:
                cell.first_shed_ns = due_ns
        elif code in (STATUS, CHECK):
            _record(cell, H_FAILED, response)
        if code in (OK, SHED, STATUS, CHECK):
            _record(cell, H_SERVICE, service)

    def serve(self, service: Callable[[float], Answer], until_s: float | None = None) -> Run:
        """Each arrival gets what `service` says of its due time in s; from `until_s` on none is due."""
        for batch in self.schedule.batches():
            for due, segment in zip(batch.due, batch.segment, strict=True):
                if until_s is None or due < until_s * SECOND:
                    self.add(segment, due, service(due / SECOND))
        return self

    def end_of(self, segment: int, dues_ns: Sequence[int], start: int) -> int:
        """Where in these ascending due times the segment ends, from `start` on."""
        return bisect_left(dues_ns, self.timeline.segments[segment].end_ns, start)

    def tally(self) -> Tally:
        tally = Tally(self.timeline, ["home"], workers=1)
        tally.add(Frame(0, 0, self.timeline.duration_ns, list(self._cells.values()), final=True))
        return tally

    def case(self, *, capacity: str | None = None) -> Case:
        """What the judge needs, without what only reports show."""
        tally, end_ns = self.tally(), self.timeline.duration_ns
        result = _result(end_ns, {} if capacity is None else {"capacity": capacity})
        result.steps, result.spikes = steps_of(tally, end_ns), spike_frames(tally)
        return Case(result, tally.populations(end_ns), (), frozenset())

    def result(
        self,
        *,
        slos: Sequence[str] = (),
        until_s: float | None = None,
        faults: Sequence[FaultFigure] = (),
        **profile: object,
    ) -> Result:
        """The whole Result; `until_s`: the run was interrupted there."""
        end_ns = self.timeline.duration_ns if until_s is None else round(until_s * SECOND)
        result = _result(end_ns, {"slos": list(slos), **profile})
        result_parts(self.tally(), end_ns, 10.0).put_into(result)
        result.interrupted = None if until_s is None else "SIGINT"
        result.faults = list(faults)
        result.slo_lines = list(range(11, 11 + len(slos)))
        return result


def _record(cell: CellDelta, code: int, us: int) -> None:
    sparse = cell.values.get(code)
    if sparse is None:
        sparse = cell.values[code] = Sparse()
    bucket = quantise(us)
    sparse.counts[bucket] = sparse.counts.get(bucket, 0) + 1
    sparse.sum_us += us
    sparse.max_us = max(sparse.max_us, us)


def _result(end_ns: int, profile: dict[str, object]) -> Result:
    return Result(
        "0.1.0",
        "2026-01-01T00:00:00Z",
        1,
        {"name": "x", "target": "http://127.0.0.1:8080", **profile},
        "x.yaml",
        Engine(),
        end_ns / SECOND,
        float(GOOD_WITHIN_MS),
    )


def figures(result: Result) -> SpikeFigures:
    """Of the only spike."""
    overload, why = judge_overload(Case.of(result))
    assert overload is not None, why
    (found,) = overload.spikes
    assert overload.verdict == found.verdict
    return found


def of_case(case: Case) -> SpikeFigures:
    overload, why = judge_overload(case)
    assert overload is not None, why
    return replace(overload.spikes[0])


def every(n: int, yes: Answer, no: Answer, per_s: float = 500) -> Callable[[float], Answer]:
    """Every n-th arrival of the spike gets yes, the others no; outside all are ok."""
    return lambda t: ok() if not 24 <= t < 39 else yes if round(t * per_s) % n == 0 else no


def ran(service: Callable[[float], Answer] = lambda t: ok(), phases: tuple[Phase, ...] = SPIKE) -> Run:
    return Run(schedule(phases)).serve(service)
