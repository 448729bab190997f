"""A run of the real fleet against the truth server, and what the server's log says about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import trio

from loadtool import __version__
from loadtool.engine.fleet import Lost, open_fleet
from loadtool.judge.verdict import judge
from loadtool.measure.frame import Frame
from loadtool.measure.result import Engine, PhaseFigures, Result
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline
from loadtool.processes import Child
from loadtool.profile.load import Loaded, load_profile

HERE = Path(__file__).resolve().parent
SECOND = 1_000_000_000
MS = 1_000_000


def prefer(*pids: int) -> bool:
    """Let these go before whatever else this machine is busy with, if we may; whether we may.

    Real time, because a nicer value does not help against another session's processes (autogroups).
    """
    try:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        return False
    return True


@contextmanager
def awake() -> Iterator[None]:
    """Keep the cores that we may use from going to sleep; see truth_wakeful.py."""
    argv = [sys.executable, "-I", "-S", str(HERE / "truth_wakeful.py")]
    argv += [str(core) for core in sorted(os.sched_getaffinity(0))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise ChildProcessError(f"truth_wakeful.py ended at once: exit code {process.wait()}")
            yield
        finally:
            process.stdin.close()


class Answer(NamedTuple):
    """One line of the server's log. Times are ns of CLOCK_MONOTONIC."""

    number: int
    received: int  # the kernel had it, and the server was not stopped
    noticed: int
    due: int
    sent: int


class TruthServer:
    """A running truth server; see truth_server.py."""

    def __init__(self, child: Child, port: int) -> None:
        self.port = port
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    async def answered(self, number: int) -> None:
        """Wait until it has answered so many."""
        for _ in range(3000):
            if len(await self.log()) >= number:
                return
            await trio.sleep(0.02)
        raise TimeoutError(f"the server has not answered {number} requests in a minute")

    async def log(self) -> list[Answer]:
        """What it has answered so far."""
        await self._child.stdin.send_all(b"log\n")
        number = int(await self._child.read_line(30))
        data = await self._child.peek(number * 40)
        self._child.take(len(data))
        values = array("q", data)
        return [Answer(*values[at : at + 5]) for at in range(0, len(values), 5)]


@asynccontextmanager
async def truth_server(
    service: Sequence[object], *, seed: int = 1, together: int = 0
) -> AsyncIterator[TruthServer]:
    """A server of its own process until the block ends; for the arguments see truth_server.Server."""
    options = json.dumps({"service": list(service), "seed": seed, "together": together})
    child = Child("the truth server", [sys.executable, "-I", str(HERE / "truth_server.py"), options])
    prefer(child.pid)
    try:
        yield TruthServer(child, json.loads(await child.read_line(30))["port"])
    finally:
        await child.stop()


@dataclass(frozen=True, slots=True)
class Freeze:
    """Who is frozen, and when in the run: these processes, or so many workers. Times in s from its start."""

    at: float
    length: float
    pids: tuple[int, ...] = ()
    workers: int | None = None  # the first so many; None: all


@dataclass(slots=True)
class Measured:
    """A run that has ended. Instants are ns of CLOCK_MONOTONIC."""

    start_ns: int
    due: list[int]  # by number of the arrival
    tally: Tally
    frames: list[Frame]
    result: Result
    stopped: list[int] = field(default_factory=list)  # before and after the signal; see truth_freezer.py
    continued: list[int] = field(default_factory=list)

    def phase(self, name: str) -> PhaseFigures:
        (found,) = (p for p in self.result.phases if p.name == name)
        return found


async def run_profile(
    text: str, *, workers: int = 1, freeze: Freeze | None = None, preferred: bool = True
) -> Measured:
    """Run a profile through the fleet and judge it, as `loadtool spike` does.

    `{{ row.n }}` in it is the number of the arrival, which the server's log then has. `preferred`: whether
    the workers go before whatever else the machine is busy with; not for those that never rest.
    """
    loaded = load(text)
    job = job_of(loaded)
    schedule, timeline = Schedule(job), Timeline.of(job)
    tally = Tally(timeline, [r.name for r in job.requests], workers)
    frames: list[Frame] = []
    frozen: dict[str, list[int]] = {}

    async def freezing(start_ns: int, pids: Sequence[int]) -> None:
        assert freeze is not None
        begin = start_ns + round(freeze.at * SECOND)
        numbers = [begin, begin + round(freeze.length * SECOND), *(freeze.pids or pids[: freeze.workers])]
        done = await trio.run_process(
            [sys.executable, "-I", "-S", str(HERE / "truth_freezer.py"), *map(str, numbers)],
            capture_stdout=True,
        )
        frozen.update(json.loads(done.stdout))

    async with open_fleet(job, workers) as fleet, trio.open_nursery() as nursery:
        if preferred:
            prefer(*fleet.pids)
        start_ns: int = await nursery.start(fleet.run, timeline.duration_ns)
        if freeze is not None:
            nursery.start_soon(freezing, start_ns, fleet.pids)
        async for item in fleet.frames():
            assert not isinstance(item, Lost), f"worker {item.worker} was lost: {item.how}"
            frames.append(item)
            tally.add(item)
    assert tally.conservation(schedule.count()) == []
    result = Result(
        loadtool=__version__,
        started="",
        seed=job.seed,
        profile=loaded.normalised(),
        profile_file=loaded.file,
        engine=Engine(workers=workers),
        elapsed_s=timeline.duration_ns / SECOND,
        good_within_ms=job.good_within_ns / MS,
        slo_lines=[slo.line for slo in loaded.slos],
    )
    result_parts(tally, timeline.duration_ns, loaded.profile.validity.lag / MS).put_into(result)
    judge(result)
    due = [start_ns + ns for batch in schedule.batches() for ns in batch.due]
    return Measured(start_ns, due, tally, frames, result, **frozen)


def load(text: str) -> Loaded:
    """This profile, with a feeder that numbers its arrivals if it uses one."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "truth.yaml"
        if "row.n" not in text:
            file.write_text(text)
            return load_profile(file, environment={})
        file.write_text(f"{text}\ndata: {{row: numbers.csv}}\n")
        numbers = file.with_name("numbers.csv")
        numbers.write_text("n\n0\n")
        count = Schedule(job_of(load_profile(file, environment={}))).count()
        numbers.write_text("n\n" + "".join(f"{n}\n" for n in range(count)))
        return load_profile(file, environment={})


def job_of(loaded: Loaded) -> Job:
    return build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
