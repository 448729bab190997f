"""Workers as processes: shares that add up, lost ones, stops, and none that outlives its coordinator."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    Server,
    answering,
    free_port,
    job_for,
    read_request,
    serving,
    with_time_enough,
)

from loadtool.engine import fleet as fleet_module
from loadtool.engine.fleet import Fleet, Lost, default_workers, open_fleet, start_delay_ns, usable_cores
from loadtool.errors import SetupError, lone
from loadtool.measure.frame import Frame
from loadtool.measure.outcome import CONNECT, H_LAG, H_OK, H_SERVICE, OUTCOMES
from loadtool.measure.tally import Tally
from loadtool.plan.job import Job, PhaseSpec
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline

Meddle = Callable[[Fleet, Frame | Lost], None]


async def collect(job: Job, workers: int, meddle: Meddle | None = None) -> tuple[Tally, list[Lost]]:
    """Run a fleet to its end; `meddle` sees each frame as it comes."""
    timeline = Timeline.of(job)
    tally = Tally(timeline, [r.name for r in job.requests], workers)
    lost: list[Lost] = []
    with trio.fail_after(60):
        async with open_fleet(job, workers) as fleet, trio.open_nursery() as nursery:
            await nursery.start(fleet.run, timeline.duration_ns)
            async for item in fleet.frames():
                if isinstance(item, Lost):
                    lost.append(item)
                else:
                    tally.add(item)
                if meddle is not None:
                    meddle(fleet, item)
            stopped = fleet.stop_ns
    if stopped is None:
        for item in lost:
            due = Schedule(job).counts_by_segment_and_request(None, item.worker, workers)
            tally.lose(item.worker, due)
    return tally, lost


def outcomes(tally: Tally) -> dict[str, int]:
    return {name: n for name, n in zip(OUTCOMES, tally.totals.counts, strict=True) if n}


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_workers_share_the_arrivals_and_lose_none(workers: int) -> None:
    with serving(answering(OK_ANSWER)) as server:
        job = replace(job_for(server.port, count=301, rate=300), arrivals="poisson")
        tally, lost = await collect(job, workers)
    assert lost == []
    assert outcomes(tally) == {"ok": Schedule(job).count()}
    assert tally.conservation() == []
    assert {w for w, books in tally.by_worker.items() if books.owed} == set(range(workers))


async def test_a_look_at_the_clock_never_costs_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader wakes up every now and then to see whether a worker is overdue."""
    monkeypatch.setattr(fleet_module, "WATCH_S", 0.0005)
    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=400, rate=100)
        tally, lost = await collect(job, 2)
    assert lost == []
    assert outcomes(tally) == {"ok": 400}


async def test_what_a_killed_worker_owed_is_lost_and_the_others_go_on() -> None:
    told = 0  # by worker 1, of its share of 300

    def kill_one(fleet: Fleet, item: Frame | Lost) -> None:
        nonlocal told
        if isinstance(item, Frame) and item.worker == 1:
            before, told = told, told + sum(sum(cell.counts) for cell in item.cells)
            if before < 40 <= told:
                os.kill(fleet.pids[1], signal.SIGKILL)

    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=600, rate=100)
        tally, lost = await collect(job, 2, kill_one)
    assert [(item.worker, item.how) for item in lost] == [(1, "killed by SIGKILL")]
    found = outcomes(tally)
    assert found["ok"] + found["lost"] == 600
    assert found["lost"] == 300 - told
    assert tally.conservation() == []


async def test_a_target_that_is_restarted_in_mid_run_loses_no_arrival() -> None:
    """It is gone with all its connections after the first second, and back once its absence is told of.

    The pause is for what was late: by its end the target is back.
    """
    phases = (
        PhaseSpec("spike", "spike", 200.0, 4 * SECOND),
        PhaseSpec("pause", "recovery", 0.001, 3 * SECOND),
        PhaseSpec("after", "recovery", 200.0, SECOND),
    )
    port = free_port()
    server: Server | None = Server(answering(OK_ANSWER), port=port)
    times = 0  # that it was closed

    def restart(fleet: Fleet, item: Frame | Lost) -> None:
        nonlocal server, times
        if server is not None and times == 0:
            server.close()
            server, times = None, 1
        elif server is None and isinstance(item, Frame) and any(c.counts[CONNECT] for c in item.cells):
            server = Server(answering(OK_ANSWER), port=port)

    job = job_for(port, phases=phases)
    count = Schedule(job).count()
    try:
        tally, lost = await collect(job, 2, restart)
    finally:
        if server is not None:
            server.close()
    assert lost == []
    found = outcomes(tally)
    assert found.keys() <= {"ok", "connect", "reset"}
    assert found["connect"] >= 1
    assert sum(found.values()) == count
    assert tally.conservation(count) == []
    assert tally.by_slice[7].counts[0] == tally.by_slice[7].scheduled == 200


async def test_a_stop_ends_all_workers_at_once() -> None:
    stops = []

    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=60_000, rate=1000)
        timeline = Timeline.of(job)
        tally = Tally(timeline, ["get"], 2)
        with trio.fail_after(30):
            async with open_fleet(job, 2) as fleet, trio.open_nursery() as nursery:
                await nursery.start(fleet.run, timeline.duration_ns)
                async for item in fleet.frames():
                    assert isinstance(item, Frame)
                    tally.add(item)
                    if not stops:
                        stops.append(1)
                        await fleet.stop()
    assert all(worker.last is not None and worker.last.final for worker in tally.by_worker.values())
    found = outcomes(tally)
    assert found.keys() <= {"ok", "aborted"}
    assert sum(found.values()) < 30_000
    assert tally.conservation() == []


