"""One run, start to finish: the only place that wires the rooms together.

Everything that a run needs is opened in one stack of contexts and closed again in reverse order, however the
run ends. The first Ctrl-C, SIGTERM or closed terminal ends the load early, with the full report of what was
measured; the second does not wait for the workers any more. Faults come out either way.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import trio

import loadtool
from loadtool.engine.build import compiled
from loadtool.engine.fleet import Fleet, Lost, default_workers, open_fleet, usable_cores
from loadtool.errors import Interrupted, OutputError, UsageError, lone
from loadtool.judge.slo import judge_cells
from loadtool.judge.verdict import judge
from loadtool.measure.result import Engine, FaultFigure, Result, SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.preparation import Load, Preparation, Prepared
from loadtool.profile.load import Loaded
from loadtool.report.result_file import RESULT_NAME, new_run_directory, write_atomically
from loadtool.report.stage import Bar, Stage

RESULTS: Final = Path("loadtool-results")
VIEW_EVERY_S: Final = 0.25
SLOS_EVERY_S: Final = 1.0
CURVE_SAMPLES: Final = 400


class View(Protocol):
    """What is shown while a run lasts."""

    def notice(self, text: str) -> None: ...
    def begin(self, stage: Stage) -> None: ...
    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None: ...
    def end(self) -> None: ...


class Silent:
    """A view that shows nothing."""

    def notice(self, text: str) -> None:
        pass

    def begin(self, stage: Stage) -> None:
        pass

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        pass

    def end(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class RunOptions:
    workers: int | None = None  # default: one per usable core but one
    toxiproxy: str | None = None  # URL; wins over the profile's
    allow_hosts: tuple[str, ...] = ()
    out: Path | None = None  # directory of this run's files; default: a new one below RESULTS


@dataclass(frozen=True, slots=True)
class Finished:
    result: Result
    exit_code: int
    directory: Path
    files: list[Path]
    failures: list[OutputError]  # what could not be written


def spike(load: Load, options: RunOptions, view: View) -> Finished:
    """Run a profile from start to finish, judge it and write result.json.

    Raises UsageError before anything is sent, Interrupted if a signal came before the load began, and other
    LoadtoolErrors if the run could not begin.
    """
    run = _Run(load, options, view)
    try:
        return trio.run(run.go)
    except BaseExceptionGroup as group:
        error = lone(group)
        for problem in run.left:
            error.add_note(problem)
        raise error from group


@dataclass(slots=True)
class _Measured:
    """What is left of a run when its load has ended."""

    tally: Tally
    origin: float  # the run's zero on trio's clock
    end_ns: int
    problems: list[str] = field(default_factory=list)


class _Run:
    """One run's state and its steps, in their order."""

    def __init__(self, load: Load, options: RunOptions, view: View) -> None:
        self._load = load
        self._options = options
        self._view = view
        self._preparation = Preparation(load, options.toxiproxy, options.allow_hosts, view.notice)
        self._preparing = trio.CancelScope()
        self._fleet: Fleet | None = None
        self._signal: signal.Signals | None = None

    async def go(self) -> Finished:
        with trio.open_signal_receiver(*_endings()) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._heed, signals)
                finished = await self._go()
                nursery.cancel_scope.cancel()
        return finished

    async def _heed(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            first = self._signal is None
            self._signal = self._signal or signal.Signals(number)
            if self._fleet is None:
                self._preparing.cancel()
            elif first:
                self._view.notice("interrupted: the load ends now, then the report; once more quits at once")
                await self._fleet.stop()
            elif number != signal.SIGHUP:  # a closed terminal may say so twice, through its shell as well
                self._fleet.kill()
                self._preparation.hurry()

    async def _go(self) -> Finished:
        started = datetime.now(UTC)
        loaded = self._load(os.environ, pending=True)
        connections = loaded.profile.client.connections.max
        workers = self._options.workers or default_workers(connections)
        if workers > connections:
            raise UsageError(
                f"--workers: got {workers}, want at most one per connection "
                f"(client.connections: {connections})"
            )
        directory = self._directory(started, loaded)
        measured: _Measured | None = None
        try:
            async with AsyncExitStack() as stack:
                with self._preparing:
                    prepared = await self._preparation.prepare(stack, loaded)
                    fleet = await stack.enter_async_context(open_fleet(prepared.job, workers))
                    self._fleet = fleet
                if self._fleet is None or self._signal is not None:
                    raise Interrupted(self._signal or signal.SIGINT)
                measured = await self._measure(fleet, prepared, workers)
                await self._calm_down(prepared, measured)
        except BaseException:
            if measured is None:
                _remove_if_empty(directory)
            raise
        finally:
            self._view.end()
        return self._finish(started, prepared, workers, directory, measured)

    @property
    def left(self) -> list[str]:
        """What could not be taken back, for a run that has no report to say it in."""
        return self._preparation.problems

    async def _calm_down(self, prepared: Prepared, measured: _Measured) -> None:
        """See whether the service came back: without its faults, and before its proxies go."""
        if prepared.conductor is not None:
            self._view.notice("taking the faults out")
        if prepared.prober is None or self._signal is not None:
            return
        if prepared.conductor is not None:
            await prepared.conductor.end()
        await prepared.prober.finish(measured.origin)

    def _directory(self, started: datetime, loaded: Loaded) -> Path:
        if self._options.out is None:
            return new_run_directory(RESULTS, started, loaded.profile.name)
        out = self._options.out
        try:
            out.mkdir(parents=True, exist_ok=True)
            probe = out / ".writable"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as e:
            raise UsageError(f"--out: got {out}, want a directory that can be written: {e.strerror}") from e
        return out

    # The load

    async def _measure(self, fleet: Fleet, prepared: Prepared, workers: int) -> _Measured:
        job = prepared.job
        timeline = Timeline.of(job)
        tally = Tally(timeline, [r.name for r in job.requests], workers)
        lost: dict[int, str] = {}
        self._view.begin(_stage(prepared.loaded, timeline))
        async with trio.open_nursery() as nursery:
            start_ns: int = await nursery.start(fleet.run, timeline.duration_ns)
            origin = trio.current_time() + (start_ns - time.monotonic_ns()) / 1e9
            for part in (prepared.conductor, prepared.prober):
                if part is not None:
                    nursery.start_soon(part.run, origin)
            nursery.start_soon(self._show, tally, prepared, origin)
            async for item in fleet.frames():
                if isinstance(item, Lost):
                    lost.setdefault(item.worker, item.how)
                    self._view.notice(f"worker {item.worker + 1} was lost ({item.how})")
                elif item.worker not in lost:
                    try:
                        tally.add(item)
                    except ValueError as e:
                        lost[item.worker] = f"it sent what can't be: {e}"
            nursery.cancel_scope.cancel()
        end_ns = timeline.duration_ns
        if fleet.stop_ns is not None:
            reached = [w.last.elapsed_ns for w in tally.by_worker.values() if w.last is not None]
            end_ns = min(end_ns, max([fleet.stop_ns - start_ns, *reached]))
        measured = _Measured(tally, origin, max(end_ns, 0))
        schedule = Schedule(job)
        for worker, how in sorted(lost.items()):
            due = schedule.counts_by_segment_and_request(end_ns, worker, workers)
            n = tally.lose(worker, due)
            measured.problems.append(
                f"worker {worker + 1} of {workers} was lost ({how}), and {n:,} arrivals with it: look in the "
                "system's log for what ended it (often too little memory), and run again"
            )
        planned = schedule.count() if fleet.stop_ns is None else None
        measured.problems += [f"the figures do not add up: {v}" for v in tally.conservation(planned)]
        return measured

    async def _show(self, tally: Tally, prepared: Prepared, origin: float) -> None:
        """Keep the view up to date until cancelled."""
        loaded, conductor = prepared.loaded, prepared.conductor
        warmups = {p.name for p in loaded.profile.phases if p.role == "warmup"}
        slos: list[SloFigure] = []
        judged_at = -SLOS_EVERY_S
        beat = 0
        while True:
            await trio.sleep_until(origin + beat * VIEW_EVERY_S)
            elapsed = trio.current_time() - origin
            beat = int(elapsed / VIEW_EVERY_S) + 1
            elapsed_ns = max(0, int(elapsed * 1e9))
            if elapsed - judged_at >= SLOS_EVERY_S:
                judged_at = elapsed
                slos = judge_cells(loaded.slos, tally.populations(elapsed_ns), warmups)
            active = conductor.active() if conductor is not None else []
            # In a thread: a terminal that has been stopped (Ctrl-S) must not hold up the faults.
            now = tally.snapshot(elapsed_ns)
            await trio.to_thread.run_sync(self._view.update, now, active, slos, abandon_on_cancel=True)

    # After the load

    def _finish(
        self,
        started: datetime,
        prepared: Prepared,
        workers: int,
        directory: Path,
        measured: _Measured,
    ) -> Finished:
        loaded, conductor = prepared.loaded, prepared.conductor
        answers = prepared.prober.answers if prepared.prober is not None else []
        profile = loaded.profile
        engine = Engine(
            workers=workers,
            compiled=compiled(),
            transport=prepared.job.transport,
            cores=usable_cores(),
            toxiproxy=prepared.toxiproxy,
        )
        result = Result(
            loadtool=loadtool.__version__,
            started=started.isoformat(timespec="milliseconds"),
            seed=profile.seed,
            profile=loaded.normalised(),
            profile_file=loaded.file,
            engine=engine,
            elapsed_s=measured.end_ns / 1e9,
            good_within_ms=prepared.job.good_within_ns / 1e6,
            interrupted=self._signal.name if self._signal is not None else None,
            problems=[
                *measured.problems,
                *self._preparation.problems,
            ],
            faults=[_masked(f, prepared.mask) for f in conductor.figures()] if conductor is not None else [],
            probes=[replace(p, detail=prepared.mask(p.detail)) for p in answers],
            slo_lines=[slo.line for slo in loaded.slos],
        )
        parts = result_parts(measured.tally, measured.end_ns, profile.validity.lag / 1e6)
        parts.put_into(result)
        verdict = judge(result)
        file = directory / RESULT_NAME
        try:
            write_atomically(result, file)
        except OutputError as e:
            return Finished(result, verdict.exit_code or e.exit_code, directory, [], [e])
        return Finished(result, verdict.exit_code, directory, [file], [])


def _endings() -> list[signal.Signals]:
    """Signals that end a run; a closed terminal does not where it was told not to (nohup)."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _masked(fault: FaultFigure, mask: Callable[[str], str]) -> FaultFigure:
    text, problem, output = mask(fault.text), mask(fault.problem), mask(fault.output)
    return replace(fault, text=text, problem=problem, output=output)


def _stage(loaded: Loaded, timeline: Timeline) -> Stage:
    step = max(1, timeline.duration_ns // CURVE_SAMPLES)
    return Stage(
        name=loaded.profile.name,
        target=loaded.secrets.mask(loaded.profile.target),
        phases=tuple(Bar(s.name, s.start_ns / 1e9, s.end_ns / 1e9) for s in timeline.spans),
        faults=tuple(Bar(f.name, f.start_ns / 1e9, f.end_ns / 1e9, f.ramp_ns / 1e9) for f in timeline.faults),
        curve=tuple((ns / 1e9, timeline.rate_at(ns)) for ns in range(0, timeline.duration_ns, step)),
        slos=tuple(slo.text for slo in loaded.slos),
    )


def _remove_if_empty(directory: Path) -> None:
    """A run that never began leaves no trace."""
    try:
        directory.rmdir()
    except OSError:
        return
