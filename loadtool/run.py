"""One run, start to finish: the only place that wires the rooms together.

Everything that a run needs is opened in one stack of contexts and closed again in reverse order, however the
run ends. The first Ctrl-C or SIGTERM ends the load early, with the full report of what was measured; the
second does not wait for the workers any more. Faults come out either way.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import trio

import loadtool
from loadtool.chaos.conductor import Conductor
from loadtool.chaos.control import Control
from loadtool.chaos.fault import planned_faults, proxy_specs
from loadtool.chaos.journal import Journal
from loadtool.chaos.probe import HttpProbe, Prober
from loadtool.chaos.source import open_toxiproxy
from loadtool.engine.build import compiled
from loadtool.engine.fleet import Fleet, Lost, default_workers, open_fleet, usable_cores
from loadtool.engine.hosts import check_host
from loadtool.errors import Interrupted, OutputError, SetupError, UsageError, lone
from loadtool.judge.slo import judge_cells
from loadtool.judge.verdict import judge
from loadtool.measure.result import Engine, Result, SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.job import Endpoint, Job
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.preparation import DemoService, demo_service, run_command, wait_until_it_answers
from loadtool.profile.load import Loaded
from loadtool.report.result_file import RESULT_NAME, new_run_directory, write_atomically
from loadtool.report.stage import Bar, Stage

RESULTS: Final = Path("loadtool-results")
VIEW_EVERY_S: Final = 0.25
SLOS_EVERY_S: Final = 1.0
CURVE_SAMPLES: Final = 400
DEMO_STORE: Final = "demo.store"


class Load(Protocol):
    """Loads the profile; `pending`: what its setup commands will print need not be there yet."""

    def __call__(self, environment: Mapping[str, str], *, pending: bool = False) -> Loaded: ...


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
    try:
        return trio.run(_Run(load, options, view).go)
    except BaseExceptionGroup as group:
        raise lone(group) from group


@dataclass(slots=True)
class _Measured:
    """What is left of a run when its load has ended."""

    tally: Tally
    end_ns: int
    problems: list[str] = field(default_factory=list)


class _Run:
    """One run's state and its steps, in their order."""

    def __init__(self, load: Load, options: RunOptions, view: View) -> None:
        self._load = load
        self._options = options
        self._view = view
        self._environment = dict(os.environ)
        self._preparing = trio.CancelScope()
        self._fleet: Fleet | None = None
        self._signal: signal.Signals | None = None
        self._origin_toxiproxy: str | None = None
        self._conductor: Conductor | None = None
        self._prober: Prober | None = None
        self._problems: list[str] = []

    async def go(self) -> Finished:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
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
            else:
                self._fleet.kill()

    async def _go(self) -> Finished:
        started = datetime.now(UTC)
        loaded = self._load(self._environment, pending=True)
        workers = self._options.workers or default_workers(loaded.profile.client.connections)
        if workers > loaded.profile.client.connections:
            raise UsageError(
                f"--workers: got {workers}, want at most one per connection "
                f"(client.connections: {loaded.profile.client.connections})"
            )
        directory = self._directory(started, loaded)
        measured: _Measured | None = None
        try:
            async with AsyncExitStack() as stack:
                with self._preparing:
                    loaded, job = await self._prepare(stack, loaded)
                    fleet = await stack.enter_async_context(open_fleet(job, workers))
                    self._fleet = fleet
                if self._fleet is None or self._signal is not None:
                    raise Interrupted(self._signal or signal.SIGINT)
                measured = await self._measure(fleet, job, loaded, workers)
                if self._conductor is not None:
                    self._view.notice("taking the faults out")
                    await self._conductor.teardown()
        except BaseException:
            if measured is None:
                _remove_if_empty(directory)
            raise
        finally:
            self._view.end()
        return self._finish(started, loaded, job, workers, directory, measured)

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

    # Before the load

    async def _prepare(self, stack: AsyncExitStack, loaded: Loaded) -> tuple[Loaded, Job]:
        if loaded.profile.teardown:
            stack.push_async_callback(self._tear_down, loaded)
        for command in loaded.profile.setup:
            self._view.notice(f"setup: {command if isinstance(command, str) else ' '.join(command)}")
            self._environment |= await run_command(command, loaded.directory, self._environment)
        if loaded.profile.setup:
            loaded = self._load(self._environment)
        profile = loaded.profile
        demo: DemoService | None = None
        if profile.target == "demo":
            demo = await stack.enter_async_context(demo_service(profile.seed))
            self._prober = Prober([HttpProbe("store", f"{demo.url}/health/store")])
        url = demo.url if demo is not None else profile.target
        endpoint = endpoint_of(url)
        await check_host(endpoint.host, endpoint.port, (*profile.allow_hosts, *self._options.allow_hosts))
        job = build_job(loaded, endpoint=endpoint, nonce=secrets.token_hex(8))
        if profile.proxies:
            endpoint = await self._open_proxies(stack, loaded, job, endpoint, demo)
            job = replace(job, endpoint=endpoint)
        if profile.wait_for is not None:
            self._view.notice(f"waiting for {profile.wait_for.get} to answer")
            ready = f"{url.rstrip('/')}/{profile.wait_for.get.lstrip('/')}"
            await wait_until_it_answers(ready, profile.wait_for.up_to)
        return loaded, job

    async def _open_proxies(
        self, stack: AsyncExitStack, loaded: Loaded, job: Job, endpoint: Endpoint, demo: DemoService | None
    ) -> Endpoint:
        """Open the profile's proxies; returns the endpoint, moved behind the front proxy if there is one."""
        profile = loaded.profile
        url = self._options.toxiproxy or profile.toxiproxy
        control: Control = await stack.enter_async_context(open_toxiproxy(url, seed=profile.seed))
        self._origin_toxiproxy = control.origin
        places = {"target": f"{_bracketed(endpoint.host)}:{endpoint.port}"}
        if demo is not None:
            places[DEMO_STORE] = demo.store
        faults = planned_faults(profile, Timeline.of(job))
        run_id = secrets.token_hex(4)
        journal = None if control.owned else stack.enter_context(Journal(control.url, run_id))
        specs = proxy_specs(profile, places)
        conductor = Conductor(control, specs, faults, journal, lambda event: None, run_id)
        stack.push_async_callback(conductor.teardown)
        self._conductor = conductor
        listens = await conductor.open_proxies()
        for name, p in profile.proxies.items():
            if p.upstream == DEMO_STORE and demo is not None:
                await demo.reach_store_at(listens[name])
            elif p.upstream == "target":
                host, port = _split(listens[name])
                if host in ("", "0.0.0.0", "::"):  # as that server sees it: all of its addresses
                    host = urlsplit(control.url).hostname or host
                endpoint = replace(endpoint, host=host, port=port)
        return endpoint

    async def _tear_down(self, loaded: Loaded) -> None:
        with trio.CancelScope(shield=True):
            for command in loaded.profile.teardown:
                try:
                    await run_command(command, loaded.directory, self._environment)
                except SetupError as e:
                    self._problems.append(f"teardown: {e}")

    # The load

    async def _measure(self, fleet: Fleet, job: Job, loaded: Loaded, workers: int) -> _Measured:
        timeline = Timeline.of(job)
        tally = Tally(timeline, [r.name for r in job.requests], workers)
        lost: dict[int, str] = {}
        self._view.begin(_stage(loaded, timeline))
        async with trio.open_nursery() as nursery:
            start_ns: int = await nursery.start(fleet.run, timeline.duration_ns)
            origin = trio.current_time() + (start_ns - time.monotonic_ns()) / 1e9
            if self._conductor is not None:
                nursery.start_soon(self._conductor.run, origin)
            if self._prober is not None:
                nursery.start_soon(self._prober.run, origin)
            nursery.start_soon(self._show, tally, loaded, origin)
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
        measured = _Measured(tally, max(end_ns, 0))
        schedule = Schedule(job)
        for worker, how in sorted(lost.items()):
            due = schedule.counts_by_segment_and_request(end_ns, worker, workers)
            n = tally.lose(worker, due)
            measured.problems.append(f"worker {worker + 1} was lost ({how}) and {n} arrivals with it")
        measured.problems += [f"the figures do not add up: {v}" for v in tally.conservation()]
        return measured

    async def _show(self, tally: Tally, loaded: Loaded, origin: float) -> None:
        """Keep the view up to date until cancelled."""
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
            active = self._conductor.active() if self._conductor is not None else []
            self._view.update(tally.snapshot(elapsed_ns), active, slos)

    # After the load

    def _finish(
        self,
        started: datetime,
        loaded: Loaded,
        job: Job,
        workers: int,
        directory: Path,
        measured: _Measured,
    ) -> Finished:
        profile = loaded.profile
        engine = Engine(
            workers=workers,
            compiled=compiled(),
            transport="http1",
            cores=usable_cores(),
            toxiproxy=self._origin_toxiproxy,
        )
        conductor = self._conductor
        result = Result(
            loadtool=loadtool.__version__,
            started=started.isoformat(timespec="milliseconds"),
            seed=profile.seed,
            profile=loaded.normalised(),
            profile_file=loaded.file,
            engine=engine,
            elapsed_s=measured.end_ns / 1e9,
            good_within_ms=job.good_within_ns / 1e6,
            interrupted=self._signal.name if self._signal is not None else None,
            problems=[
                *measured.problems,
                *(conductor.problems() if conductor is not None else []),
                *self._problems,
            ],
            faults=conductor.figures() if conductor is not None else [],
            probes=self._prober.answers if self._prober is not None else [],
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


def _stage(loaded: Loaded, timeline: Timeline) -> Stage:
    step = max(1, timeline.duration_ns // CURVE_SAMPLES)
    return Stage(
        name=loaded.profile.name,
        target=loaded.secrets.mask(loaded.profile.target),
        phases=tuple(Bar(s.name, s.start_ns / 1e9, s.end_ns / 1e9) for s in timeline.spans),
        faults=tuple(Bar(f.name, f.start_ns / 1e9, f.end_ns / 1e9) for f in timeline.faults),
        curve=tuple((ns / 1e9, timeline.rate_at(ns)) for ns in range(0, timeline.duration_ns, step)),
        slos=tuple(slo.text for slo in loaded.slos),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _remove_if_empty(directory: Path) -> None:
    """A run that never began leaves no trace."""
    try:
        directory.rmdir()
    except OSError:
        return
