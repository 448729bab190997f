"""What faults do while they are in place: ramps on virtual time, commands on the real clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from chaos_world import STORE, S, World, files, text_of
from trio.testing import MockClock

from loadtool.chaos.conductor import Conductor
from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change, Journal, entries
from loadtool.chaos.rollback import recover
from loadtool.profile.toxics import RAMPED, TOXICS

# Ramps


def ramped(toxic: str, attributes: dict[str, int], ramp: float, end: float = 10) -> PlannedFault:
    return PlannedFault(
        "r", "…", "store", toxic, 1 * S, int(end * S), attributes=attributes, ramp_ns=int(ramp * S)
    )  # fmt: skip


async def test_a_ramp_moves_attributes_in_place_and_no_connection_drops(autojump_clock: MockClock) -> None:
    world = World(ramped("latency", {"latency": 200, "jitter": 3}, 0.5, end=3))
    await world.run()
    name = f"{STORE} loadtool-r1-r"
    assert world.server.calls[:7] == [
        (1.0, f"add {name} latency {{'latency': 0, 'jitter': 0}} downstream 1"),
        (1.1, f"update {name} {{'latency': 40, 'jitter': 1}}"),
        (1.2, f"update {name} {{'latency': 80, 'jitter': 1}}"),
        (1.3, f"update {name} {{'latency': 120, 'jitter': 2}}"),
        (1.4, f"update {name} {{'latency': 160, 'jitter': 2}}"),
        (1.5, f"update {name} {{'latency': 200, 'jitter': 3}}"),
        (3.0, f"remove {name}"),
    ]
    assert world.conductor.problems() == []


async def test_a_ramp_that_is_longer_than_its_fault_ends_with_it(autojump_clock: MockClock) -> None:
    world = World(ramped("bandwidth", {"rate": 4000}, 100, end=1.25))
    await world.run()
    name = f"{STORE} loadtool-r1-r"
    assert world.server.calls[:5] == [
        (1.0, f"add {name} bandwidth {{'rate': 1}} downstream 1"),
        (1.1, f"update {name} {{'rate': 4}}"),
        (1.2, f"update {name} {{'rate': 8}}"),
        (1.25, f"remove {name}"),
        (1.25, f"disable {STORE}"),
    ]


@pytest.mark.parametrize(
    ("toxic", "attributes", "ramp", "steps"),
    [
        ("latency", {"latency": 100}, 5.0, [1, 2, 3, 4, 5]),  # ten times as long as what is held back
        ("latency", {"latency": 40, "jitter": 10}, 4.5, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]),
        ("latency", {"latency": 300}, 0.8, [0.16, 0.32, 0.48, 0.64, 0.8]),  # as long as five allow
        ("latency", {"latency": 5000}, 0.25, [0.1, 0.2, 0.25]),
        ("bandwidth", {"rate": 1000}, 0.3, [0.1, 0.2, 0.3]),
        ("bandwidth", {"rate": 100}, 6.0, [1.2, 2.4, 3.6, 4.8, 6.0]),  # 328 ms for what it reads at a time
        ("bandwidth", {"rate": 2048}, 0.8, [0.16, 0.32, 0.48, 0.64, 0.8]),
        ("slow_close", {"delay": 500}, 6.0, [1.2, 2.4, 3.6, 4.8, 6.0]),
        ("slow_close", {"delay": 50}, 3.0, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
        ("slicer", {"average_size": 1000, "delay": 10_000}, 6.0, [1.2, 2.4, 3.6, 4.8, 6.0]),
        ("slicer", {"average_size": 32_768, "delay": 50_000}, 3.0, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
    ],
)
async def test_steps_are_few_where_much_is_held_back(
    autojump_clock: MockClock, toxic: str, attributes: dict[str, int], ramp: float, steps: list[float]
) -> None:
    """A server lets go of what it holds back at each of them."""
    world = World(ramped(toxic, attributes, ramp))
    await world.run()
    times = [t for t, call in world.server.calls if call.startswith("update")]
    assert times == pytest.approx([1 + step for step in steps])


@pytest.mark.parametrize(
    ("slow", "takes", "steps", "remark"),
    [
        ("update", 0.05, [(1.15, 40), (1.25, 80), (1.35, 120), (1.45, 160), (1.55, 200)], ""),
        # What was due twice meanwhile is asked for once, so that the ramp gets no later.
        ("update", 0.17, [(1.27, 40), (1.44, 80), (1.61, 160), (1.78, 200)], "its ramp was 0.3 s late"),
        # Placed when two steps were due.
        ("add", 0.26, [(1.26, 80), (1.3, 120), (1.4, 160), (1.5, 200)],
         "placed 0.3 s late; its ramp was 0.2 s late"),
    ],
)  # fmt: skip
async def test_a_late_ramp_makes_up_for_it_and_is_remarked(
    autojump_clock: MockClock, slow: str, takes: float, steps: list[tuple[float, int]], remark: str
) -> None:
    world = World(ramped("latency", {"latency": 200}, 0.5, end=3))
    world.server.delay_s[slow] = takes
    await world.run()
    update = f"update {STORE} loadtool-r1-r "
    assert [(t, call) for t, call in world.server.calls if call.startswith("update")] == [
        (t, f"{update}{{'latency': {ms}}}") for t, ms in steps
    ]
    (figure,) = world.conductor.figures()
    assert (figure.problem, figure.remark) == ("", remark)


@pytest.mark.parametrize(("refused", "problem"), [(1, ""), (5, "did not take effect: cannot update ")])
async def test_a_step_of_a_ramp_may_fail_but_not_the_last(
    autojump_clock: MockClock, refused: int, problem: str
) -> None:
    world = World(ramped("latency", {"latency": 200}, 0.5, end=3))
    world.server.refuse["update"] = refused
    await world.run()
    (figure,) = world.conductor.figures()
    assert figure.removed
    assert figure.problem.startswith(problem)
    assert bool(world.conductor.problems()) == bool(problem)


@pytest.mark.parametrize("toxic", list(RAMPED))
def test_a_ramp_begins_at_values_that_a_server_survives_and_ends_at_the_full_ones(toxic: str) -> None:
    attributes = dict.fromkeys(TOXICS[toxic], 50)
    plan = ramped(toxic, attributes, 1)
    assert plan.attributes_at(1) == attributes
    start = plan.attributes_at(0)
    assert all(start[name] >= TOXICS[toxic][name].least for name in attributes)
    assert {n for n in attributes if start[n] != 50} == set(RAMPED[toxic])


# Commands


def is_gone(pid: int) -> bool:
    """Whether a process is gone, or a zombie, within ten seconds."""
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait, in real time, for what nothing tells of; the bound only keeps a broken test from hanging."""
    for _ in range(2000):
        if holds():
            return
        await trio.to_thread.run_sync(time.sleep, 0.01)
    assert holds()


