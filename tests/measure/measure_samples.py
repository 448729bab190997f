"""Small runs for tests: timelines, cell deltas and frames with known contents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loadtool.measure.frame import CellDelta, Frame, Sparse
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
from loadtool.plan.job import ClientSpec, Endpoint, FaultWindow, Job, PhaseSpec, RequestSpec
from loadtool.plan.timeline import Timeline

SECOND = 1_000_000_000


def job(
    phases: Sequence[tuple[str, str, float, float]],
    requests: Sequence[str] = ("browse",),
    faults: Sequence[tuple[str, float, float]] = (),
    slice_s: int = 1,
    arrivals: str = "constant",
) -> Job:
    """`phases`: name, role, rate/s, seconds; `faults`: name, start and end in seconds."""
    return Job(
        seed=1,
        arrivals=arrivals,
        phases=tuple(PhaseSpec(name, role, rate, int(s * SECOND)) for name, role, rate, s in phases),
        faults=tuple(FaultWindow(name, int(a * SECOND), int(b * SECOND)) for name, a, b in faults),
        requests=tuple(RequestSpec(name, 1.0, "GET", "/") for name in requests),
        rows=(),
        endpoint=Endpoint("http", "127.0.0.1", 80, "127.0.0.1", "127.0.0.1"),
        client=ClientSpec(SECOND, None, 10, True, (429, 503)),
        good_within_ns=SECOND // 2,
        slice_ns=slice_s * SECOND,
    )


def timeline(
    *phases: tuple[str, str, float], faults: Sequence[tuple[str, float, float]] = (), slice_s: int = 1
) -> Timeline:
    """`phases`: name, role, seconds."""
    return Timeline.of(job([(n, r, 1.0, s) for n, r, s in phases], faults=faults, slice_s=slice_s))


def sparse(values_us: Iterable[int]) -> Sparse:
    histogram = Histogram()
    for value in values_us:
        histogram.record(value)
    return Sparse(histogram.counts, histogram.sum_us, histogram.max_us)


def delta(
    slice_: int,
    segment: int = 0,
    request: int = 0,
    *,
    ok: Sequence[int] = (),
    shed: Sequence[int] = (),
    status: Sequence[int] = (),
    check: Sequence[int] = (),
    errors: Mapping[str, int] | None = None,
    lag: Sequence[int] = (),
    scheduled: int | None = None,
    good: int | None = None,
    marks: Mapping[str, int] | None = None,
) -> CellDelta:
    """A cell with these response times in µs; as many are scheduled as ended unless it says otherwise."""
    cell = CellDelta(slice_, segment, request)
    cell.counts[OK], cell.counts[SHED] = len(ok), len(shed)
    cell.counts[STATUS], cell.counts[CHECK] = len(status), len(check)
    for kind, count in (errors or {}).items():
        cell.counts[OUTCOMES.index(kind)] += count
    cell.scheduled = sum(cell.counts) if scheduled is None else scheduled
    cell.good = len(ok) if good is None else good
    cell.attempts = sum(cell.counts)
    for mark, count in (marks or {}).items():
        cell.marks[MARKS.index(mark)] += count
    answered = [*status, *check]
    by_class = {H_OK: ok, H_SHED: shed, H_FAILED: answered, H_SERVICE: [*ok, *shed, *answered], H_LAG: lag}
    cell.values = {code: sparse(values) for code, values in by_class.items() if values}
    return cell


def frame(worker: int, sequence: int, at_s: float, *cells: CellDelta, **more: object) -> Frame:
    made = Frame(worker, sequence, int(at_s * SECOND), list(cells))
    for name, value in more.items():
        setattr(made, name, value)
    return made
