"""A stop, whenever it comes, and how long a worker may take to end. Stand-ins for workers, virtual time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
import trio
from engine_harness import OK_ANSWER, SECOND, answering, job_for, serving
from trio.testing import MockClock

from loadtool.engine import fleet as fleet_module
from loadtool.engine.fleet import END_GRACE_NS, SILENT_WATCHES, WATCH_S, Fleet, Lost
from loadtool.engine.standby import start_worker
from loadtool.measure.frame import Frame, encode
from loadtool.plan.wire import job_to_json
from loadtool.processes import Child

GRACE_S = END_GRACE_NS / SECOND


class VirtualTime:
    @staticmethod
    def monotonic_ns() -> int:
        return round(trio.current_time() * SECOND)


@pytest.fixture
def clock(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> MockClock:
    monkeypatch.setattr(fleet_module, "time", VirtualTime)
    return autojump_clock


class StandIn:
    """A worker whose frames come at these times, the last of which is final; then it is silent."""

    def __init__(self, times: Sequence[float] = (), *, final: bool = True) -> None:
        self.told: list[dict[str, int]] = []
        self.killed_s: float | None = None
        self.stdin = self
        self.on_told: Callable[[], Awaitable[None]] | None = None
        self.on_wait: Callable[[], None] | None = None
        self._frames = [
            (at, encode(Frame(0, n, round(at * SECOND), [], final=final and n == len(times) - 1)))
            for n, at in enumerate(times)
        ]
        self._buffer = bytearray()

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(json.loads(data))
        if self.on_told is not None:
            await self.on_told()

    async def peek(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if self.killed_s is not None:
                raise EOFError
            if self.on_wait is not None:
                self.on_wait()
            if not self._frames:
                await trio.sleep_forever()
            await trio.sleep_until(self._frames[0][0])
            self._buffer += self._frames.pop(0)[1]
        return bytes(self._buffer[:size])

    def take(self, size: int) -> None:
        del self._buffer[:size]

    def kill(self) -> None:
        self.killed_s = self.killed_s or trio.current_time()

    async def see_end(self) -> None:
        pass

    def last_words(self) -> str:
        return "killed by SIGKILL"


def fleet_of(*workers: StandIn) -> Fleet:
    return Fleet(job_for(9), [cast(Child, worker) for worker in workers], 0)


async def frames_of(fleet: Fleet, duration_s: float, *, stop_s: float | None = None) -> list[Frame | Lost]:
    async def stop(at: float) -> None:
        await trio.sleep_until(at)
        await fleet.stop()

    async with trio.open_nursery() as nursery:
        await nursery.start(fleet.run, round(duration_s * SECOND))
        if stop_s is not None:
            nursery.start_soon(stop, stop_s)
        return [item async for item in fleet.frames()]


async def test_after_a_stop_no_worker_is_started_and_none_is_lost(clock: MockClock) -> None:
    worker = StandIn([1.0])
    fleet = fleet_of(worker)
    await fleet.stop()
    assert await frames_of(fleet, 60) == []
    assert worker.told == []
    assert fleet.start_ns == fleet.stop_ns


async def test_a_stop_amid_the_start_is_told_after_it(clock: MockClock) -> None:
    """One that heard of the stop first would end at once, without a frame, and so be lost."""
    workers = [StandIn([1.0]), StandIn([1.0])]
    fleet = fleet_of(*workers)
    workers[0].on_told = fleet.stop
    items = await frames_of(fleet, 60)
    assert all(isinstance(item, Frame) for item in items)
    for worker in workers:
        assert worker.told == [{"start_ns": fleet.start_ns}, {"stop_ns": fleet.stop_ns}]


@pytest.mark.usefixtures("transport")
async def test_a_worker_heeds_a_stop_that_it_reads_together_with_its_start() -> None:
    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=200, rate=100)
        worker = start_worker(0)
        items: list[Any] = []
        try:
            with trio.fail_after(100):
                hello = {"worker": 0, "workers": 1, "job": job_to_json(job)}
                await worker.stdin.send_all(json.dumps(hello).encode() + b"\n")
                assert "ready" in json.loads(await worker.read_line(90))
                start_ns = fleet_module.time.monotonic_ns()
                both = b'{"start_ns": %d}\n{"stop_ns": %d}\n' % (start_ns, start_ns)
                await worker.stdin.send_all(both)
                while not items or not items[-1].final:
                    items.append(await fleet_module._next_frame(worker))
        finally:
            await worker.stop()
    assert sum(cell.scheduled for frame in items for cell in frame.cells) == 0


async def test_a_worker_that_still_reports_is_let_end_however_long_it_takes(clock: MockClock) -> None:
    """Its reports come a little later than they are looked for."""
    times = [n * (WATCH_S + 0.002) for n in range(1, 61)]
    worker = StandIn(times)
    items = await frames_of(fleet_of(worker), 60, stop_s=1.5)
    assert times[-1] > 1.5 + GRACE_S
    assert [item.sequence for item in items if isinstance(item, Frame)] == list(range(60))
    assert worker.killed_s is None


@pytest.mark.parametrize("last_s", [1.5, 30.0])
async def test_a_worker_that_falls_silent_is_killed_in_the_end(clock: MockClock, last_s: float) -> None:
    times = [1.0, *(n / 2 for n in range(3, round(2 * last_s) + 1))]
    worker = StandIn(times, final=False)
    items = await frames_of(fleet_of(worker), 60, stop_s=1.25)
    assert items[-1] == Lost(0, "killed by SIGKILL")
    assert len(items) == len(times) + 1
    due = max(1.25 + GRACE_S, last_s + SILENT_WATCHES * WATCH_S)
    assert worker.killed_s is not None
    assert due <= worker.killed_s <= due + 2 * WATCH_S


async def test_no_worker_is_lost_because_the_coordinator_stood_still(clock: MockClock) -> None:
    worker = StandIn([1.0, 1000.25])
    stalls = [999.0]  # from the first look after the stop on

    def stall() -> None:
        if stalls and trio.current_time() >= 1.0:
            clock.jump(stalls.pop())

    worker.on_wait = stall
    items = await frames_of(fleet_of(worker), 60, stop_s=0.5)
    assert [type(item) for item in items] == [Frame, Frame]
    assert worker.killed_s is None
    assert stalls == []
