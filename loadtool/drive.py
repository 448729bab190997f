"""One load from the start of its workers to their last frame, and how a signal ends it.

What stands around a load (preparation, faults, reports) is `run.py`'s business, or `capacity.py`'s, which
drives many of them against one target.
"""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import trio

import loadtool
from loadtool.engine.build import compiled
from loadtool.engine.fleet import Fleet, Lost, usable_cores
from loadtool.errors import lone
from loadtool.judge.abort import AbortWatch
from loadtool.measure.frame import Frame
from loadtool.measure.result import Aborted, Engine, Result, SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.profile.load import Loaded
from loadtool.report.stage import Bar, Stage
from loadtool.report.standing import Standing
from loadtool.signals import Aftermath, endings

if TYPE_CHECKING:  # what a run without faults and probes does not load
    from loadtool.chaos.conductor import Conductor
    from loadtool.chaos.probe import Prober

VIEW_EVERY_S: Final = 0.25
RESTS: Final = 10  # times what a look took, if that is longer: faults and probes wait meanwhile
CURVE_SAMPLES: Final = 400
LEAST_AGAIN: Final = 10  # requests sent again, and the share of all, from which on a race is no reason
MUCH_AGAIN: Final = 0.01
MANY: Final = 5_000_000  # arrivals: to draw them all again takes seconds, up to a minute for 10^8

T = TypeVar("T")


class View(Protocol):
    """What is shown while a run lasts."""

    @property
    def shows_slos(self) -> bool: ...  # else none are judged while it lasts
    def notice(self, text: str) -> None: ...
    def begin(self, stage: Stage) -> None: ...
    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        """Whether an `update` would show anything now: what it is told takes a while to work out."""
        ...

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None: ...
    def end(self) -> None: ...


class Silent:
    """A view that shows nothing."""

    shows_slos = False

    def notice(self, text: str) -> None:
        pass

    def begin(self, stage: Stage) -> None:
        pass

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        return False

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        pass

    def end(self) -> None:
        pass


class Heed:
    """What a signal does: end what is prepared (`idle`), or the load early, or the wait for its end."""

    def __init__(
        self, notice: Callable[[str], None], hurry: Callable[[], None], aftermath: Aftermath | None = None
    ) -> None:
        """`hurry`: called at the second signal, load or not; a second SIGHUP counts for nothing.

        `aftermath`: of what is heeded here, and holds back what comes after it.
        """
        self.signal: signal.Signals | None = None  # the first one
        self.after_load = False  # it came when the load was over
        self.fleet: Fleet | None = None  # the load that goes on
        self.idle = trio.CancelScope()
        self._notice = notice
        self._hurry = hurry
        self._aftermath = aftermath

    async def during(self, work: Callable[[], Awaitable[T]], *beside: Callable[[], Awaitable[None]]) -> T:
        """Do this to its end while signals are heeded; what goes on `beside` it is cancelled then."""
        heeded = endings()
        if self._aftermath is not None:
            self._aftermath.hold()
        with trio.open_signal_receiver(*heeded) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.heed, signals)
                for other in beside:
                    nursery.start_soon(other)
                done = await work()
                nursery.cancel_scope.cancel()
        return done

    async def heed(self, signals: AsyncIterator[int]) -> None:
        """Until cancelled."""
        async for number in signals:
            first = self.signal is None
            self.signal = self.signal or signal.Signals(number)
            if self._aftermath is not None:
                self._aftermath.first = self.signal
            if self.fleet is None:
                self.idle.cancel()
                if not first and number != signal.SIGHUP:
                    self._hurry()
            elif first and self.fleet.over:
                self.after_load = True
                self._notice("interrupted: the load is over, the report follows; once more ends teardown")
            elif first:
                await self.fleet.stop()  # first: whoever reads the notice may stand still
                self._notice("interrupted: the load ends now, then the report; once more waits for no answer")
            elif number != signal.SIGHUP:  # a closed terminal may say so twice, through its shell as well
                self.fleet.kill()
                self._hurry()


