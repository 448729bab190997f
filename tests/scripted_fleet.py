"""Workers that are none: what they report, and when, is known beforehand."""

from __future__ import annotations

import time
from collections.abc import Sequence

import trio

from loadtool.engine.fleet import Fleet, Lost
from loadtool.measure.frame import Frame
from loadtool.plan.job import Job
from loadtool.units import SECOND

Said = list[tuple[float, Frame | Lost]]


class ScriptedFleet(Fleet):
    """Workers that say this at its times, in s of the load, until they are stopped."""

    def __init__(self, job: Job, said: Said) -> None:
        super().__init__(job, [], 0)
        self.duration_ns: int | None = None  # of the load, as it was told
        self.stopped_s: float | None = None
        self._said = sorted(said, key=lambda both: both[0])
        self._origin = 0.0

    async def run(self, duration_ns: int, *, task_status: trio.TaskStatus[int]) -> None:
        self.duration_ns = duration_ns
        self.start_ns = time.monotonic_ns()
        self.begun = True
        task_status.started(self.start_ns)
        self._origin = trio.current_time()
        async with self._send:
            for at, item in self._said:
                await trio.sleep_until(self._origin + at)
                if self.stop_ns is not None:
                    return
                self._send.send_nowait(item)

    async def stop(self) -> None:
        await super().stop()
        self.stopped_s = trio.current_time() - self._origin


def reported(frames: Sequence[Frame]) -> Said:
    """Each of these when it is due."""
    return [(frame.elapsed_ns / SECOND, frame) for frame in frames]
