"""How long an `undo` may take: on a clock that jumps, with commands that are real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from chaos_world import S, a_file, files, text_of
from test_placement import eventually, has_begun
from trio.testing import MockClock, wait_all_tasks_blocked

from loadtool.chaos import rollback
from loadtool.chaos.conductor import Conductor
from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change, Journal, entries
from loadtool.chaos.placement import UNDO_S
from loadtool.chaos.rollback import recover


async def test_an_undo_has_the_loads_time_and_is_not_begun_again(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    undo, lasts = "echo x >> begun; sleep 600", str(tmp_path)
    with Journal("", "r1", tmp_path / "j") as journal:
        faults = [
            PlannedFault("slow", "…", "", None, 0, S, run="true", undo=undo, directory=lasts),
            PlannedFault("other", "…", "", None, 7200 * S, 9000 * S, run="true", directory=lasts),
        ]
        conductor = Conductor(None, {}, faults, journal, lambda event: None, "r1")
        load = trio.CancelScope()

        async def play() -> None:
            with load:
                await conductor.run(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play)
            await eventually(has_begun(conductor))
            slow_clock.jump(1)
            await eventually(lambda: tmp_path / "begun" in files(tmp_path))
            slow_clock.jump(7200)
            await eventually(lambda: conductor.figures()[1].started_s is not None)
            assert conductor.active() == ["slow", "other"]
            load.cancel()
            await wait_all_tasks_blocked()
            slow_clock.jump(UNDO_S - 5)  # five minutes of real time are left
            await wait_all_tasks_blocked()
            assert "slow" in conductor.active()
            slow_clock.jump(5)
        await conductor.end()
        await conductor.teardown()
    slow, other = conductor.figures()
    assert slow.problem.startswith(
        f"could not be undone: the command {undo!r} was ended 15 s after the load, 72"
    )
    assert slow.problem.endswith(f"to undo it by hand: (cd {tmp_path} && {undo})")
    assert (slow.removed, slow.ended_s, other.removed) == (False, None, True)
    assert conductor.problems() == [f"fault slow {slow.problem}"]
    assert text_of(tmp_path / "begun") == "x\n"
    (entry,) = entries(tmp_path / "j")
    assert [change.undo for change in entry.changes] == [undo]


async def test_an_undo_that_begins_after_the_load_has_its_own_time(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    undo = "echo x >> begun; sleep 600"
    fault = PlannedFault("c", "…", "", None, 0, 9 * S, run="true", undo=undo, directory=str(tmp_path))
    conductor = Conductor(None, {}, [fault], None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(has_begun(conductor))
        nursery.cancel_scope.cancel()
    slow_clock.jump(1000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.end)
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        slow_clock.jump(UNDO_S)
    await conductor.teardown()
    assert conductor.problems() == [
        f"the command of fault loadtool-r1-c was not undone: the command {undo!r} took longer than 15 s;"
        f" to undo it by hand: (cd {tmp_path} && {undo})"
    ]
    assert text_of(tmp_path / "begun") == "x\n"


async def test_recovery_waits_for_an_undo_for_minutes(tmp_path: Path, slow_clock: MockClock) -> None:
    undo = "touch begun; while [ ! -e go ]; do sleep 0.02; done"
    with Journal("", "r1", tmp_path / "j") as journal:
        journal.record(Change("run", toxic="c", undo=undo, directory=str(tmp_path)))
    told: list[str] = []

    async def run_recovery() -> None:
        await recover(None, tmp_path / "j", on_long=told.append)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_recovery)
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        assert told == []
        slow_clock.jump(3)
        await eventually(lambda: bool(told))
        slow_clock.jump(rollback.LONGEST_UNDO_S - 10)
        await wait_all_tasks_blocked()
        a_file(tmp_path / "go")
    assert told == [f"(cd {tmp_path} && {undo})"]
    assert entries(tmp_path / "j") == []


async def test_a_recovery_is_not_held_up_for_ever_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after it, in its journal and in others, is taken back; it is told of, and kept."""
    monkeypatch.setattr(rollback, "LONGEST_UNDO_S", 0.1)
    endless, quick = (
        Change("run", toxic=name, undo=undo, directory=str(tmp_path))
        for name, undo in (("a", "sleep 300"), ("b", "touch back"))
    )
    for name, change in (("r1", endless), ("r2", quick)):
        with Journal("", name, tmp_path / "state") as journal:
            journal.record(change)
    first, second = await recover(directory=tmp_path / "state")
    assert "took longer than" in first.problems[0]
    assert (tmp_path / "back").exists()
    assert second.problems == ()
    (entry,) = entries(tmp_path / "state")
    assert entry.changes == (endless,)


async def test_an_end_is_that_of_its_own_fault_and_not_of_the_slowest_undo(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    directory = str(tmp_path)
    faults = [
        PlannedFault("quick", "…", "", None, 0, 9 * S, run="true", undo="true", directory=directory),
        PlannedFault("slow", "…", "", None, 0, 9 * S, run="true", undo="sleep 600", directory=directory),
    ]
    conductor = Conductor(None, {}, faults, None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(lambda: len(conductor.active()) == 2)
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.end)
        await eventually(lambda: conductor.active() == ["slow"])
        slow_clock.jump(UNDO_S)
    quick, slow = conductor.figures()
    assert quick.ended_s is not None
    assert quick.ended_s < 9
    assert slow.ended_s is None


async def test_what_another_recovery_is_taking_back_is_not_told_as_gone(tmp_path: Path) -> None:
    undo = "touch begun; while [ ! -e go ]; do sleep 0.02; done"
    state = tmp_path / "j"
    with Journal("", "r1", state) as journal:
        journal.record(Change("run", toxic="c", undo=undo, directory=str(tmp_path)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recover, None, state)
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        (second,) = await recover(directory=state)
        (seen,) = await rollback.status(state)
        assert await recover(directory=state, commands=False) == []  # as a run that begins asks
        a_file(tmp_path / "go")
    assert second.problems == (f"process {os.getpid()} is taking it out: ask again once it has ended",)
    assert (seen.entry.alive, seen.entry.recovered_by) == (False, os.getpid())
    assert await recover(directory=state) == []


async def test_a_second_recovery_runs_no_command_that_the_first_one_has_run(tmp_path: Path) -> None:
    """The first takes back one of two; the other's is mended, and the second takes that back alone."""
    directory, state = str(tmp_path), tmp_path / "j"
    with Journal("", "r1", state) as journal:
        journal.record(Change("run", toxic="a", undo="echo x >> a", directory=directory))
        journal.record(Change("run", toxic="b", undo="test -e mended", directory=directory))
    (first,) = await recover(directory=state)
    a_file(tmp_path / "mended")
    (second,) = await recover(directory=state)
    assert [[change.toxic for change in recovery.undone] for recovery in (first, second)] == [["a"], ["b"]]
    assert text_of(tmp_path / "a") == "x\n"
    assert entries(state) == []