def run_alone(work: Callable[[], Awaitable[T]], left: Callable[[], list[str]]) -> T:
    """Run this as trio's main task. What it raises comes alone, with a note of each thing that is `left`."""
    try:
        return trio.run(work)
    except BaseExceptionGroup as group:
        error = lone(group)
        for problem in left():
            error.add_note(problem)
        raise error from group


class Continuation(Protocol):
    """Load beyond the planned end, which is counted apart."""

    tally: Tally  # of everything, for the view

    @property
    def duration_ns(self) -> int:
        """Of the whole load, the planned part included."""
        ...

    @property
    def bars(self) -> tuple[Bar, ...]:
        """What comes after the planned part, as views show it."""
        ...

    def take(self, frame: Frame) -> Frame:
        """Count all of a frame; returns what of it belongs to the plan. Raises ValueError as Tally.add."""
        ...

    def over(self, planned: Tally, *, lost: bool) -> bool:
        """Whether the load may end now; asked after each frame. `lost`: a worker was."""
        ...


@dataclass(slots=True)
class Measured:
    """What is left of a load when it has ended."""

    job: Job
    workers: int
    tally: Tally
    origin: float  # the load's zero on trio's clock
    end_ns: int
    problems: list[str] = field(default_factory=list)
    aborted: Aborted | None = None  # by an SLO that could no longer be met
    began: datetime | None = None  # the load's zero on the wall's clock
    stopped_ns: int | None = None  # when it was told to end, which may be long after `end_ns`


