"""The search for a target's capacity: one preparation, and a load of its own for each step.

The target (the embedded demo included), proxies and what `setup:` has started stay the same all along. Faults
are left out, and so are proxies before the target, which only they need.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trio

import loadtool
from loadtool.drive import Drive, Heed, Silent, View, result_of, run_alone
from loadtool.engine.build import compiled
from loadtool.engine.fleet import open_fleet, usable_cores
from loadtool.errors import Interrupted, LoadtoolError, Mistake, OutputError, ProfileError, UsageError, lone
from loadtool.judge.capacity import Found, Hunt, Purpose, Trial, Tried, beyond, next_step
from loadtool.judge.capacity_result import CAPACITY_NAME, Capacity, conclude
from loadtool.judge.capacity_slos import LeftOut, on_the_whole, slos_for
from loadtool.judge.capacity_step import HOLD, Step, foretold_s, hold_s, lengths_s, step_of
from loadtool.measure.result import Engine
from loadtool.plan.job import Job, PhaseSpec
from loadtool.plan.timeline import slice_width
from loadtool.preparation import Load, Preparation, Prepared
from loadtool.profile.load import Loaded
from loadtool.profile.slo import Slo
from loadtool.report import capacity_notices, figures
from loadtool.report.result_file import write_text_atomically
from loadtool.run import RunDirectory, run_directory, workers_for
from loadtool.signals import Aftermath
from loadtool.units import SECOND

HIGHEST: Final = 100_000.0  # arrivals/s, unless --max says otherwise
CALM_SHARE: Final = 0.2  # of the first rate: what asks whether the service is well again
LEAST_CALM: Final = 5.0  # arrivals/s
CALM_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """Rates in arrivals/s, times in s. `start`: None: the baseline's rate."""

    start: float | None = None
    most: float | None = None
    precision: float = 0.02
    step_s: float = 10.0
    confirm_s: float = 30.0
    settle_s: float = 60.0  # how long a service may take to come back after a step that was too much
    workers: int | None = None
    toxiproxy: str | None = None
    allow_hosts: tuple[str, ...] = ()
    out: Path | None = None  # directory of capacity.json; default: a new one below RESULTS
    aftermath: Aftermath | None = field(default=None, compare=False)  # what a signal does after the search


@dataclass(frozen=True, slots=True)
class Searched:
    capacity: Capacity
    exit_code: int
    files: list[Path]
    failures: list[OutputError]  # what could not be written


def capacity(load: Load, options: Options, view: View) -> Searched:
    """Search for the capacity of the profile's target, and write capacity.json.

    Raises UsageError before anything is sent, Interrupted if a signal came before the first step, and other
    LoadtoolErrors if they came before its end: later ones end the search, and are among its reasons.
    """
    search = _Search(load, options, view)
    return run_alone(search.go, search.left)


