"""Fleet: the coordinator's side of the workers."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from loadtool.engine.standby import Standby, default_workers, start_worker, usable_cores
from loadtool.errors import SetupError
from loadtool.measure.frame import PREFIX_BYTES, Frame, decode, lengths
from loadtool.plan.job import Job
from loadtool.plan.retries import longest_ns
from loadtool.plan.timeline import Timeline
from loadtool.plan.wire import job_to_json
from loadtool.processes import Child
from loadtool.units import SECOND

__all__ = ["Fleet", "Lost", "default_workers", "open_fleet", "usable_cores"]

READY_S: Final = 30.0
# From the command to start until time zero: for the command to reach every worker (2 ms, if nothing is in the
# way), and for their feeds to fill, by what there is to prepare and at most to the brim.
REACH_NS: Final = 50_000_000
PREPARE_NS: Final = 25_000  # an arrival, its request rendered from a template
LONGEST_DELAY_NS: Final = 150_000_000
WATCH_S: Final = 1.0
# How long after its end, or the stop, a worker may take for its last frame: slow machines are slow, frozen
# workers lost. One that still reports is at work on its books, so it must have been silent for some watches,
# too. They are counted, not timed: this process may have stood still itself.
END_GRACE_NS: Final = 20_000_000_000
SILENT_WATCHES: Final = 5


@dataclass(slots=True)
class Lost:
    """A worker that ended before its last frame."""

    worker: int
    how: str


class Fleet:
    """Running workers. Use `open_fleet`."""

    def __init__(self, job: Job, children: list[Child], patience_ns: int) -> None:
        self.addresses: list[str] = []  # what the target's name means to the workers
        self.start_ns = 0
        self.stop_ns: int | None = None
        self.begun = False  # every worker knows when to start, so that it can be told to stop
        self.over = False  # every worker has sent its last frame or was lost
        self._job = job
        self._children = children
        self._patience_ns = patience_ns
        self._send, self._receive = trio.open_memory_channel[Frame | Lost](math.inf)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._children]

    async def prepare(self) -> None:
        """Give every worker its job. Raises SetupError if one can't do it."""
        text = job_to_json(self._job)
        for number, child in enumerate(self._children):
            hello = {"worker": number, "workers": len(self._children), "job": text}
            await _tell(child, hello)
        for child in self._children:
            answer = json.loads(await child.read_line(READY_S))
            if "error" in answer:
                raise SetupError(answer["error"])
            self.addresses = answer["ready"]

    async def run(self, duration_ns: int, *, task_status: trio.TaskStatus[int]) -> None:
        """Start all workers at one instant (the task status: monotonic ns) and read their frames to the end.

        A worker that says nothing long after it should have ended is killed, and so lost. After a stop none
        is started, and so none is lost.
        """
        if self.stop_ns is not None:
            self._send.close()
            self.start_ns = self.stop_ns
            task_status.started(self.start_ns)
            return
        # Before the clock is read: to work it out takes a while where there are many fault windows.
        delay_ns = start_delay_ns(self._job, len(self._children))
        self.start_ns = time.monotonic_ns() + delay_ns
        for child in self._children:
            await _tell(child, {"start_ns": self.start_ns})
        self.begun = True
        await self._tell_stop()  # it may have come meanwhile
        task_status.started(self.start_ns)
        async with self._send:
            async with trio.open_nursery() as nursery:
                for number, child in enumerate(self._children):
                    nursery.start_soon(self._read, number, child, duration_ns)
            self.over = True  # before the frames end: whoever reads them cancels this then

    async def frames(self) -> AsyncIterator[Frame | Lost]:
        """Every worker's frames as they come, until each has sent its last or was lost."""
        async for item in self._receive:
            yield item

    async def stop(self) -> None:
        """End the run now: arrivals due from now on are not sent, the others are aborted."""
        if self.stop_ns is None:
            self.stop_ns = time.monotonic_ns()
            await self._tell_stop()

    async def _tell_stop(self) -> None:
        """To workers that have their start: one that hears of the stop first ends without a frame."""
        if self.begun and self.stop_ns is not None:
            for child in self._children:
                await _tell(child, {"stop_ns": self.stop_ns})

    def kill(self) -> None:
        """Do not wait for the workers any more: what they have not reported is lost."""
        for child in self._children:
            child.kill()

    def _deadline(self, duration_ns: int) -> int:
        if self.stop_ns is not None:
            return self.stop_ns + END_GRACE_NS
        return self.start_ns + duration_ns + self._patience_ns + END_GRACE_NS

    async def _read(self, number: int, child: Child, duration_ns: int) -> None:
        silent = 0
        while True:
            try:
                with trio.move_on_after(WATCH_S) as watch:
                    frame = await _next_frame(child)
                    # Not `await send`: between taking a frame and passing it on, nothing may be cancelled.
                    self._send.send_nowait(frame)
                    if frame.final:
                        return
            except EOFError:
                await child.see_end()
                self._lose(number, child, child.last_words())
                return
            except ValueError as e:
                self._lose(number, child, f"it sent {e}")
                return
            silent = silent + 1 if watch.cancelled_caught else 0
            if silent >= SILENT_WATCHES and time.monotonic_ns() > self._deadline(duration_ns):
                child.kill()  # the end of its pipe then comes as EOFError

    def _lose(self, number: int, child: Child, how: str) -> None:
        child.kill()
        self._send.send_nowait(Lost(number, how))


def start_delay_ns(job: Job, workers: int) -> int:
    """How long before its time zero a load is started: the busier its first second, the longer."""
    soon = max(Timeline.of(job).offered_by(SECOND), *(phase.batch for phase in job.phases))
    return min(REACH_NS + round(soon / workers) * PREPARE_NS, LONGEST_DELAY_NS)


async def _next_frame(child: Child) -> Frame:
    # Cancelled between two reads, it loses nothing: peek first, take when everything is there.
    header, numbers = lengths(await child.peek(PREFIX_BYTES))
    data = await child.peek(PREFIX_BYTES + header + numbers)
    frame = decode(data[PREFIX_BYTES : PREFIX_BYTES + header], data[PREFIX_BYTES + header :])
    child.take(len(data))
    return frame


async def _tell(child: Child, command: object) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        # One that has ended is told by what it says next, or by the end of its frames.
        await child.stdin.send_all(json.dumps(command).encode() + b"\n")


@asynccontextmanager
async def open_fleet(job: Job, workers: int, standby: Standby | None = None) -> AsyncIterator[Fleet]:
    """Workers that are ready to start. They are gone when the block ends, however it ends.

    `standby`: where workers wait already; those that are too many there are ended. Raises SetupError if one
    of them does not get ready.
    """
    children: list[Child] = []
    patience_ns = longest_ns(job.client)
    try:
        if standby is not None:
            children += standby.take(workers)
            await standby.dismiss()
        for number in range(len(children), workers):
            children.append(start_worker(number))
        fleet = Fleet(job, children, patience_ns)
        await fleet.prepare()
        yield fleet
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for child in children:
                    nursery.start_soon(child.stop)