async def test_a_name_that_does_not_resolve_is_said_before_the_start() -> None:
    job = job_for(80, host="no-such-host.invalid")
    with pytest.raises(SetupError, match=r"^cannot resolve no-such-host\.invalid: "):
        async with open_fleet(job, 1):
            pass


async def test_workers_are_gone_when_the_block_is_left_by_an_exception() -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with open_fleet(job_for(9), 2) as fleet:
            pids.extend(fleet.pids)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


COORDINATOR = """
import sys, trio
from loadtool.engine import fleet as fleet_module
from loadtool.engine.fleet import open_fleet
from loadtool.plan.wire import job_from_json

async def main():
    async with open_fleet(job_from_json(sys.argv[1]), 2) as fleet, trio.open_nursery() as nursery:
        await nursery.start(fleet.run, 60_000_000_000)
        print(*fleet.pids, flush=True)
        async for frame in fleet.frames():
            pass

trio.run(main)
"""


def test_workers_do_not_outlive_a_killed_coordinator() -> None:
    from loadtool.plan.wire import job_to_json

    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=60_000, rate=1000)
        argv = [sys.executable, "-c", COORDINATOR, job_to_json(job)]
        coordinator = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert coordinator.stdout is not None
        pids = [int(pid) for pid in coordinator.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(gone(pid) for pid in pids)
        coordinator.kill()
        coordinator.wait()
        coordinator.stdout.close()
        give_up = time.monotonic() + 30
        while not all(gone(pid) for pid in pids):
            assert time.monotonic() < give_up, "a worker lives on"
            time.sleep(0.01)


async def test_a_stopped_worker_says_so_as_lag_and_not_as_the_targets_fault() -> None:
    """Frozen for a while in mid-run, then continued: what was due meanwhile shows it in full, as lag."""

    def freeze(fleet: Fleet, item: Frame | Lost) -> None:
        if isinstance(item, Frame) and item.sequence == 0:
            os.kill(fleet.pids[0], signal.SIGSTOP)
            time.sleep(0.5)
            os.kill(fleet.pids[0], signal.SIGCONT)

    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=1600, rate=200)
        tally, lost = await collect(job, 1, freeze)
    assert lost == []
    assert outcomes(tally) == {"ok": 1600}
    books = tally.by_stretch[(0, 0)]
    lag, response, service = (books.histogram(code) for code in (H_LAG, H_OK, H_SERVICE))
    # 100 of the arrivals were due in the half second: their lag runs evenly up to its length.
    assert lag.max_us >= 450_000
    assert lag.count_above(100_000) >= 70
    assert response.count_above(100_000) >= 70
    assert service.quantile(0.5) < 100_000


@pytest.mark.parametrize(
    ("rate", "batch", "workers", "delay_ms"),
    [
        (0.001, 1, 1, 50.025),  # as the mean is less than one: a batch of one
        (100, 1, 1, 52.5),
        (1_000, 1, 1, 75),
        (1_000, 1, 2, 62.5),
        (4_000, 1, 1, 150),
        (100_000, 1, 1, 150),
        (10, 2_000, 1, 100),  # all at once, and perhaps at the first instant
        (10, 2_000, 4, 62.5),
    ],
)
def test_what_a_load_has_to_prepare_it_has_time_for(
    rate: float, batch: int, workers: int, delay_ms: float
) -> None:
    phases = (PhaseSpec("baseline", "baseline", rate, 2 * SECOND, batch=batch),)
    job = replace(job_for(9), phases=phases)
    assert start_delay_ns(job, workers) == pytest.approx(delay_ms * 1e6, rel=1e-9)


async def test_the_delay_of_the_start_counts_from_when_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """To work it out takes a while for a job of many faults, on a clock that is virtual here."""
    now_ns = 10 * SECOND

    def slowly(job: Job, workers: int) -> int:
        nonlocal now_ns
        now_ns += SECOND
        return 50 * MS

    monkeypatch.setattr(fleet_module, "start_delay_ns", slowly)
    fleet = Fleet(job_for(9), [], 0)
    async with trio.open_nursery() as nursery:
        with monkeypatch.context() as patch:
            patch.setattr(fleet_module, "time", SimpleNamespace(monotonic_ns=lambda: now_ns))
            start_ns = await nursery.start(fleet.run, 0)
    assert start_ns - now_ns == 50 * MS


async def test_a_job_without_a_schedule_is_refused_before_its_start() -> None:
    """A worker makes its schedule before it says that it is ready, as there is little time later on."""
    with pytest.raises(SetupError, match="arrivals: got tidal, want one of constant, poisson"):
        async with open_fleet(replace(job_for(9), arrivals="tidal"), 1):
            raise AssertionError("it is said to be ready")


def test_cores_and_workers() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert default_workers(1) == 1
    assert 1 <= default_workers(1000) <= max(1, usable_cores() - 1)


def test_an_exception_group_stands_for_its_first_error_that_is_ours() -> None:
    ours = SetupError("x")
    group = BaseExceptionGroup("", [ValueError("y"), BaseExceptionGroup("", [ours])])
    assert lone(group) is ours
    assert isinstance(lone(BaseExceptionGroup("", [ValueError("y")])), ValueError)


async def test_a_server_that_never_answers_does_not_keep_the_fleet() -> None:
    def silent(sock: socket.socket) -> None:
        while read_request(sock):
            pass

    async def attempt(timeout_ms: int) -> None:
        with serving(silent) as server:
            tally, _ = await collect(job_for(server.port, count=20, timeout_ns=timeout_ms * MS), 2)
        assert outcomes(tally) == {"timeout": 20}

    await with_time_enough(attempt, 250, 2_500, 10_000)
