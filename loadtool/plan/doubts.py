"""Doubts: what a profile allows but its writer may not have meant. Each has a place, a value and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtool.plan.client_doubts import client_doubts
from loadtool.plan.fault_doubts import fault_doubts
from loadtool.plan.job import Job
from loadtool.plan.peak import peak_rate
from loadtool.plan.places import Place, mistake
from loadtool.plan.replay_doubts import replay_doubts
from loadtool.plan.retries import connections_needed
from loadtool.plan.spikes import Spike, Watch, spikes_of, watch_of
from loadtool.plan.timeline import Timeline
from loadtool.plan.windows import planned_slices, wanted_slices
from loadtool.profile.slo import METRICS
from loadtool.units import SECOND, format_duration, format_share

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded
    from loadtool.profile.slo import Slo

# With fewer beyond a quantile, its confidence interval may straddle any threshold (docs/slos.md).
SAMPLES_BEYOND: Final = 10
# A recovery watched for fewer windows than this can't tell a slow drain from no recovery.
WINDOWS: Final = 3

Doubt = tuple[Place, str]
Cells = Mapping[tuple[int, int], int]  # arrivals by stretch and request


@dataclass(frozen=True, slots=True)
class _Plan:
    job: Job
    loaded: Loaded
    timeline: Timeline
    cells: Cells


def doubts(job: Job, loaded: Loaded, timeline: Timeline, cells: Cells) -> Iterator[str]:
    """The doubts about this run, a line each."""
    plan = _Plan(job, loaded, timeline, cells)
    for find in DOUBTS:
        for place, message in find(plan):
            yield str(mistake(loaded, place, message))


def _undecidable_slos(plan: _Plan) -> Iterator[Doubt]:
    for i, slo in enumerate(plan.loaded.slos):
        if slo.during in plan.loaded.untimed:
            continue
        arrivals = _covered(plan, slo)
        counted, leave = ("1 arrival", "leaves") if arrivals == 1 else (f"{arrivals:,} arrivals", "leave")
        if arrivals == 0:
            yield ("slos", i), f"{slo.text}: covers no arrivals, so nothing decides it; raise the rate there"
        elif slo.quantile is not None and slo.metric != "shed quantile":  # how many sheds, nobody knows yet
            beyond, needed = arrivals * (1 - slo.quantile), round(SAMPLES_BEYOND / (1 - slo.quantile))
            if beyond < SAMPLES_BEYOND - 1e-6:
                quantile = f"p{format_share(slo.quantile).removesuffix('%')}"
                message = (
                    f"{slo.text}: {counted} {leave} {beyond:.1f} beyond {quantile}, too few to "
                    f"decide it if it is close; want {needed:,} arrivals, or a lower quantile"
                )
                yield ("slos", i), message
        elif slo.metric == "error rate" and slo.op in ("<", "<=") and 0 < slo.threshold * arrivals < 1:
            message = (
                f"{slo.text}: among {counted} a single error fails it; "
                f"want more than {1 / slo.threshold:,.0f} arrivals, or a laxer threshold"
            )
            yield ("slos", i), message


def _unreachable_slos(plan: _Plan) -> Iterator[Doubt]:
    for i, slo in enumerate(plan.loaded.slos):
        if never := slo.out_of_reach:
            message = f"no run can pass it: {METRICS[slo.metric].prefix} is never {never}"
            yield ("slos", i), f"{slo.text}: {message}; want {slo.op}= {never.rpartition(' ')[2]}"


def _windows(plan: _Plan) -> Iterator[Doubt]:
    slice_s = plan.timeline.slice_ns / SECOND
    for i, slo in enumerate(plan.loaded.slos):
        if slo.window_ns is None or slo.during in plan.loaded.untimed:
            continue
        needed = wanted_slices(slo, slice_s)
        most = max(map(len, planned_slices(slo, plan.timeline)), default=0)
        if most < needed:
            where = slo.during or "the run"
            message = (
                f"{slo.text}: it needs {needed} of the run's whole slices of {slice_s:g} s in a row, "
                f"and {where} holds {most}, so nothing decides it; want a shorter window, "
                f"or {where} to last longer"
            )
            yield ("slos", i), message


def _covered(plan: _Plan, slo: Slo) -> int:
    """Arrivals that the objective looks at; without `during`, all but warmup's."""
    timeline, job = plan.timeline, plan.job
    total = 0
    for (index, request), n in plan.cells.items():
        stretch = timeline.stretches[index]
        span = timeline.spans[stretch.phase]
        if slo.during is None:
            during = span.role != "warmup"
        else:
            during = slo.during == span.name or slo.during in {job.faults[f].name for f in stretch.faults}
        if during and slo.request in (None, job.requests[request].name):
            total += n
    return total


