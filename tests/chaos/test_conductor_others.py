"""The conductor on virtual time, while somebody else changes the same Toxiproxy or it fails for a while."""

from __future__ import annotations

import pytest
import trio
from chaos_world import STORE, World, down, latency
from trio.testing import MockClock

from loadtool.chaos.fault import PlannedFault

GONE = "was gone before its end: somebody has taken it out, or Toxiproxy was restarted"


async def meddle(world: World, what: str) -> None:
    """At 2.5 s, as a `POST /reset`, a restart or another user would."""
    await trio.sleep(2.5)
    (name,) = (n for n in world.server.state if n != "somebody-elses")
    if what == "restart":
        del world.server.state[name]
    else:
        world.server.put(name)  # without toxics, and enabled


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("fault", [latency("f", 1, 4), down("f", 1, 4)], ids=["toxic", "down"])
@pytest.mark.parametrize("what", ["reset", "restart"])
async def test_a_fault_that_was_gone_before_its_end_makes_the_run_invalid(
    autojump_clock: MockClock, nursery: trio.Nursery, fault: PlannedFault, what: str, existing: bool
) -> None:
    world = World(fault, existing=existing)
    nursery.start_soon(meddle, world, what)
    await world.run()
    expected = [f"fault f {GONE}"]
    if what == "restart" and not existing:
        expected.append(f"proxy {STORE} {GONE}")
    assert world.conductor.problems() == expected
    (figure,) = world.conductor.figures()
    assert (figure.removed, figure.problem) == (True, GONE)
    # Since when is not known, but not after that.
    assert (figure.started_s, figure.ended_s, figure.latest_end(9)) == (1, None, 4)


@pytest.mark.parametrize("what", ["reset", "restart"])
async def test_one_that_lasts_to_the_end_of_the_run_is_missed_then(
    autojump_clock: MockClock, nursery: trio.Nursery, what: str
) -> None:
    world = World(latency("f", 1, 9), existing=True)
    await world.conductor.open_proxies()
    nursery.start_soon(meddle, world, what)
    with trio.move_on_after(5):
        await world.conductor.run(trio.current_time())
    await world.conductor.end()
    await world.teardown()
    assert world.conductor.problems() == [f"fault f {GONE}"]
    (figure,) = world.conductor.figures()
    assert (figure.removed, figure.ended_s, figure.latest_end(5)) == (True, None, 5)


async def test_of_several_downs_of_a_proxy_the_one_that_lasts_is_missed(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(down("over", 0.5, 1), down("lasts", 2, 9), existing=True)
    await world.conductor.open_proxies()
    nursery.start_soon(meddle, world, "reset")
    with trio.move_on_after(5):
        await world.conductor.run(trio.current_time())
    await world.conductor.end()
    await world.teardown()
    assert world.conductor.problems() == [f"fault lasts {GONE}"]


async def test_a_proxy_that_is_missed_without_a_fault_is_told_of(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The load may have gone through it: what it met then was no fault of the service."""
    world = World(latency("f", 1, 2))
    nursery.start_soon(meddle, world, "restart")
    await world.conductor.open_proxies()
    await world.conductor.run(trio.current_time())
    await trio.sleep(2)
    await world.teardown()
    await world.conductor.teardown()
    assert world.conductor.problems() == [f"proxy {STORE} {GONE}"]


@pytest.mark.parametrize("call", ["remove", "enable", "delete"])
async def test_what_an_earlier_try_has_taken_out_is_not_missed(autojump_clock: MockClock, call: str) -> None:
    """The server did it, and its answer was lost."""
    for existing in (False, True):
        world = World(latency("slow", 1, 4), down("cut", 2, 3), existing=existing)
        world.server.refuse_after[call] = 2
        await world.run()
        assert world.conductor.problems() == []
        assert world.server.state == world.before


async def test_what_the_end_of_the_run_interrupts_is_not_missed(autojump_clock: MockClock) -> None:
    world = World(latency("slow", 1, 3), existing=True)
    world.server.refuse_after["remove"] = 1
    await world.conductor.open_proxies()
    with trio.move_on_after(3.1):  # between two tries
        await world.conductor.run(trio.current_time())
    await world.conductor.end()
    await world.teardown()
    assert world.conductor.problems() == []
    assert world.server.state == world.before


async def test_a_down_brings_its_proxy_up_though_one_before_it_could_not(autojump_clock: MockClock) -> None:
    world = World(down("first", 1, 2), down("second", 4, 5), latency("last", 6, 9), existing=True)
    world.server.refuse["enable"] = 3  # all tries of the first one's end
    await world.run()
    assert [t for t, call in world.server.calls if call == "enable postgres"] == [2, 2.2, 2.6, 5]
    first, second, _ = world.conductor.figures()
    assert (first.ended_s, first.removed, second.ended_s, second.removed) == (5, True, 5, True)
    refused = "cannot enable postgres: refused"
    assert world.conductor.problems() == [f"fault first was removed only with second: {refused}"]
    assert world.server.state == world.before


async def test_a_toxiproxy_of_the_run_that_ended_is_named_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """What was in it went with it, and what it refused was never placed."""
    world = World(
        latency("over", 0.5, 1), latency("in-it", 1, 4), latency("refused", 3, 5), down("cut", 4, 6)
    )
    await world.conductor.open_proxies()
    server = world.server

    async def die() -> None:
        await trio.sleep(2)
        server.ended = lambda: "toxiproxy-server ended during the run (killed by SIGKILL)"
        server.refuse |= dict.fromkeys(("add", "remove", "enable", "disable", "delete"), 1000)

    nursery.start_soon(die)
    await world.conductor.run(trio.current_time())
    assert world.conductor.active() == []
    await world.teardown()
    never = "could not be placed: its Toxiproxy had ended"
    assert world.conductor.problems() == [
        "toxiproxy-server ended during the run (killed by SIGKILL): look in the system's log for what ended"
        " it, and run again",
        f"fault refused {never}",
        f"fault cut {never}",
    ]
    assert [(f.started_s, f.ended_s, f.removed, f.problem, f.remark) for f in world.conductor.figures()] == [
        (0.5, 1, True, "", ""),
        (1, None, True, "", "gone with its Toxiproxy before its end"),
        (None, None, True, never, ""),
        (None, None, True, never, ""),
    ]


@pytest.mark.parametrize(
    ("how", "remedy"),
    [
        ("it ended", "look in the system's log for what ended it, and run again"),
        ("it ended (exit code 2: panic: runtime error: index out of range [1])",
         "it has crashed: have fewer faults at a time on one proxy, and no ramp of a bandwidth, or start "
         "the embedded one with `loadtool toxiproxy` and give its URL with --toxiproxy"),
    ],
)  # fmt: skip
async def test_it_is_named_where_no_fault_met_it(autojump_clock: MockClock, how: str, remedy: str) -> None:
    world = World(latency("f", 1, 2))
    await world.conductor.open_proxies()
    await world.conductor.run(trio.current_time())
    world.server.ended = lambda: how
    await world.teardown()
    assert world.conductor.problems() == [f"{how}: {remedy}"]
