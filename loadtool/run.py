"""One run, start to finish: preparation, load, verdict and result.

Everything that a run needs is opened in one stack of contexts and closed again in reverse order, however the
run ends. The first Ctrl-C, SIGTERM or closed terminal ends the load early, with the full report of what was
measured; the second does not wait for the workers any more. Faults come out either way.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self

import trio

from loadtool import cut_load
from loadtool.cut_load import CutLoads
from loadtool.drive import (
    Drive,
    Heed,
    Measured,
    View,
    abort_watch,
    result_of,
    run_alone,
    stage_of,
)
from loadtool.engine.fleet import Fleet, default_workers, open_fleet
from loadtool.engine.standby import Standby
from loadtool.errors import Interrupted, OutputError, UsageError
from loadtool.judge.verdict import Verdict, judge
from loadtool.measure.result import FaultFigure, Result
from loadtool.measure.spike import CutLoadSteps
from loadtool.measure.tally import Tally
from loadtool.plan.overview import doubts_about
from loadtool.preparation import Load, Preparation, Prepared
from loadtool.profile.load import Loaded
from loadtool.report.result_file import RESULT_NAME, new_run_directory, prove_room, write_atomically
from loadtool.report.stage import Stage
from loadtool.signals import Aftermath, Ended

if TYPE_CHECKING:  # what most runs do not load
    from loadtool.report.exporter import Exporter

__all__ = ["Finished", "RunOptions", "View", "run_directory", "spike", "workers_for"]

RESULTS: Final = Path("loadtool-results")
PATIENCE_S: Final = 2.0  # for what goes on without a word


@dataclass(frozen=True, slots=True)
class RunOptions:
    workers: int | None = None  # default: one per usable core but one
    toxiproxy: str | None = None  # URL; wins over the profile's
    allow_hosts: tuple[str, ...] = ()
    out: Path | None = None  # directory of this run's files; default: a new one below RESULTS
    cut_load: bool = False  # go on with less load if the service does not come back
    cut_load_for_s: float | None = None  # at each rate; default: as long as recovery needs to be told
    standby: Standby | None = field(default=None, compare=False)  # workers that have been started already
    aftermath: Aftermath | None = field(default=None, compare=False)  # what a signal does after the run
    exporter: Exporter | None = None  # what answers Prometheus while the run lasts; closed by its end


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
        return run_alone(run.go, run.left)
    finally:
        if options.exporter is not None:
            options.exporter.close()


class _Run:
    """One run's state and its steps, in their order."""

    def __init__(self, load: Load, options: RunOptions, view: View) -> None:
        self._load = load
        self._options = options
        self._view = view
        self._preparation = Preparation(self._checked, options.toxiproxy, options.allow_hosts, view.notice)
        self._heed = Heed(view.notice, self._preparation.hurry, options.aftermath)

    async def go(self) -> Finished:
        exporter = self._options.exporter
        return await self._heed.during(self._go, *([exporter.serve] if exporter is not None else []))

    async def _go(self) -> Finished:
        started = datetime.now(UTC)
        loaded = self._checked(os.environ, pending=True)
        workers = workers_for(loaded, self._options.workers)
        directory = run_directory(self._options.out, started, loaded.profile.name)
        measured: Measured | None = None
        try:
            async with AsyncExitStack() as stack:
                with self._heed.idle:
                    prepared = await self._preparation.prepare(stack, loaded)
                    await self._tell_doubts(prepared)
                    after = await self._cut_loads(started, prepared, workers)
                    watch = await abort_watch(prepared.loaded, prepared.job)
                    job = prepared.job if after is None else after.job
                    fleet = await stack.enter_async_context(open_fleet(job, workers, self._options.standby))
                    self._heed.fleet = fleet
                if self._heed.fleet is None or self._heed.signal is not None:
                    raise Interrupted(self._heed.signal or signal.SIGINT)
                if (directory.path / RESULT_NAME).exists():
                    earlier = directory.path / RESULT_NAME
                    self._view.notice(f"{earlier} is of an earlier run; this one replaces it")
                drive = Drive(
                    prepared.loaded,
                    prepared.job,
                    workers,
                    self._view,
                    prepared.conductor,
                    prepared.prober,
                    after,
                    watch,
                )
                driven = await drive.run(fleet)
                if not fleet.begun:
                    raise Interrupted(self._heed.signal or signal.SIGINT)
                measured = driven
                beyond = _beyond(after, fleet)
                self._tell_exporter(prepared, measured, measured.tally if after is None else after.tally)
                await self._calm_down(prepared, measured)
        except BaseException:
            if measured is None:
                directory.remove_if_empty()
            raise
        finally:
            self._view.end()
        file = directory.path / RESULT_NAME
        with _patience(self._view.notice):
            with _Impatience(self._view.notice, file) as impatience:
                result = self._summed_up(started, prepared, measured, beyond)
                impatience.measured(result)
                verdict = _judged(result, file)
            return _written(result, verdict, directory)

    def _checked(self, environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
        """The profile. Raises UsageError if it is none for what is to be done with it."""
        loaded = self._load(environment, pending=pending)
        if self._options.cut_load:
            cut_load.check(loaded)
        return loaded

    async def _tell_doubts(self, prepared: Prepared) -> None:
        """Say what `loadtool plan` warns of, while there is time to end the run.

        In a thread, as a signal must be heard meanwhile.
        """
        doubts = partial(doubts_about, prepared.job, prepared.loaded)
        for doubt in await trio.to_thread.run_sync(doubts, abandon_on_cancel=True):
            self._view.notice(prepared.mask(f"warning: {doubt}"))

    async def _cut_loads(self, started: datetime, prepared: Prepared, workers: int) -> CutLoads | None:
        """The load that follows the planned one, as far as it has to; None if none is asked for."""
        if not self._options.cut_load:
            return None

        def planned(tally: Tally) -> Result:
            whole = Measured(prepared.job, workers, tally, 0.0, tally.timeline.duration_ns)
            return _result(started, prepared, whole)

        def begun(stage: Stage, why: str) -> None:
            was = stage_of(prepared.loaded, prepared.job)
            self._view.begin(replace(was, phases=stage.phases, curve=stage.curve))
            self._view.notice(why)

        # In a thread, as it draws the schedule: a signal must be heard meanwhile.
        make = partial(CutLoads, prepared.job, workers, self._options.cut_load_for_s, planned, begun)
        return await trio.to_thread.run_sync(make, abandon_on_cancel=True)

    def _tell_exporter(self, prepared: Prepared, measured: Measured, shown: Tally) -> None:
        """What the last frames have brought, which views are not told any more."""
        if self._options.exporter is not None:
            active = prepared.conductor.active() if prepared.conductor is not None else []
            self._options.exporter.observe(shown.snapshot(measured.end_ns), active)

    def left(self) -> list[str]:
        """What could not be taken back, for a run that has no report to say it in."""
        return [*self._preparation.problems, *self._preparation.warnings]

    async def _calm_down(self, prepared: Prepared, measured: Measured) -> None:
        """See whether the service came back: without its faults, and before its proxies go."""
        if prepared.prober is None or self._heed.signal is not None:
            return
        if prepared.conductor is not None:
            await prepared.conductor.end()
        await prepared.prober.finish(measured.origin)

    # After the load

    def _summed_up(
        self, started: datetime, prepared: Prepared, measured: Measured, beyond: list[CutLoadSteps]
    ) -> Result:
        """The run's result, not judged yet."""
        answers = prepared.prober.answers if prepared.prober is not None else []
        result = _result(started, prepared, measured)
        result.cut_load = beyond
        result.interrupted = self._heed.signal.name if self._heed.signal is not None else None
        result.interrupted_after_load = self._heed.after_load
        result.problems += self._preparation.problems
        result.warnings += self._preparation.warnings
        result.probes = [replace(p, detail=prepared.mask(p.detail)) for p in answers]
        return result


def _judged(result: Result, file: Path) -> Verdict:
    """The verdict. Whatever it fails with, what was measured is in the file."""
    try:
        return judge(result)
    except Ended:  # by a second signal, which has written it
        raise
    except BaseException as error:
        result.verdict, result.reasons = "invalid", ["it could not be judged"]
        try:
            write_atomically(result, file)
            error.add_note(f"what was measured is in {file}")
        except OutputError as e:
            error.add_note(str(e))
        raise


def _written(result: Result, verdict: Verdict, directory: RunDirectory) -> Finished:
    file = directory.path / RESULT_NAME
    try:
        write_atomically(result, file)
    except OutputError as e:
        directory.remove_if_empty()
        return Finished(result, verdict.exit_code or e.exit_code, directory.path, [], [e])
    return Finished(result, verdict.exit_code, directory.path, [file], [])


class _Impatience:
    """What a signal does while the figures are worked out: the first waits for them, the second does not.

    What was measured is then written without a verdict, and the process ends as the signal has it. A third
    ends it at once.
    """

    def __init__(self, notice: Callable[[str], None], file: Path) -> None:
        self._notice = notice
        self._file = file
        self._first = True
        self._last: signal.Signals | None = None
        self._result: Result | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def measured(self, result: Result) -> None:
        """It is all there but the verdict: from now on it can be written."""
        self._result = result
        if self._last is not None:
            self._end(result, self._last)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between two steps of whatever is worked out."""
        heard = signal.Signals(number)
        if self._first:
            self._first = False
            self._before[heard](number, frame)  # whose it is when the figures are there
            self._notice("interrupted: the figures are being worked out; once more ends that")
            return
        for other in self._before:
            signal.signal(other, signal.SIG_DFL)
        self._last = heard
        if self._result is not None:
            self._end(self._result, heard)

    def _end(self, result: Result, heard: signal.Signals) -> None:
        result.interrupted, result.interrupted_after_load = heard.name, True
        result.verdict = "interrupted"
        result.reasons = [f"interrupted by {heard.name} while its figures were worked out: it is not judged"]
        try:
            write_atomically(result, self._file)
            self._notice(f"what was measured is in {self._file}, not judged")
        except OutputError as e:
            self._notice(str(e))
        signal.raise_signal(heard)
        raise Ended(heard)  # the first process of a container does not die of it


@contextmanager
def _patience(notice: Callable[[str], None]) -> Iterator[None]:
    """Say what goes on in this block if it takes long, as after a run of days.

    The first signal waits meanwhile: a result that was measured for so long is judged and written first.
    """
    said = threading.Timer(PATIENCE_S, notice, ("working out the figures",))
    said.daemon = True
    with suppress(RuntimeError):  # no thread is to be had: then nothing is said, and nothing lost
        said.start()
    try:
        yield
    finally:
        said.cancel()


def _result(started: datetime, prepared: Prepared, measured: Measured) -> Result:
    """What was measured and done, not judged yet, without what is asked at the end."""
    result = result_of(prepared.loaded, measured, started.isoformat(timespec="milliseconds"))
    result.engine.toxiproxy = prepared.toxiproxy
    if prepared.conductor is not None:
        result.faults = [_masked(f, prepared.mask) for f in prepared.conductor.figures()]
    return result


def _beyond(after: CutLoads | None, fleet: Fleet) -> list[CutLoadSteps]:
    """What was sent beyond the planned end, up to when it was stopped."""
    if after is None:
        return []
    return after.measured(after.duration_ns if fleet.stop_ns is None else fleet.stop_ns - fleet.start_ns)


def workers_for(loaded: Loaded, wanted: int | None) -> int:
    """How many workers the load gets. Raises UsageError for more than there are connections to share out."""
    connections = loaded.profile.client.connections.max
    workers = wanted or default_workers(connections)
    if workers > connections:
        raise UsageError(
            f"--workers: got {workers}, want at most one per connection (client.connections: {connections})"
        )
    return workers


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where a run's files go. `made`: the directories that were not there before the run, innermost first."""

    path: Path
    made: tuple[Path, ...]

    def remove_if_empty(self) -> None:
        """A run that never began leaves no trace, and what the user had made stays."""
        for directory in self.made:
            try:
                directory.rmdir()
            except OSError:
                return


def run_directory(out: Path | None, started: datetime, name: str) -> RunDirectory:
    """The directory for a run's files: `out`, proven writable, or a new one below RESULTS.

    Raises UsageError if nothing can be written there.
    """
    if out is None:
        directory = new_run_directory(RESULTS, started, name)
        return RunDirectory(directory, (directory,))
    try:
        made = tuple(place for place in (out, *out.parents) if not place.exists())
        out.mkdir(parents=True, exist_ok=True)
        prove_room(out)
    except OSError as e:
        raise UsageError(f"--out: got {out}, want a directory that can be written: {e.strerror}") from e
    return RunDirectory(out, made)


def _masked(fault: FaultFigure, mask: Callable[[str], str]) -> FaultFigure:
    text, problem, output = mask(fault.text), mask(fault.problem), mask(fault.output)
    return replace(fault, text=text, problem=problem, output=output)
