"""The event loop's timers on virtual time, and its sockets."""

from __future__ import annotations

import socket
from contextlib import closing
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from loadtool.chaos.server.loop import READ, WRITE, Loop


async def test_timers_come_in_order_at_their_times(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    called: list[tuple[str, float]] = []
    with closing(Loop()) as loop:
        zero = loop.now()

        def remember(name: str, time: float) -> None:
            called.append((name, time - zero))
            if name == "b":
                loop.at(time + 0.5, lambda t: remember("c", t))

        for name, time in (("d", 2.0), ("b", 1.0), ("a", 0.25)):
            loop.at(zero + time, partial(remember, name))
        nursery.start_soon(loop.run)
        await trio.sleep(3)
        loop.at(loop.now() - 1, lambda t: remember("overdue", t))
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert called == [("a", 0.25), ("b", 1.0), ("c", 1.5), ("d", 2.0), ("overdue", 3.0)]


async def test_an_earlier_timer_wakes_a_loop_that_waits(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    called: list[float] = []
    with closing(Loop()) as loop:
        zero = loop.now()
        loop.at(zero + 100, called.append)
        nursery.start_soon(loop.run)
        await trio.sleep(1)
        loop.at(zero + 2, called.append)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    assert called == [zero + 2]


async def test_cancelled_timers_are_not_called_and_do_not_pile_up(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    called: list[float] = []
    with closing(Loop()) as loop:
        zero = loop.now()
        kept = loop.at(zero + 1, called.append)
        for _ in range(50):
            for timer in [loop.at(zero + 3600, called.append) for _ in range(200)]:
                loop.cancel(timer)
        assert len(loop._timers) < 2100
        assert kept.on_time is not None
        nursery.start_soon(loop.run)
        await trio.sleep(7200)
        assert loop._timers == []
        nursery.cancel_scope.cancel()
    assert called == [zero + 1]


@pytest.mark.parametrize(
    ("events", "expected"), [(READ, [READ]), (WRITE, [WRITE]), (READ | WRITE, [READ | WRITE])]
)
async def test_sockets_are_watched_for_what_was_asked(
    nursery: trio.Nursery, events: int, expected: list[int]
) -> None:
    seen: list[int] = []
    done = trio.Event()
    one, other = socket.socketpair()
    with closing(Loop()) as loop, one, other:

        def ready(found: int) -> None:
            seen.append(found)
            loop.watch(one, events, 0, ready)
            done.set()

        other.send(b"x")
        loop.watch(one, 0, events, ready)
        nursery.start_soon(loop.run)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert seen == [events]


async def test_a_socket_that_is_always_ready_leaves_others_their_turn() -> None:
    one, other = socket.socketpair()
    called: list[int] = []
    with closing(Loop()) as loop, one, other:
        other.send(b"x")
        loop.watch(one, 0, READ, called.append)  # and nobody ever reads
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.run)
            for _ in range(10):
                seen = len(called)
                while len(called) == seen:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert len(called) > 10, "a turn is more than one event long"


async def test_a_socket_that_was_closed_in_the_same_batch_is_not_called(nursery: trio.Nursery) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[socket.socket] = []
    done = trio.Event()
    with closing(Loop()) as loop:

        def ready(mine: socket.socket, events: int) -> None:
            called.append(mine)
            for sock, other in pairs:  # whoever comes first closes both
                loop.watch(sock, READ, 0, partial(ready, sock))
                sock.close()
                other.close()
            done.set()

        for sock, other in pairs:
            other.send(b"x")
            loop.watch(sock, 0, READ, partial(ready, sock))
        nursery.start_soon(loop.run)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert len(called) == 1
