"""Standby: workers that are started before anybody knows what for.

A worker takes as long to load its modules as the coordinator takes for its own and the profile. Side by side,
on two cores, both are there at once. Until it gets a job a worker does nothing but wait for one on its stdin,
and the end of that ends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from loadtool.engine.quota import quota_cores
from loadtool.processes import Child, python


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    quota = quota_cores()
    return max(1, min(cores, int(quota))) if quota is not None else max(1, cores)


def default_workers(connections: int | None = None) -> int:
    """One per usable core but one, at least one; never more than there are connections to share out."""
    workers = max(1, usable_cores() - 1)
    return workers if connections is None else max(1, min(workers, connections))


def start_worker(number: int) -> Child:
    """The process of the worker with this number, from 0, waiting for its job. Raises SetupError."""
    return Child(f"worker {number + 1}", python("loadtool.engine.worker"))


class Standby:
    """Workers without a job. Use `stand_by`."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    @property
    def pids(self) -> list[int]:
        """Of those that were not taken."""
        return [child.pid for child in self._children]

    def start(self, workers: int) -> None:
        """Raises SetupError if one can't be started."""
        for number in range(workers):
            self._children.append(start_worker(number))

    def take(self, workers: int) -> list[Child]:
        """The first of them, at most so many. Whoever takes them ends them."""
        taken, self._children = self._children[:workers], self._children[workers:]
        return taken

    async def dismiss(self) -> None:
        """End those that were not taken."""
        children, self._children = self._children, []
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for child in children:
                    nursery.start_soon(child.stop)


@contextmanager
def stand_by(wanted: int | None) -> Iterator[Standby]:
    """Workers for a run that is still being prepared; not for use inside trio. Raises SetupError.

    As many as are `wanted`, by default one per usable core but one, and no more than there are cores: that a
    number is beyond reason is said before processes are made of it. Those that nobody took are gone when the
    block ends, however it ends.
    """
    standby = Standby()
    try:
        standby.start(min(wanted or default_workers(), usable_cores()))
        yield standby
    finally:
        if standby.pids:
            trio.run(standby.dismiss)
