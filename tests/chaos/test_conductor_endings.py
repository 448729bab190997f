"""Faults whose planned end the load's end cuts short, on virtual time."""

from __future__ import annotations

import math

import pytest
import trio
from chaos_world import World, down, latency
from trio.testing import MockClock

ONLY = "was removed only at the end of the run: it was to be out"


@pytest.mark.parametrize(
    ("delay", "ends", "over", "planned", "ended", "problem", "remark"),
    [
        # (delay of the removal, planned end; the load is over at, was planned to be; out at)
        (7, 6, 9, math.inf, 16, f"{ONLY} 3.0 s before the load's end", ""),
        (7, 6, 9, 9, 16, f"{ONLY} 3.0 s before the load's end", ""),
        (7, 6, 9, 7.5, 16, f"{ONLY} 1.5 s before the load's end", ""),
        (7, 8.5, 9, math.inf, 16, "", "removed 7.5 s late"),
        (0.3, 8.8, 9, math.inf, 9.3, "", "removed 0.5 s late"),
        (0.07, 8.95, 9, math.inf, 9.07, "", ""),
        # What ends with the load is in until the load is over, and so are answers that take longer than that.
        (7, 9, 9, 9, 16, "", ""),
        (7, 9, 12, 9, 19, "", ""),
        (7, 20, 9, 30, 16, "", ""),
        (1, 6, 9, 9, 7, "", "removed 1.0 s late"),
    ],
)
async def test_a_removal_that_the_loads_end_cuts_short_says_how_long_it_was_in(
    autojump_clock: MockClock,
    delay: float,
    ends: float,
    over: float,
    planned: float,
    ended: float,
    problem: str,
    remark: str,
) -> None:
    world = World(latency("slow", 3, ends), existing=True, load_s=planned)
    world.server.delay_s["remove"] = delay
    await world.conductor.open_proxies()
    began = trio.current_time()
    with trio.move_on_at(began + over):
        await world.conductor.run(began)
        await trio.sleep_forever()
    await world.conductor.end()
    await world.teardown()
    (figure,) = world.conductor.figures()
    assert (figure.removed, figure.ended_s) == (True, pytest.approx(ended))
    assert (figure.problem, figure.remark) == (problem, remark)
    assert world.conductor.problems() == ([f"fault slow {problem}"] if problem else [])
    assert [e for e in world.events if e[2] == "failed"] == [(ended, "slow", "failed")] * bool(problem)
    assert world.server.state == world.before


async def test_one_that_waits_for_the_turn_of_another_is_late_too(autojump_clock: MockClock) -> None:
    world = World(down("a", 1, 3), down("b", 2, 5), existing=True)
    world.server.delay_s["enable"] = 9
    await world.conductor.open_proxies()
    began = trio.current_time()
    with trio.move_on_at(began + 8):
        await world.conductor.run(began)
    await world.conductor.end()
    await world.teardown()
    assert world.conductor.problems() == [f"fault b {ONLY} 3.0 s before the load's end"]
    assert [f.ended_s for f in world.conductor.figures()] == [3, 17]
    assert world.server.state == world.before


async def test_what_is_gone_though_no_answer_says_so_is_not_for_anybodys_hand(
    autojump_clock: MockClock,
) -> None:
    """As where a server does at once what it is asked, and answers when nobody waits any more."""
    world = World(latency("slow", 3, 6), existing=True)
    world.server.refuse_after["remove"] = 1000
    await world.run()
    (figure,) = world.conductor.figures()
    assert (figure.removed, figure.problem, figure.remark) == (True, "", "removed 0.6 s late")
    assert world.conductor.problems() == []


async def test_a_look_that_nobody_answers_ends_in_time_to_say_why(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(latency("slow", 3, 6), existing=True)
    world.server.refuse["remove"] = 1000

    async def say_nothing(name: str) -> None:
        await trio.sleep(1000)

    monkeypatch.setattr(world.server, "get_proxy", say_nothing)
    await world.run()
    (figure,) = world.conductor.figures()
    refused = "could not be removed: cannot remove postgres loadtool-r1-slow: refused; "
    assert figure.problem.startswith(refused)
    assert trio.current_time() < 20
