"""The conductor and its journal: written before each change, and found out before the load if it can't be."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import pytest
import trio
from chaos_world import World, a_file, down, files, latency
from fake_control import URL, FakeControl
from trio.testing import MockClock

from loadtool.chaos.journal import Change, Journal, entries
from loadtool.errors import FaultError


async def test_the_journal_is_written_before_each_change(autojump_clock: MockClock, tmp_path: Path) -> None:
    journal = Journal(URL, "r1", tmp_path)
    world = World(latency("slow", 1, 2), down("cut", 3, 4), existing=True, journal=journal)
    seen: list[tuple[str, tuple[Change, ...]]] = []
    plain = FakeControl._call

    async def spy(self: FakeControl, what: str) -> None:
        (entry,) = entries(tmp_path)
        assert entry.alive
        seen.append((what.split()[0], entry.changes))
        await plain(self, what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeControl, "_call", spy)
        await world.run()
    toxic, cut = Change("toxic", "postgres", "loadtool-r1-slow"), Change("down", "postgres")
    assert seen == [("add", (toxic,)), ("remove", (toxic,)), ("disable", (cut,)), ("enable", (cut,))]
    assert files(tmp_path) == []


async def test_without_a_journal_nothing_is_changed(autojump_clock: MockClock, tmp_path: Path) -> None:
    a_file(tmp_path / "file")
    world = World(latency("slow", 1, 2), existing=True, journal=Journal(URL, "r1", tmp_path / "file"))
    with pytest.raises(FaultError, match=r"^cannot write the journal .*/file/r1\.journal: "):
        await world.run()
    world = World(latency("slow", 1, 2), existing=True, journal=Journal(URL, "r1", Path("/proc/nowhere")))
    with pytest.raises(FaultError, match=r"^cannot write the journal /proc/nowhere/r1\.journal: "):
        await world.run()
    assert world.server.calls == []
    assert world.conductor.problems() == []


async def test_a_disk_that_fills_up_is_said_at_the_fault(autojump_clock: MockClock, tmp_path: Path) -> None:
    journal = Journal(URL, "r1", tmp_path)
    world = World(latency("slow", 1, 2), existing=True, journal=journal)
    await world.conductor.open_proxies()
    journal._file = FileIO("/dev/full", "w")
    await world.conductor.run(trio.current_time())
    await world.teardown()
    assert world.server.calls == []
    (problem,) = world.conductor.problems()
    assert problem.startswith(f"fault slow could not be placed: cannot write the journal {tmp_path}")