@dataclass(slots=True)
class Drive:
    """A load and who looks on: `conductor` and `prober` run beside it, on its clock; `watch` may end it."""

    loaded: Loaded
    job: Job
    workers: int
    view: View
    conductor: Conductor | None = None
    prober: Prober | None = None
    after: Continuation | None = None
    watch: AbortWatch | None = None
    _aborted: Aborted | None = None

    async def run(self, fleet: Fleet) -> Measured:
        """Start the workers and sum up what they report, to the end: nothing if the fleet has not begun."""
        timeline = Timeline.of(self.job)
        tally = Tally(timeline, [r.name for r in self.job.requests], self.workers)
        lost: dict[int, str] = {}
        beyond = self.after.bars if self.after is not None else ()
        self.view.begin(replace(stage_of(self.loaded, self.job), beyond=beyond))
        ended_by_us = False
        async with trio.open_nursery() as nursery:
            duration_ns = self.after.duration_ns if self.after is not None else timeline.duration_ns
            start_ns: int = await nursery.start(fleet.run, duration_ns)
            origin = trio.current_time() + (start_ns - time.monotonic_ns()) / 1e9
            began = datetime.now(UTC) + timedelta(seconds=origin - trio.current_time())
            for part in (self.conductor, self.prober):
                if part is not None:
                    nursery.start_soon(part.run, origin)
            nursery.start_soon(self._show, tally, origin)
            if self.watch is not None:
                nursery.start_soon(self._end_early, self.watch, tally, origin, fleet)
            async for item in fleet.frames():
                if isinstance(item, Lost):
                    self._lose(item.worker, item.how, lost, tally)
                    self.view.notice(f"worker {item.worker + 1} was lost ({item.how})")
                elif item.worker not in lost:
                    told = len(tally.warnings)
                    try:
                        tally.add(item if self.after is None else self.after.take(item))
                    except ValueError as e:
                        self._lose(item.worker, f"it sent what can't be: {e}", lost, tally)
                    for warning in tally.warnings[told:]:
                        self.view.notice(self.loaded.secrets.mask(warning))
                if (
                    self.after is not None
                    and fleet.stop_ns is None
                    and self.after.over(tally, lost=bool(lost))
                ):
                    ended_by_us = True
                    await fleet.stop()
            nursery.cancel_scope.cancel()
            if self.conductor is not None:  # now, as an `undo` that goes on is waited for
                self.view.notice("taking the faults out")
        end_ns = timeline.duration_ns
        stopped_ns = max(fleet.stop_ns - start_ns, 0) if fleet.stop_ns is not None else None
        cut_short = stopped_ns is not None and not ended_by_us
        if stopped_ns is not None and cut_short:
            reached = [w.last.elapsed_ns for w in tally.by_worker.values() if w.last is not None]
            end_ns = min(end_ns, max([stopped_ns, *reached]))
        measured = Measured(
            self.job, self.workers, tally, origin, end_ns,
            aborted=self._aborted, began=began, stopped_ns=stopped_ns,
        )  # fmt: skip
        await self._add_up(measured, lost, cut_short=cut_short)
        return measured

    async def _add_up(self, measured: Measured, lost: dict[int, str], *, cut_short: bool) -> None:
        """Count what lost workers owed, and see whether the figures hold all that was planned.

        The schedule is drawn for it, in a thread: signals are heeded meanwhile.
        """
        tally, end_ns = measured.tally, measured.end_ns
        arrivals = tally.timeline.offered_by(end_ns) if lost or not cut_short else 0.0
        if arrivals > MANY:
            if self.conductor is not None:  # else whoever began them takes them out at once
                await self.conductor.end()
            self.view.notice(f"counting the {arrivals:,.0f} arrivals that were planned")
        schedule = Schedule(self.job)
        if lost:
            due = await trio.to_thread.run_sync(schedule.counts_by_worker, end_ns, sorted(lost), self.workers)
            for worker, owed in due.items():
                n = tally.lose(worker, owed)
                if self.after is not None:
                    self.after.tally.lose(worker, owed)
                measured.problems.append(
                    f"worker {worker + 1} of {self.workers} was lost ({lost[worker]}), and {n:,} arrivals "
                    "with it: look in the system's log for what ended it (often too little memory), and run "
                    "again"
                )
        planned = None if cut_short else await trio.to_thread.run_sync(schedule.count)
        measured.problems += [f"the figures do not add up: {v}" for v in tally.conservation(planned)]

    def _lose(self, worker: int, how: str, lost: dict[int, str], tally: Tally) -> None:
        """Nobody may wait for this worker any more. All that it owed is known only at the end."""
        lost.setdefault(worker, how)
        tally.give_up(worker)
        if self.after is not None:
            self.after.tally.give_up(worker)

    async def _end_early(self, watch: AbortWatch, tally: Tally, origin: float, fleet: Fleet) -> None:
        """End the load as soon as an SLO that may do so can no longer be met.

        Once all that was planned has been sent there is nothing left to end: what is still awaited is worth
        its answer, and what goes on beyond the plan is not what the SLO is about.
        """
        rest_s = VIEW_EVERY_S
        while self._aborted is None:
            await trio.sleep(rest_s)
            elapsed_ns = max(0, int((trio.current_time() - origin) * 1e9))
            if fleet.stop_ns is not None or elapsed_ns >= tally.timeline.duration_ns:
                return
            began = time.thread_time()  # another clock would go on while we are stopped (Ctrl-Z)
            self._aborted = watch.check(tally, elapsed_ns)
            rest_s = max(VIEW_EVERY_S, (time.thread_time() - began) * RESTS)
        ended = self._aborted
        self.view.notice(f"{ended.slo}: {ended.why}; the load ends now, at {ended.at_s:.1f} s")
        await fleet.stop()

    async def _show(self, tally: Tally, origin: float) -> None:
        """Keep the view up to date until cancelled."""
        warmups = {p.name for p in self.job.phases if p.role == "warmup"}
        shown = tally if self.after is None else self.after.tally
        standing = Standing(self.loaded.slos, warmups, self.view.notice)
        beat = 0
        while True:
            await trio.sleep_until(origin + beat * VIEW_EVERY_S)
            elapsed = trio.current_time() - origin
            beat = int(elapsed / VIEW_EVERY_S) + 1
            elapsed_ns = max(0, int(elapsed * 1e9))
            active = self.conductor.active() if self.conductor is not None else []
            if not self.view.wants(elapsed_ns / 1e9, active):
                continue
            slos = await standing.look(tally, elapsed_ns) if self.view.shows_slos else ()
            # In a thread: a terminal that has been stopped (Ctrl-S) must not hold up the faults.
            now = shown.snapshot(elapsed_ns)
            await trio.to_thread.run_sync(self.view.update, now, active, slos, abandon_on_cancel=True)


