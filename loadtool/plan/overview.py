"""Overview: what a run would do, in figures. What `loadtool plan` shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtool.plan.arrivals_text import arrivals_text
from loadtool.plan.doubts import Cells, doubts
from loadtool.plan.job import FaultWindow, Job
from loadtool.plan.peak import peak_rate
from loadtool.plan.replay import expected
from loadtool.plan.replay_doubts import replay_text
from loadtool.plan.retries import connections_needed, retries_text, throttle_text
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded

# Drawing this many arrivals takes about a second; past it, counts are expectations.
COUNTED: Final = 500_000
COUNTED_AT_ONCE: Final = 50_000  # ... where a load is waiting to begin: some 50 ms of work
POINTS: Final = 240


@dataclass(frozen=True, slots=True)
class PhaseOverview:
    """A phase on the axis; rates in arrivals/s."""

    name: str
    role: str
    start_ns: int
    end_ns: int
    start_rate: float
    end_rate: float
    arrivals: int


@dataclass(frozen=True, slots=True)
class RequestOverview:
    """A request of the mix; `share` of all arrivals, from 0 to 1, is by weight."""

    name: str
    method: str
    path: str
    share: float
    arrivals: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A run before it happens. Times in ns since its start, rates in arrivals/s.

    `exact`: the arrivals are counted, not expected. They are for every number of workers, since the seed
    decides them. `connections_needed`: how many are in use at the worst moment, `connections_at_ns`, if every
    answer takes the whole timeout (see `retries.connections_needed`); `connections` is that,
    capped by `client.connections`; `dials_per_s` bounds new ones, and at `reconnect_ns` all are opened anew.
    `curve` has (ns, rate) in even steps from the first instant to the last.
    """

    name: str
    arrivals_kind: str  # in words, as "poisson" or "constant, 50 at the same instant"
    seed: int
    duration_ns: int
    arrivals: int
    exact: bool
    phases: tuple[PhaseOverview, ...]
    requests: tuple[RequestOverview, ...]
    peak_rate: float
    peak_at_ns: int
    timeout_ns: int
    connections_needed: int
    connections_at_ns: int
    connections: int
    faults: tuple[FaultWindow, ...]
    curve: tuple[tuple[int, float], ...]
    warnings: tuple[str, ...]
    dials_per_s: float | None = None
    reconnect_ns: tuple[int, ...] = ()
    transport: str = "http1"
    http2: bool = False
    retries: str = ""  # what they are and can do at the worst, in words
    throttle: str = ""
    replay: str = ""  # what is replayed, in words

    @property
    def capped(self) -> bool:
        """Whether more connections could be needed than `client.connections` allows."""
        return self.connections_needed > self.connections

    @classmethod
    def of(cls, job: Job, loaded: Loaded, *, points: int = POINTS) -> Overview:
        """The overview of a job and the profile that it was built from; `points` of the curve, at least 2."""
        schedule = Schedule(job)
        timeline = schedule.timeline
        exact = timeline.arrivals <= COUNTED
        cells = _cells(schedule, job, COUNTED)
        whole = schedule.count() if job.replay is not None else sum(cells.values())
        by_phase, by_request = Counter[int](), Counter[int]()
        for (stretch, request), n in cells.items():
            by_phase[timeline.stretches[stretch].phase] += n
            by_request[request] += n
        rate, rate_at = peak_rate(timeline)
        within, within_at = connections_needed(timeline, job.client, max(p.batch for p in job.phases))
        weight = sum(r.weight for r in job.requests)
        return cls(
            name=loaded.profile.name,
            arrivals_kind=arrivals_text(job, timeline),
            seed=job.seed,
            duration_ns=timeline.duration_ns,
            arrivals=whole,
            exact=exact,
            phases=tuple(
                PhaseOverview(
                    span.name, span.role, span.start_ns, span.end_ns,
                    span.pieces[0].shape.rate(0.0), span.pieces[-1].end_rate, by_phase[span.index],
                )
                for span in timeline.spans
            ),
            requests=tuple(
                RequestOverview(r.name, r.method, r.path, r.weight / weight, by_request[i])
                for i, r in enumerate(job.requests)
            ),
            peak_rate=rate,
            peak_at_ns=rate_at,
            timeout_ns=job.client.timeout_ns,
            connections_needed=within,
            connections_at_ns=within_at,
            connections=min(within, job.client.connections),
            faults=job.faults,
            curve=_curve(timeline, points),
            warnings=tuple(doubts(job, loaded, timeline, cells)),
            dials_per_s=job.client.dials_per_s,
            reconnect_ns=job.client.reconnect_ns,
            transport=job.transport,
            http2=job.client.http2,
            retries=retries_text(job.client, rate),
            throttle=throttle_text(job.client),
            replay=replay_text(job, loaded),
        )  # fmt: skip


def doubts_about(job: Job, loaded: Loaded) -> list[str]:
    """What is doubtful about a run of this job, built from this profile, a line each, as the overview has it.

    In a large run they are about what is expected of chance, to save the time of drawing it.
    """
    schedule = Schedule(job)
    return list(doubts(job, loaded, schedule.timeline, _cells(schedule, job, COUNTED_AT_ONCE)))


def _cells(schedule: Schedule, job: Job, most: int) -> Cells:
    """Drawn from the schedule if that has at most so many arrivals, else as chance is expected to."""
    timeline = schedule.timeline
    return _counted(schedule) if timeline.arrivals <= most else _expected(job, timeline)


def _counted(schedule: Schedule) -> Cells:
    cells: Counter[tuple[int, int]] = Counter()
    for (_, segment, request), n in schedule.counts_by_segment_and_request().items():
        cells[schedule.timeline.segments[segment].stretch, request] += n
    return dict(cells)


def _expected(job: Job, timeline: Timeline) -> Cells:
    if job.replay is not None:
        ends = [stretch.end_ns for stretch in timeline.stretches]
        return {cell: round(n) for cell, n in expected(job.replay, ends).items()}
    weight = sum(r.weight for r in job.requests)
    return {
        (s.index, i): round(
            (timeline.offered_by(s.end_ns) - timeline.offered_by(s.start_ns)) * r.weight / weight
        )
        for s in timeline.stretches
        for i, r in enumerate(job.requests)
    }


def _curve(timeline: Timeline, points: int) -> tuple[tuple[int, float], ...]:
    last = timeline.duration_ns - 1
    times = [last * i // (points - 1) for i in range(points)]
    return tuple((ns, timeline.offered_at(ns)) for ns in times)