class _Search:
    """The state of one search."""

    def __init__(self, load: Load, options: Options, view: View) -> None:
        self._load = load
        self._options = options
        self._view = view
        self._preparation = Preparation(self._stripped, options.toxiproxy, options.allow_hosts, view.notice)
        self._heed = Heed(view.notice, self._preparation.hurry, options.aftermath)
        self._steps: list[Step] = []
        self._tried: list[Tried] = []
        self._found: Found | None = None  # where the search came to its end; the curve beyond may lack
        self._sending: float | None = None  # arrivals/s of the load that goes on
        self._runs = 0  # loads so far: each has a seed of its own
        self._lacked = False  # our own Toxiproxy something, since the service was last seen to be well
        self._began = 0.0
        self._warnings: dict[str, None] = {}  # of all loads, each once

    def left(self) -> list[str]:
        """What could not be taken back."""
        return [*self._preparation.problems, *self._preparation.warnings]

    async def go(self) -> Searched:
        return await self._heed.during(self._go)

    async def _go(self) -> Searched:
        started = datetime.now(UTC)
        whole = self._load(os.environ, pending=True)
        loaded, left_out = strip(whole)
        self._hunt = hunt_of(loaded, self._options)
        self._make_room(loaded.slos)
        self._workers = workers_for(loaded, self._options.workers)
        directory = run_directory(self._options.out, started, f"{loaded.profile.name}-capacity")
        try:
            return await self._into(directory, self._empty(started, loaded, left_out), loaded)
        finally:
            directory.remove_if_empty()  # whatever came of it

    async def _into(self, directory: RunDirectory, capacity: Capacity, loaded: Loaded) -> Searched:
        """Search, fill in what was found, and write it to the directory."""
        self._foretell(loaded.slos)
        verdict = ""
        errors: list[str] = []
        try:
            async with AsyncExitStack() as stack:
                with self._heed.idle:
                    prepared = await self._preparation.prepare(stack, loaded)
                    capacity.good_within_ms = prepared.job.good_within_ns / 1e6
                    capacity.engine.transport = prepared.job.transport
                    self._began = trio.current_time()
                    try:
                        verdict = await self._search(prepared)
                    finally:
                        capacity.elapsed_s = round(trio.current_time() - self._began, 3)
        except (LoadtoolError, BaseExceptionGroup) as e:
            error = lone(e) if isinstance(e, BaseExceptionGroup) else e
            if not self._steps or not isinstance(error, LoadtoolError):
                raise
            # What was measured stands. A load that can't be sent is the generator's limit, not the target's.
            verdict = verdict or ("generator" if self._found is None else self._found.ending)
            at = "" if self._sending is None else f"at {figures.rate(self._sending)}: "
            errors = [at + prepared.mask(str(error))]
        finally:
            self._view.end()
        if self._heed.signal is not None:
            if not self._steps:
                raise Interrupted(self._heed.signal or signal.SIGINT)
            capacity.interrupted = self._heed.signal.name
            verdict = "interrupted"
        capacity.steps = self._steps
        conclude(capacity, self._found, verdict)
        more = [*errors, *self._warnings, *self.left()]
        capacity.reasons += [text for text in more if not any(text in r for r in capacity.reasons)]
        file = directory.path / CAPACITY_NAME
        try:
            write_text_atomically(capacity.text(), file)
        except OutputError as e:
            return Searched(capacity, capacity.exit_code or e.exit_code, [], [e])
        return Searched(capacity, capacity.exit_code, [file], [])

    def _stripped(self, environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
        return strip(self._load(environment, pending=pending))[0]

    def _empty(self, started: datetime, loaded: Loaded, left_out: list[LeftOut]) -> Capacity:
        profile, options = loaded.profile, self._options
        return Capacity(
            loadtool=loadtool.__version__,
            started=started.isoformat(timespec="milliseconds"),
            name=profile.name,
            target=loaded.secrets.mask(profile.target),
            profile_file=loaded.file,
            seed=profile.seed,
            engine=Engine(workers=self._workers, compiled=compiled(), cores=usable_cores()),
            good_within_ms=0.0,
            slos=[slo.text for slo in loaded.slos],
            left_out=left_out,
            precision=options.precision,
            step_s=options.step_s,
            confirm_s=options.confirm_s,
            most_per_s=self._hunt.most,
        )

    def _make_room(self, slos: Sequence[Slo]) -> None:
        """Hold no rate for less than the longest window, and say so."""
        asked = self._options
        step_s, confirm_s = (lengths_s(s, slos)[1] for s in (asked.step_s, asked.confirm_s))
        self._options = replace(asked, step_s=step_s, confirm_s=confirm_s)
        for option, was, now in (
            ("--hold", asked.step_s, step_s), ("--confirm-for", asked.confirm_s, confirm_s),
        ):  # fmt: skip
            if now > was:
                self._view.notice(f"{option} is {now:g} s, not {was:g} s: the longest window of an SLO")

    def _foretell(self, slos: Sequence[Slo]) -> None:
        """How long it will take, before anything is sent."""
        o, hunt = self._options, self._hunt
        usual, most = foretold_s(hunt, o.step_s, o.confirm_s, slos)
        self._view.notice(
            f"looking for the capacity from {figures.rate(hunt.start)} to {figures.rate(hunt.most)}: usually "
            f"about {figures.clock(usual)}, at most about {figures.clock(most)}, and what the service takes "
            "to come back; Ctrl-C gives what is known by then"
        )

    # The steps

    async def _search(self, prepared: Prepared) -> str:
        """Steps until the search ends, and the curve beyond; its verdict, which may be why it did not end."""
        loaded = prepared.loaded
        self._like = prepared.job.phases[base_of(loaded)]
        while True:
            if self._heed.signal is not None:
                return "interrupted"
            step = next_step(self._hunt, self._tried)
            if isinstance(step, Found):
                break
            seconds = self._options.confirm_s if step.long else self._options.step_s
            done = await self._step(prepared, step, hold_s(step.rate, seconds, loaded.slos, long=step.long))
            if done.outcome == "cut":
                return "interrupted"
            self._tried.append(Tried(step, done.outcome == "holds", done.outcome == "late"))
            if not (done.answered or self._lacked or any(t.holds for t in self._tried)):
                return "no-answer"
            if done.outcome != "holds" and not await self._settle(prepared, done):
                why = "generator" if self._lacked else "down"
                return why if self._heed.signal is None else "interrupted"
        self._found = step
        settled = True
        for trial in beyond(self._hunt, step):
            if not settled and not await self._settle(prepared, done):
                break  # how it fares at still more is not known, but the knee is
            done = await self._step(prepared, trial, self._options.step_s)
            if done.outcome == "cut":
                return "interrupted"
            settled = done.outcome == "holds"
        return step.ending

    async def _step(self, prepared: Prepared, trial: Trial, seconds: float) -> Step:
        number = len(self._steps) + 1
        warm_s, seconds = lengths_s(seconds, prepared.loaded.slos)
        self._view.notice(capacity_notices.begins(number, trial, seconds))
        warm = replace(self._hold(trial.rate, warm_s), name="warmup", role="warmup")
        phases = (warm, self._hold(trial.rate, seconds))
        done = await self._drive(prepared, phases, trial.purpose, trial.rate, self._view)
        self._steps.append(done)
        self._view.notice(capacity_notices.over(number, done))
        return done

    async def _settle(self, prepared: Prepared, after: Step) -> bool:
        """Wait until the service is well again at a low rate; False if it is not in time."""
        rate = min(self._hunt.start, max(CALM_SHARE * self._hunt.start, LEAST_CALM), after.rate_per_s)
        calm = replace(self._hold(rate, CALM_S), process="constant", burst_on_ns=0, burst_off_ns=0, batch=1)
        # So short a look holds no window: what goes for each of them goes for all of it.
        prepared = replace(prepared, loaded=_with_slos(prepared.loaded, on_the_whole(prepared.loaded.slos)))
        give_up = trio.current_time() + self._options.settle_s
        self._view.notice(f"waiting until the service is well again, asked at {figures.rate(rate)}")
        while True:
            done = await self._drive(prepared, (calm,), "repeat", rate, Silent())
            if self._heed.signal is not None:
                return False
            if done.answered and not done.failed:
                self._lacked = False
                return True
            if trio.current_time() >= give_up:
                self._view.notice(f"the service did not come back within {self._options.settle_s:g} s")
                return False

    async def _drive(
        self, prepared: Prepared, phases: tuple[PhaseSpec, ...], purpose: Purpose, rate: float, view: View
    ) -> Step:
        began = trio.current_time() - self._began
        self._sending = rate
        job = self._job(prepared.job, phases)
        loaded = prepared.loaded
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        async with open_fleet(job, self._workers) as fleet:
            self._heed.fleet = fleet
            try:
                measured = await Drive(loaded, job, self._workers, view).run(fleet)
            finally:
                self._heed.fleet = None
        result = result_of(loaded, measured, started)
        self._warnings |= dict.fromkeys(result.warnings)
        lacked = prepared.shortages()
        result.problems += lacked
        self._lacked |= bool(lacked)
        step = step_of(result, purpose, rate, began, cut=self._heed.signal is not None)
        self._sending = None
        return step

    def _job(self, job: Job, phases: tuple[PhaseSpec, ...]) -> Job:
        self._runs += 1
        return replace(
            job,
            seed=job.seed + self._runs - 1,
            phases=phases,
            faults=(),
            client=replace(job.client, reconnect_ns=()),
            slice_ns=slice_width(sum(phase.for_ns for phase in phases)),
        )

    def _hold(self, rate: float, seconds: float) -> PhaseSpec:
        """The phase that counts; its arrivals are spread as the profile's baseline has them."""
        return replace(
            self._like,
            name=HOLD,
            role="baseline",
            rate=rate,
            for_ns=round(seconds * SECOND),
            ramp_ns=0,
            double_every_ns=0,
        )


def strip(loaded: Loaded) -> tuple[Loaded, list[LeftOut]]:
    """The profile as steps need it: SLOs without their phases, no faults, no proxies before the target.

    Raises ProfileError if no SLO is left, if rows are for single use, or for a replay.
    """
    profile = loaded.profile
    if profile.replay is not None:
        message = "the recorded requests have their own rate; the search needs `requests` to send at any rate"
        raise ProfileError([Mistake(loaded.file, loaded.line_of("replay"), "replay", message)])
    mistakes = [
        Mistake(
            loaded.file,
            loaded.line_of("data", name, "order") or loaded.line_of("data", name),
            f"data.{name}",
            "order: once gives each row away once, and every step would begin anew; "
            f"want --set data.{name}.order=cycle",
        )
        for name, source in profile.data.items()
        if source.order == "once"
    ]
    slos, left_out = slos_for(loaded.slos, {fault.name for fault in profile.faults})
    if not slos:
        why = (
            "none that can be judged at a constant rate "
            f"({'; '.join(f'{left.text}: {left.why}' for left in left_out)})"
            if left_out
            else "none"
        )
        message = f"got {why}, want at least one such as p95 < 250ms or error rate < 1%"
        mistakes.append(Mistake(loaded.file, loaded.line_of("slos"), "slos", message))
    if mistakes:
        raise ProfileError(mistakes)
    stripped = profile.model_copy(
        update={
            "faults": (),
            "proxies": {n: p for n, p in profile.proxies.items() if p.upstream != "target"},
        }
    )
    masked = {path: text for path, text in loaded.masked.items() if path[0] not in ("slos", "faults")}
    return _with_slos(replace(loaded, profile=stripped, moments={}, masked=masked), slos), left_out


def _with_slos(loaded: Loaded, slos: Iterable[Slo]) -> Loaded:
    slos = tuple(slos)
    profile = loaded.profile.model_copy(update={"slos": tuple(slo.text for slo in slos)})
    return replace(loaded, profile=profile, slos=slos)


def base_of(loaded: Loaded) -> int:
    """Which phase the steps are like: the first with the role baseline, else the first of all."""
    phases = loaded.profile.phases
    return next((i for i, phase in enumerate(phases) if phase.role == "baseline"), 0)


def hunt_of(loaded: Loaded, options: Options) -> Hunt:
    """The bounds of the search. Raises UsageError for a start above the highest rate, or none to start at."""
    start = options.start
    if start is None:
        start = loaded.profile.phases[base_of(loaded)].rate
        if not start:
            raise UsageError(
                "--start: missing: the profile's baseline has a rate of 0; want one such as 50/s"
            )
        if options.most is not None:
            start = min(start, options.most)
    most = options.most if options.most is not None else max(HIGHEST, start)
    if start > most:
        raise UsageError(
            f"--start: got {figures.rate(start)}, want at most {figures.rate(most)}, which is --max"
        )
    return Hunt(start, most, options.precision)
