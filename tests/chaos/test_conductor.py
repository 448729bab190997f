"""The conductor on virtual time, against a Toxiproxy in memory that fails where it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from chaos_world import STORE, S, World, down, files, latency
from fake_control import URL
from trio.testing import MockClock

from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change, Journal, entries
from loadtool.errors import FaultError


async def test_faults_come_and_go_at_their_times(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 5, 8), latency("slower", 6, 7.5), down("cut", 10, 11))
    await world.run()
    assert world.server.calls == [
        (5, f"add {STORE} loadtool-r1-slow latency {{'latency': 200}} downstream 1"),
        (6, f"add {STORE} loadtool-r1-slower latency {{'latency': 200}} downstream 1"),
        (7.5, f"remove {STORE} loadtool-r1-slower"),
        (8, f"remove {STORE} loadtool-r1-slow"),
        (10, f"disable {STORE}"),
        (11, f"enable {STORE}"),
        (11, f"disable {STORE}"),  # from here on it is the teardown
        (11, f"delete {STORE}"),
    ]
    assert world.events == [
        (5, "slow", "placed"), (6, "slower", "placed"), (7.5, "slower", "removed"), (8, "slow", "removed"),
        (10, "cut", "placed"), (11, "cut", "removed"),
    ]  # fmt: skip
    assert [
        (f.name, f.planned_s, f.started_s, f.ended_s, f.removed, f.problem) for f in world.conductor.figures()
    ] == [
        ("slow", [5, 8], 5, 8, True, ""),
        ("slower", [6, 7.5], 6, 7.5, True, ""),
        ("cut", [10, 11], 10, 11, True, ""),
    ]
    assert world.conductor.problems() == []
    assert world.server.state == world.before


async def test_active_says_what_is_in_place(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    world = World(latency("a", 1, 3), down("b", 2, 4))
    await world.conductor.open_proxies()
    nursery.start_soon(world.conductor.run, trio.current_time())
    seen = []
    for _ in range(5):
        await trio.sleep(0.5)
        seen.append(world.conductor.active())
        await trio.sleep(0.5)
    assert seen == [[], ["a"], ["a", "b"], ["b"], []]


async def test_all_of_a_toxic_reaches_the_server(autojump_clock: MockClock) -> None:
    fault = PlannedFault(
        "s", "…", "store", "slicer", S, 2 * S, stream="upstream", toxicity=0.25,
        attributes={"average_size": 9, "delay": 5},
    )  # fmt: skip
    world = World(fault)
    await world.run()
    assert world.server.calls[0] == (
        1, f"add {STORE} loadtool-r1-s slicer {{'average_size': 9, 'delay': 5}} upstream 0.25"
    )  # fmt: skip


async def test_overlapping_downs_bring_the_proxy_up_once_the_last_is_over(
    autojump_clock: MockClock,
) -> None:
    world = World(down("a", 1, 3), down("b", 2, 4), existing=True)
    await world.run()
    assert world.server.calls == [(1, "disable postgres"), (2, "disable postgres"), (4, "enable postgres")]
    assert [(f.ended_s, f.removed) for f in world.conductor.figures()] == [(3, True), (4, True)]
    assert world.server.state == world.before


@pytest.mark.parametrize("call", ["enable", "disable"])
async def test_a_down_that_begins_when_another_ends_keeps_the_proxy_down(
    autojump_clock: MockClock, nursery: trio.Nursery, call: str
) -> None:
    world = World(down("a", 1, 2), down("b", 2, 4), existing=True)
    world.server.delay_s[call] = 0.3
    nursery.start_soon(world.run)
    await trio.sleep(3)
    assert world.conductor.active() == ["b"]
    assert not world.server.state["postgres"].enabled
    await trio.sleep(2)
    assert world.server.state == world.before


async def test_the_same_fault_twice_has_two_names(autojump_clock: MockClock) -> None:
    world = World(latency("again", 1, 2), latency("again", 3, 4))
    await world.run()
    assert [c for _, c in world.server.calls if c.startswith("remove")] == [
        f"remove {STORE} loadtool-r1-again", f"remove {STORE} loadtool-r1-again-2"
    ]  # fmt: skip


async def test_an_existing_proxy_gets_its_toxic_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("slow", 1, 2), existing=True)
    await world.run()
    assert world.server.calls == [
        (1, "add postgres loadtool-r1-slow latency {'latency': 200} downstream 1"),
        (2, "remove postgres loadtool-r1-slow"),
    ]
    assert world.server.state == world.before


@pytest.mark.parametrize("existing", [False, True])
async def test_a_run_that_is_cut_short_leaves_nothing(autojump_clock: MockClock, existing: bool) -> None:
    world = World(latency("slow", 1, 9), down("cut", 2, 9), latency("late", 8, 9), existing=existing)
    with trio.move_on_after(5):
        await world.run()
    assert world.server.state == world.before
    assert [(f.started_s, f.ended_s, f.removed) for f in world.conductor.figures()] == [
        (1, 5, True), (2, 5, True), (None, None, True)
    ]  # fmt: skip
    assert world.conductor.problems() == []
    assert world.conductor.active() == []


@pytest.mark.parametrize("existing", [False, True])
async def test_at_the_end_faults_go_and_the_proxies_stay(autojump_clock: MockClock, existing: bool) -> None:
    world = World(latency("slow", 1, 9), down("cut", 2, 9), existing=existing)
    name = "postgres" if existing else STORE
    await world.conductor.open_proxies()
    world.server.refuse["remove"] = 1
    with trio.move_on_after(5):
        await world.conductor.run(trio.current_time())
    with trio.CancelScope() as scope:
        scope.cancel()  # it cannot be cancelled
        await world.conductor.end()
    proxy = world.server.state[name]
    assert (proxy.enabled, proxy.toxics) == (True, ())
    assert [(f.ended_s, f.removed) for f in world.conductor.figures()] == [(5.2, True), (5.2, True)]
    assert world.conductor.active() == []
    await world.teardown()
    assert world.server.state == world.before
    assert world.conductor.problems() == []


async def test_what_the_end_cannot_take_out_is_left_to_the_teardown(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 1, 9), existing=True)
    await world.conductor.open_proxies()
    with trio.move_on_after(5):
        await world.conductor.run(trio.current_time())
    world.server.refuse["remove"] = 3
    await world.conductor.end()
    assert world.conductor.active() == ["slow"]
    await world.teardown()
    assert world.server.state == world.before
    assert world.conductor.problems() == []
    assert [f.removed for f in world.conductor.figures()] == [True]


async def test_own_proxies_are_disabled_then_emptied_then_deleted(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("slow", 1, 9))
    with trio.move_on_after(5):
        await world.run()
    assert [c for t, c in world.server.calls if t == 5] == [
        f"disable {STORE}", f"remove {STORE} loadtool-r1-slow", f"delete {STORE}"
    ]  # fmt: skip


async def test_others_proxies_come_up_after_their_toxics_are_out(
    autojump_clock: MockClock,
) -> None:
    world = World(down("cut", 1, 9), latency("slow", 2, 9), existing=True)
    with trio.move_on_after(5):
        await world.run()
    assert [c for t, c in world.server.calls if t == 5] == [
        "remove postgres loadtool-r1-slow",
        "enable postgres",
    ]


async def test_a_fault_that_cannot_be_placed_is_a_problem_and_the_others_go_on(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("bad", 1, 2), latency("good", 3, 4))
    world.server.refuse["add"] = 1
    await world.run()
    bad, good = world.conductor.figures()
    assert (bad.started_s, bad.ended_s, bad.removed) == (None, None, True)
    assert bad.problem.startswith("could not be placed: cannot add ")
    assert (good.started_s, good.ended_s, good.removed, good.problem) == (3, 4, True, "")
    assert world.conductor.problems() == [f"fault bad {bad.problem}"]
    assert world.events[0] == (1, "bad", "failed")


async def test_one_that_was_placed_though_the_server_said_no_is_taken_out(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("unsure", 1, 9), latency("later", 3, 4), existing=True)
    world.server.refuse_after["add"] = 1
    await world.run()
    assert world.server.calls[1] == (1, "remove postgres loadtool-r1-unsure")
    assert world.server.state == world.before


@pytest.mark.parametrize(("delay", "remark"), [(0.05, ""), (0.4, "placed 0.4 s late")])
async def test_a_late_placement_is_remarked(autojump_clock: MockClock, delay: float, remark: str) -> None:
    world = World(latency("slow", 1, 3))
    world.server.delay_s["add"] = delay
    await world.run()
    (figure,) = world.conductor.figures()
    assert (figure.started_s, figure.remark) == (pytest.approx(1 + delay), remark)
    assert figure.problem == "", "late is not invalid"
    assert world.conductor.problems() == []


@pytest.mark.parametrize(
    ("delay", "problems"),
    [(0.9, []), (1.1, ["fault slow was placed 1.1 s late, 0.9 s before its end"])],
)
async def test_one_that_missed_half_of_its_time_is_a_problem(
    autojump_clock: MockClock, delay: float, problems: list[str]
) -> None:
    world = World(latency("slow", 1, 3))
    world.server.delay_s["add"] = delay
    await world.run()
    assert world.conductor.problems() == problems
    assert [f.removed for f in world.conductor.figures()] == [True]


async def test_one_placed_after_its_end_is_a_problem_and_is_taken_out(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("slow", 1, 2))
    world.server.delay_s["add"] = 3
    await world.run()
    assert world.conductor.problems() == ["fault slow was placed 3.0 s late, after its end"]
    assert world.server.calls[1] == (4, f"remove {STORE} loadtool-r1-slow")


async def test_a_removal_is_tried_again(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 1, 2), existing=True)
    world.server.refuse["remove"] = 2
    await world.run()
    assert world.conductor.problems() == []
    assert world.server.state == world.before
    (figure,) = world.conductor.figures()
    assert figure.problem == ""
    assert figure.remark == "removed 0.6 s late"  # 0.2 s and 0.4 s of pauses


async def test_a_removal_that_fails_names_the_command_that_does_it_by_hand(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    world = World(latency("slow", 1, 2), existing=True, journal=Journal(URL, "r1", tmp_path))
    world.server.refuse["remove"] = 1000
    await world.run()
    (figure,) = world.conductor.figures()
    assert not figure.removed
    refused = "cannot remove postgres loadtool-r1-slow: refused"
    by_hand = f"curl -X DELETE {URL}/proxies/postgres/toxics/loadtool-r1-slow"
    assert world.conductor.problems() == [
        f"fault slow could not be removed: {refused}; to take it out by hand: {by_hand}"
    ]
    assert figure.problem == f"could not be removed: {refused}; to take it out by hand: {by_hand}"
    # What is left is in the journal, for `loadtool chaos recover`.
    (entry,) = entries(tmp_path)
    assert (entry.alive, entry.changes) == (False, (Change("toxic", "postgres", "loadtool-r1-slow"),))


async def test_a_removal_that_succeeds_only_at_the_end_is_still_a_problem(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("slow", 1, 2), existing=True)
    world.server.refuse["remove"] = 3  # all tries of the planned end
    await world.run()
    late = "was removed only at the end of the run: cannot remove postgres loadtool-r1-slow: refused"
    assert world.conductor.problems() == [f"fault slow {late}"]
    (figure,) = world.conductor.figures()
    assert (figure.removed, figure.problem) == (True, late)
    assert world.server.state == world.before


CALLS = ("create", "add", "disable", "remove", "enable", "delete")


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("when", ["refuse", "refuse_after"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_failure_of_any_call_leaves_nothing(
    autojump_clock: MockClock, tmp_path: Path, call: str, when: str, existing: bool
) -> None:
    journal = Journal(URL, "r1", tmp_path)
    world = World(latency("slow", 1, 4), down("cut", 2, 3), existing=existing, journal=journal)
    getattr(world.server, when)[call] = 1
    if call == "create" and not existing:
        with pytest.raises(FaultError, match=r"^proxies\.store: cannot create"):
            await world.conductor.open_proxies()
        await world.teardown()
    else:
        await world.run()
    assert world.server.state == world.before
    assert files(tmp_path) == []
    expected = call in ("add", "disable")
    assert bool(world.conductor.problems()) == expected


async def test_teardown_is_bounded_and_says_what_is_left(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 1, 9))
    world.server.delay_s["disable"] = 1e6
    await world.conductor.open_proxies()
    start = trio.current_time()
    await world.conductor.teardown(within_s=20)
    assert trio.current_time() - start == 20
    assert world.conductor.problems() == [
        f"proxy {STORE} was not removed: no end of it within 20 s;"
        " the server belongs to this run and ends with it"
    ]


async def test_teardown_cannot_be_cancelled_and_may_be_repeated(
    autojump_clock: MockClock,
) -> None:
    world = World(latency("slow", 1, 9))
    await world.conductor.open_proxies()
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.conductor.teardown()
    assert world.server.state == world.before
    calls = len(world.server.calls)
    await world.conductor.teardown()
    assert len(world.server.calls) == calls


async def test_a_second_teardown_tries_again(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 1, 9), existing=True)
    world.server.refuse["remove"] = 3
    with trio.move_on_after(5):
        await world.run()
    assert len(world.conductor.problems()) == 1
    await world.conductor.teardown()
    assert world.conductor.problems() == []
    assert world.server.state == world.before
    assert [f.removed for f in world.conductor.figures()] == [True]


async def test_proxies_are_found_or_made(autojump_clock: MockClock) -> None:
    world = World()
    assert await world.conductor.open_proxies() == {"store": world.server.state[STORE].listen}
    assert world.server.calls == [(0, f"create {STORE} 127.0.0.1:5432 127.0.0.1:0")]
    world = World(existing=True)
    assert await world.conductor.open_proxies() == {"store": world.server.state["postgres"].listen}
    assert world.server.calls == []


async def test_an_existing_proxy_must_exist_and_be_enabled(autojump_clock: MockClock) -> None:
    world = World(existing=True)
    del world.server.state["postgres"]
    with pytest.raises(FaultError) as caught:
        await world.conductor.open_proxies()
    assert (
        str(caught.value)
        == f"proxies.store: Toxiproxy {URL} has no proxy 'postgres' (it has: somebody-elses)"
    )
    world.server.put("postgres", enabled=False)
    with pytest.raises(FaultError) as caught:
        await world.conductor.open_proxies()
    assert str(caught.value) == (
        f"proxies.store: proxy postgres of Toxiproxy {URL} is disabled; to enable it:"
        f" curl -X POST -d '{{\"enabled\": true}}' {URL}/proxies/postgres"
    )


async def test_a_fault_whose_turn_never_came_has_left_nothing(autojump_clock: MockClock) -> None:
    world = World(down("first", 1, 2), down("second", 1.2, 1.5), existing=True)
    world.server.delay_s["disable"] = 1  # so long do they wait for each other
    await world.run()
    _, second = world.conductor.figures()
    assert (second.started_s, second.removed) == (None, True)
    assert second.problem == "could not be placed: its time was over when its turn came"
    assert world.server.state == world.before
