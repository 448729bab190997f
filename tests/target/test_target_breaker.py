from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing
from target_world import World

from loadtool.target.breaker import WINDOW, Breaker, BreakerPool, StoreShut
from loadtool.target.pool import StoreError, StoreUnreachable
from loadtool.target.settings import Settings
from loadtool.units import MILLISECOND, SECOND


def called(breaker: Breaker, now: float, *, bad: bool) -> float:
    """One call, over in the same instant; what it was told."""
    wait_s = breaker.enter(now)
    if wait_s == 0:
        breaker.leave(now, bad=bad, trial=breaker.trying)
    return wait_s


@pytest.mark.parametrize(
    ("share", "bad_of_20", "state"),
    [(0.5, 9, "closed"), (0.5, 10, "open"), (1.0, 19, "closed"), (1.0, 20, "open")],
)
def test_opens_at_its_share_of_the_window(share: float, bad_of_20: int, state: str) -> None:
    breaker = Breaker(share, open_s=2)
    for i in range(WINDOW):
        assert breaker.state == "closed"
        assert called(breaker, 0, bad=i < bad_of_20) == 0
    assert breaker.state == state


def opened() -> Breaker:
    breaker = Breaker(0.5, open_s=2)
    for _ in range(WINDOW):
        called(breaker, 10, bad=True)
    return breaker


def test_open_half_open_closed() -> None:
    breaker = opened()
    assert [breaker.enter(t) for t in (10, 11.5, 11.9)] == [pytest.approx(w) for w in (2, 0.5, 0.1)]
    assert breaker.enter(12) == 0  # on trial
    assert breaker.state == "half open"
    assert breaker.enter(12.1) == 2  # one at a time
    breaker.leave(12.2, bad=False, trial=True)
    assert breaker.state == "closed"
    for _ in range(WINDOW - 1):  # and the bad ones of before are forgotten
        assert called(breaker, 13, bad=True) == 0
    assert breaker.state == "closed"


def test_a_failed_trial_opens_it_again() -> None:
    breaker = opened()
    assert breaker.enter(12) == 0
    breaker.leave(12.5, bad=True, trial=True)
    assert breaker.state == "open"
    assert breaker.enter(13) == pytest.approx(1.5)
    assert breaker.enter(14.5) == 0


def test_an_abandoned_trial_makes_room_for_the_next() -> None:
    breaker = opened()
    assert breaker.enter(12) == 0
    breaker.give_up(trial=True)
    assert breaker.state == "open"
    assert breaker.enter(12) == 0


def test_calls_from_before_it_opened_neither_close_nor_prolong_it() -> None:
    breaker = opened()
    breaker.leave(11, bad=False, trial=False)
    breaker.leave(11.9, bad=True, trial=False)
    assert breaker.state == "open"
    assert breaker.enter(12) == 0
    breaker.leave(12.1, bad=False, trial=False)
    assert breaker.state == "half open"


SETTINGS = Settings(
    slots=100,
    queue=0,
    service_jitter=0.0,
    breaker=0.5,
    breaker_slow_ns=100 * MILLISECOND,
    breaker_open_ns=2 * SECOND,
)


@pytest.mark.parametrize("how", ["refused", "timeout", "slow"])
async def test_before_the_store(
    how: str, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    if how == "refused":
        world.refused.add("store:1")
    else:
        world.delay_s = {"timeout": 5.0, "slow": 0.2}[how]
    shut = 0
    for _ in range(WINDOW):
        try:
            await world.store.ask(b"PING")
        except StoreShut:
            shut += 1
        except StoreError:
            pass
    assert shut == 0
    start = trio.current_time()
    with pytest.raises(StoreShut) as caught:
        await world.store.ask(b"PING")
    assert caught.value.retry_after_s == pytest.approx(2)
    assert trio.current_time() == start  # at once
    world.refused.clear()
    world.delay_s = 0
    await trio.sleep(2)
    assert (await world.store.ask(b"PING")).text == b"pong"
    assert (await world.store.ask(b"PING")).text == b"pong"


async def test_an_abandoned_call_counts_neither_way(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    assert isinstance(world.store, BreakerPool)
    world.refused.add("store:1")
    for _ in range(WINDOW):
        with pytest.raises(StoreUnreachable):
            await world.store.ask(b"PING")
    world.refused.clear()
    await trio.sleep(2)
    with trio.move_on_after(0.001):
        await world.store.ask(b"PING")  # on trial
    assert world.store.breaker.state == "open"
    assert (await world.store.ask(b"PING")).text == b"pong"
    assert world.store.breaker.state == "closed"


async def test_what_clients_see(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery, replace(SETTINGS, breaker_open_ns=3 * SECOND))
    world.delay_s = 0.2
    for _ in range(WINDOW):
        assert (await world.ask("GET", "/products/1")).status == 200
    start = trio.current_time()
    response = await world.ask("GET", "/products/1")
    assert response.status == 503
    assert dict(response.headers) == {"Retry-After": "3"}
    assert b"store at store:1 has failed too often" in response.body
    assert trio.current_time() - start == pytest.approx(0.008)  # the work, and no store
    assert b'"breaker": "open"' in (await world.ask("GET", "/stats")).body
    assert (await world.ask("GET", "/health/store")).status == 200  # a probe asks all the same