def _faults(plan: _Plan) -> Iterator[Doubt]:
    yield from fault_doubts(plan.job, plan.loaded)


def _spikes(plan: _Plan) -> Iterator[Doubt]:
    for spike in spikes_of(plan.timeline):
        place: Place = ("phases", spike.spans[0].index)
        if spike.baseline is None:
            message = "has no baseline phase before it to be judged against; add one with role: baseline"
            yield place, f"{spike.name} {message}"
        if not spike.recovery:
            message = "has no recovery phase after it, so nothing shows whether the service comes back"
            yield place, f"{spike.name} {message}; add one with role: recovery, at the baseline's rate"
        yield from _recovery(plan, spike)


def _recovery(plan: _Plan, spike: Spike) -> Iterator[Doubt]:
    watch = watch_of(plan.timeline, spike)
    if watch is None:
        return
    last = spike.recovery[-1]
    place: Place = ("phases", last.index, "for")
    watched, window = _about(watch.watched_ns), _about(watch.window_ns)
    enough = _enough(watch)
    recovery = f"recovery from {spike.name}"
    if watch.watched_ns <= 0:
        yield place, unwatched(spike, watch)
    elif watch.watched_ns < watch.window_ns:
        message = (
            f"{recovery} is watched for {watched}, less than one window of {window}: too short to prove it"
        )
        yield place, f"{message}; watch for {enough}"
    elif watch.watched_ns < WINDOWS * watch.window_ns:
        message = (
            f"{recovery} is watched for {watched}: a backlog that drains for longer reads as stayed-down"
        )
        yield place, f"{message}; {enough} tell them apart better"
    timeout = plan.job.client.timeout_ns
    if 0 < watch.watched_ns < timeout:
        message = (
            f"{format_duration(timeout)} is longer than {recovery} is watched ({watched}), so requests of "
            f"the spike may be open to the end; shorten the timeout or lengthen {last.name}"
        )
        yield ("client", "timeout"), message


def unwatched(spike: Spike, watch: Watch) -> str:
    """What to say of a recovery of which there is nothing to watch."""
    return (
        f"recovery from {spike.name} can't be measured: up to the end of {spike.recovery[-1].name} the rate "
        f"is above 1.1 × the baseline's or a fault is active; add {_enough(watch)} without either"
    )


def _enough(watch: Watch) -> str:
    """How long a recovery has to be watched for, to tell a slow drain from none."""
    return format_duration(-(-WINDOWS * watch.window_ns // SECOND) * SECOND)


def _about(ns: int) -> str:
    """A duration to a tenth of a second, or to a millisecond if it is shorter than one."""
    grain = SECOND // 10 if ns >= SECOND else SECOND // 1000
    return format_duration(round(ns / grain) * grain)


def _connections(plan: _Plan) -> Iterator[Doubt]:
    client = plan.job.client
    batch = max(phase.batch for phase in plan.job.phases)
    needed, at_ns = connections_needed(plan.timeline, client, batch)
    again = " and their retries" if client.retries is not None else ""
    if needed > client.connections:
        message = (
            f"{client.connections:,} are fewer than the {needed:,} arrivals{again} within one timeout "
            f"({_about(client.timeout_ns)}, up to {_about(at_ns)}): if the service stalls, the rest queue "
            f"here, and the wait counts; want {needed:,}, or a shorter timeout"
        )
        yield ("client", "connections"), message


def _client(plan: _Plan) -> Iterator[Doubt]:
    yield from client_doubts(plan.job, plan.loaded, peak_rate(plan.timeline)[0])


def _replay(plan: _Plan) -> Iterator[Doubt]:
    yield from replay_doubts(plan.job, plan.loaded)


DOUBTS: Final = (
    _replay,
    _undecidable_slos,
    _unreachable_slos,
    _windows,
    _faults,
    _spikes,
    _connections,
    _client,
)