async def play_command(
    until: Callable[[Conductor], bool], directory: Path, journal: Journal | None = None, **fields: Any
) -> Conductor:
    """A `run:` fault without end that is cut short once `until` is true, and then torn down."""
    fault = PlannedFault("cmd", "a command", "", None, 0, 3600 * S, directory=str(directory), **fields)
    conductor = Conductor(None, {}, [fault], journal, lambda event: None, "r1")
    assert await conductor.open_proxies() == {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(lambda: until(conductor))
        nursery.cancel_scope.cancel()
    await conductor.teardown()
    return conductor


def has_failed(conductor: Conductor) -> bool:
    return bool(conductor.problems())


def has_said(words: str) -> Callable[[Conductor], bool]:
    return lambda conductor: words in conductor.figures()[0].output


def has_begun(conductor: Conductor) -> Callable[[], bool]:
    return lambda: conductor.figures()[0].started_s is not None


async def test_a_command_is_run_and_undone_and_its_output_kept(tmp_path: Path) -> None:
    script = "echo on > state; echo said; echo it >&2"
    conductor = await play_command(has_said("it"), tmp_path, run=script, undo=("cp", "state", "was"))
    (figure,) = conductor.figures()
    assert (figure.toxic, figure.removed, figure.output) == ("run", True, "said\nit\n")
    assert conductor.problems() == []
    assert text_of(tmp_path / "was") == "on\n"


async def test_what_its_undo_wrote_is_kept_too(tmp_path: Path) -> None:
    conductor = await play_command(has_said("said"), tmp_path, run="printf said", undo="echo undone")
    assert conductor.figures()[0].output == "said\n$ echo undone\nundone\n"
    conductor = await play_command(has_said("said"), tmp_path, run="echo said", undo=("echo", "undone"))
    assert conductor.figures()[0].output == "said\n$ echo undone\nundone\n"


async def test_an_undo_is_not_cut_short_by_the_end_of_the_run(tmp_path: Path, slow_clock: MockClock) -> None:
    fault = PlannedFault(
        "c", "…", "", None, 0, S, run="true", undo="touch begun; sleep 0.3; echo x >> undone",
        directory=str(tmp_path),
    )  # fmt: skip
    conductor = Conductor(None, {}, [fault], None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(has_begun(conductor))
        slow_clock.jump(1)
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        nursery.cancel_scope.cancel()
    await conductor.teardown()
    assert text_of(tmp_path / "undone") == "x\n"
    assert conductor.problems() == []


async def test_a_command_that_comes_again_waits_for_the_undo_before(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    faults = [
        PlannedFault(
            "c", "…", "", None, start, end, run="echo run >> log", directory=str(tmp_path),
            undo="echo undoing >> log; touch begun; sleep 0.2; echo undone >> log",
        )
        for start, end in [(0, S), (2 * S, 3600 * S)]
    ]  # fmt: skip
    conductor = Conductor(None, {}, faults, None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(has_begun(conductor))
        slow_clock.jump(1)
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        slow_clock.jump(1)
        await eventually(
            lambda: len(conductor.active()) == 1 and conductor.figures()[1].started_s is not None
        )
        nursery.cancel_scope.cancel()
    log = text_of(tmp_path / "log").removeprefix("run\n")  # the first may have ended before it wrote
    assert log.startswith("undoing\nundone\n")
    await conductor.teardown()


async def test_a_command_whose_time_is_over_when_its_turn_comes_is_not_run(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    faults = [
        PlannedFault(
            "c", "…", "", None, start, end, run="true", undo="touch begun; sleep 0.2",
            directory=str(tmp_path),
        )
        for start, end in [(0, S), (2 * S, 3 * S)]
    ]  # fmt: skip
    conductor = Conductor(None, {}, faults, None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(has_begun(conductor))
        slow_clock.jump(1)
        # The second one's time begins and ends while the first is undone.
        await eventually(lambda: tmp_path / "begun" in files(tmp_path))
        slow_clock.jump(2)
    assert conductor.problems() == ["fault c could not be placed: its time was over when its turn came"]
    assert [f.started_s is None for f in conductor.figures()] == [False, True]


async def test_a_command_that_goes_on_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = "sleep 600 & echo $! > pid; echo ready; wait"
    conductor = await play_command(has_said("ready"), tmp_path, run=script, undo="touch undone")
    assert conductor.problems() == []
    assert (tmp_path / "undone") in files(tmp_path)
    assert await trio.to_thread.run_sync(is_gone, int(text_of(tmp_path / "pid")))


async def test_a_command_is_ended_and_undone_at_the_end_of_its_fault(
    tmp_path: Path, slow_clock: MockClock
) -> None:
    where = str(tmp_path)
    fault = PlannedFault(
        "c", "…", "", None, 0, S, run="echo on; sleep 600", undo="touch undone", directory=where
    )
    conductor = Conductor(None, {}, [fault], None, lambda event: None, "r1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conductor.run, trio.current_time())
        await eventually(lambda: has_said("on")(conductor))
        assert files(tmp_path) == []
        slow_clock.jump(1)
    assert files(tmp_path) == [tmp_path / "undone"]
    assert conductor.problems() == []
    assert conductor.figures()[0].removed


async def test_a_command_that_fails_is_a_problem_and_is_undone_all_the_same(tmp_path: Path) -> None:
    script = "echo no such container; exit 4"
    conductor = await play_command(has_failed, tmp_path, run=script, undo="touch undone")
    assert conductor.problems() == [
        "fault cmd did not take effect: the command 'echo no such container; exit 4' failed"
        " (exit code 4: no such container)"
    ]
    assert (tmp_path / "undone") in files(tmp_path)
    assert conductor.figures()[0].removed


async def test_a_command_that_cannot_be_started_is_a_problem(tmp_path: Path) -> None:
    conductor = await play_command(has_failed, tmp_path, run=("/no/such/program",))
    assert conductor.problems() == [
        "fault cmd did not take effect: the command '/no/such/program' failed"
        " (exit code 1: cannot start /no/such/program: No such file or directory)"
    ]


async def test_an_undo_that_fails_says_what_to_do_and_stays_in_the_journal(tmp_path: Path) -> None:
    with Journal("", "r1", tmp_path / "j") as journal:
        conductor = await play_command(
            has_said("on"), tmp_path, journal, run="echo on", undo="echo stuck; exit 1"
        )
    assert conductor.problems() == [
        "the command of fault loadtool-r1-cmd was not undone: the command 'echo stuck; exit 1' failed"
        f" (exit code 1: stuck); to undo it by hand: (cd {tmp_path} && echo stuck; exit 1)"
    ]
    (entry,) = entries(tmp_path / "j")
    assert entry.changes == (
        Change("run", toxic="loadtool-r1-cmd", undo="echo stuck; exit 1", directory=str(tmp_path)),
    )


async def test_recovery_runs_the_undo_of_a_killed_run_but_the_next_run_does_not(tmp_path: Path) -> None:
    directory = tmp_path / "j"
    with Journal("", "r1", directory) as journal:
        journal.record(Change("run", toxic="c", undo=("touch", "undone"), directory=str(tmp_path)))
    (recovery,) = await recover(None, directory, commands=False)
    assert recovery.undone == ()
    assert len(entries(directory)) == 1
    (recovery,) = await recover(None, directory)
    assert len(recovery.undone) == 1
    assert (tmp_path / "undone") in files(tmp_path)
    assert entries(directory) == []