async def abort_watch(loaded: Loaded, job: Job) -> AbortWatch | None:
    """What may end the run for an SLO; None if none of them may.

    The schedule is drawn for it in a thread, and not waited for once this is cancelled: it may be long.
    """
    if not any(slo.abort for slo in loaded.slos):
        return None
    count = Schedule(job).counts_by_segment_and_request
    planned = await trio.to_thread.run_sync(count, abandon_on_cancel=True)
    return AbortWatch.of(loaded.slos, Timeline.of(job), [r.name for r in job.requests], planned)


def result_of(loaded: Loaded, measured: Measured, started: str) -> Result:
    """What was measured as a Result that is not judged yet, without faults and probes."""
    profile, job = loaded.profile, measured.job
    result = Result(
        loadtool=loadtool.__version__,
        started=started,
        seed=profile.seed,
        profile=loaded.normalised(),
        profile_file=loaded.file,
        engine=Engine(
            workers=measured.workers,
            compiled=compiled(),
            transport=job.transport,
            cores=usable_cores(),
        ),
        elapsed_s=measured.end_ns / 1e9,
        ended_s=measured.stopped_ns / 1e9 if measured.stopped_ns is not None else None,
        good_within_ms=job.good_within_ns / 1e6,
        aborted=measured.aborted,
        load_started=measured.began.isoformat(timespec="milliseconds") if measured.began is not None else "",
        problems=list(measured.problems),
        warnings=[loaded.secrets.mask(warning) for warning in [*measured.tally.warnings, *_doubts(measured)]],
        slo_lines=[slo.line for slo in loaded.slos],
    )
    parts = result_parts(measured.tally, measured.end_ns, profile.validity.lag / 1e6)
    parts.put_into(result)
    return result


def _doubts(measured: Measured) -> Iterator[str]:
    """What no figure of the result gates on, and may be a fault of the service."""
    tally = measured.tally
    if tally.retried >= LEAST_AGAIN and tally.retried > MUCH_AGAIN * tally.totals.scheduled:
        yield (
            f"over {MUCH_AGAIN:.0%} of the requests were sent again, as the connection that they were on "
            "ended just then: the service closes or resets connections that are in use"
        )


def stage_of(loaded: Loaded, job: Job) -> Stage:
    """What views show of a load before it begins."""
    timeline = Timeline.of(job)
    step = max(1, timeline.duration_ns // CURVE_SAMPLES)
    # A phase has a rate of its own from its first moment on.
    moments = {*range(0, timeline.duration_ns, step), *(span.start_ns for span in timeline.spans)}
    return Stage(
        name=loaded.profile.name,
        target=loaded.secrets.mask(loaded.profile.target),
        phases=tuple(Bar(s.name, s.start_ns / 1e9, s.end_ns / 1e9) for s in timeline.spans),
        faults=tuple(Bar(f.name, f.start_ns / 1e9, f.end_ns / 1e9, f.ramp_ns / 1e9) for f in timeline.faults),
        curve=tuple((ns / 1e9, timeline.offered_at(ns)) for ns in sorted(moments)),
        slos=tuple(slo.text for slo in loaded.slos),
        clients=job.client.retries is not None or job.client.throttle is not None,
    )
