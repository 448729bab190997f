"""The store and the service's pool of connections to it, on virtual time."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from target_world import World

from loadtool.target.pool import StoreError, StoreSlow, StoreUnreachable
from loadtool.target.settings import Settings
from loadtool.target.store import LONGEST_LINE, answer
from loadtool.units import MILLISECOND

SETTINGS = Settings(store_time_ns=2 * MILLISECOND, store_timeout_ns=1000 * MILLISECOND, store_connections=2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"PING", b"OK pong"),
        (b"GET product 17", b'OK {"stock": 82, "price_cents": 5381}'),  # 17's CRC-32 is 1060745282
        (b"RESERVE order 1-1", b"OK"),
        (b"PUT order 1-1", b"OK"),
        (b"DROP products", b"ERR unknown request"),
        (b"", b"ERR unknown request"),
        (b"\xff\xfe", b"ERR unknown request"),
    ],
)
def test_answers(line: bytes, expected: bytes) -> None:
    assert answer(line) == expected


async def test_a_call_takes_the_stores_time_plus_the_networks(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    for delay_s in (0.0, 0.2, 0.0):
        world.delay_s = delay_s
        start = trio.current_time()
        told = await world.store.ask(b"PING")
        assert told.text == b"pong"
        assert told.took_s == pytest.approx(0.002 + delay_s)
        assert trio.current_time() - start == pytest.approx(0.002 + delay_s)
    assert world.dialled == ["store:1"]  # once: the connection is kept


async def test_the_pool_is_bounded_and_the_rest_wait_their_turn(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    ends = []

    async def ask() -> None:
        await world.store.ask(b"PING")
        ends.append(round(trio.current_time() * 1000, 6))

    async with trio.open_nursery() as callers:
        for _ in range(6):
            callers.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert world.store.calls == 6
    assert ends == [2, 2, 4, 4, 6, 6]
    assert len(world.dialled) == 2
    assert world.store.calls == 0


async def test_too_slow(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery, SETTINGS)
    world.delay_s = 5
    with pytest.raises(StoreSlow) as caught:
        await world.store.ask(b"GET product 1")
    assert str(caught.value) == "store at store:1 did not answer within 1000 ms"
    assert trio.current_time() == pytest.approx(1)
    # The late answer must not be taken for that of the next call.
    world.delay_s = 0
    assert (await world.store.ask(b"PING")).text == b"pong"
    assert len(world.dialled) == 2


async def test_waiting_for_a_connection_counts_as_slow(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    world.delay_s = 0.8
    slow: list[float] = []

    async def ask() -> None:
        try:
            await world.store.ask(b"PING")
        except StoreSlow:
            slow.append(trio.current_time())

    async with trio.open_nursery() as callers:
        for _ in range(4):
            callers.start_soon(ask)
    assert slow == [pytest.approx(1), pytest.approx(1)]


async def test_unreachable(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery, SETTINGS)
    world.refused.add("store:1")
    with pytest.raises(StoreUnreachable) as caught:
        await world.store.ask(b"PING")
    assert str(caught.value) == "store at store:1 is unreachable: Connection refused"


async def test_connections_closed_while_idle_are_replaced(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    await world.store.ask(b"PING")
    world.cuts[0].cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert (await world.store.ask(b"PING")).text == b"pong"
    assert len(world.dialled) == 2


async def test_one_closed_while_it_answers_is_an_error_on_a_new_connection(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)

    async def cut() -> None:
        await trio.sleep(0.001)
        world.cuts[-1].cancel()

    nursery.start_soon(cut)
    with pytest.raises(StoreUnreachable) as caught:
        await world.store.ask(b"PING")
    assert str(caught.value) == "store at store:1 closed the connection"


async def test_rewired(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery, SETTINGS)
    await world.store.ask(b"PING")
    async with trio.open_nursery() as callers:
        world.delay_s = 0.1
        callers.start_soon(world.store.ask, b"PING")  # under way on the old connection
        await trio.sleep(0.05)
        await world.store.rewire("proxy:2")
    world.delay_s = 0
    await world.store.ask(b"PING")
    await world.store.ask(b"PING")
    assert world.dialled == ["store:1", "proxy:2"]
    # Neither an idle connection nor the one that was under way is kept to the old address.
    await trio.testing.wait_all_tasks_blocked()
    assert world.over == ["store:1"]


async def test_refused(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    world = World(nursery, SETTINGS)
    with pytest.raises(StoreError) as caught:
        await world.store.ask(b"DROP products")
    assert str(caught.value) == "store at store:1 answered ERR unknown request"
    assert (await world.store.ask(b"PING")).text == b"pong"


async def test_an_endless_answer_is_no_stores(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)

    async def babble() -> None:
        await trio.sleep(0.001)
        await world.server_ends[-1].send_all(b"x" * (LONGEST_LINE + 1))

    nursery.start_soon(babble)
    with pytest.raises(StoreUnreachable, match="sent no answer of ours: a line of more than 4096 bytes"):
        await world.store.ask(b"PING")
    assert (await world.store.ask(b"PING")).text == b"pong"


async def test_the_store_drops_a_caller_that_is_none(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, SETTINGS)
    stream = await world.connect("store:1")
    await stream.send_all(b"x" * (LONGEST_LINE + 1))
    assert await stream.receive_some() == b""
