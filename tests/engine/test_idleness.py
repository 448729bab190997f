"""Who waited for whom, where tasks do the work: idleness, and what follows for lag and queueing."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import cast

import httpcore
import httpx
import pytest
import trio

from loadtool.engine import idleness
from loadtool.engine.connection import Arrival
from loadtool.engine.httpx_exchange import Exchange
from loadtool.engine.httpx_link import Link
from loadtool.engine.idleness import Idleness
from loadtool.engine.ledger import Ledger
from loadtool.measure.outcome import H_LAG, H_QUEUED
from loadtool.measure.recorder import Cell
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec

US = 1000
MS = 1_000_000


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(
        names=["get"], expectations=[Expectation.of(ExpectSpec())], shed=(), good_within_ns=0, start_ns=0
    )


@pytest.fixture
async def watched(ledger: Ledger) -> AsyncIterator[Ledger]:
    instrument = Idleness(ledger)
    trio.lowlevel.add_instrument(instrument)
    yield ledger
    trio.lowlevel.remove_instrument(instrument)


async def test_a_loop_that_waits_for_the_next_event_is_idle(watched: Ledger) -> None:
    before = time.monotonic_ns()
    await trio.sleep(0.005)
    assert before <= watched.last_idle <= time.monotonic_ns() - 4 * MS  # when the waiting began


async def test_where_the_kernel_does_not_say_the_clock_does(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idleness, "_waits", lambda: 0)
    instrument = Idleness(ledger)
    trio.lowlevel.add_instrument(instrument)
    await trio.sleep(0.005)
    trio.lowlevel.remove_instrument(instrument)
    assert ledger.last_idle > 0


async def test_a_loop_with_tasks_that_can_run_is_not(watched: Ledger) -> None:
    await trio.lowlevel.checkpoint()
    watched.last_idle = 0

    async def work() -> None:
        for _ in range(200):
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
    assert watched.last_idle == 0


async def test_a_loop_whose_sockets_are_ready_is_not(watched: Ledger) -> None:
    """It asks the kernel each time, as no task can run; but there is always something to do.

    The test runner has a thread of its own, which may hold the interpreter's lock as a poll comes back. That
    poll has waited, for the lock. So a hundred polls have a few tries.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        await trio.lowlevel.checkpoint()
        for _ in range(5):
            watched.last_idle = 0
            for _ in range(100):
                await trio.lowlevel.wait_readable(ours)
            if not watched.last_idle:
                break
        assert watched.last_idle == 0


def exchange(ledger: Ledger, arrival: Arrival, granted: int) -> Exchange:
    return Exchange(
        arrival,
        Link(cast(httpcore.AsyncConnectionInterface, None), http2=False),
        granted,
        ledger=ledger,
        url=httpx.URL("http://localhost"),
        proxied=False,
        later=lambda link: None,
    )


DUE, LAUNCHED, GRANTED, SENT = 0, 2 * US, 40 * US, 45 * US


@pytest.mark.parametrize(
    ("name", "last_idle", "launched", "granted", "dialled", "lag", "queued"),
    [
        ("at once, on an idle connection", -1, LAUNCHED, LAUNCHED, None, 45, 0),
        ("waited for a connection while the loop rested", 30 * US, LAUNCHED, GRANTED, None, 2 + 5, 38),
        ("waited for a connection, and the loop never rested", -1, LAUNCHED, GRANTED, None, 45, 0),
        ("opened a connection of its own", 30 * US, LAUNCHED, LAUNCHED, (5 * US, 41 * US), 2 + 3 + 4, 0),
        ("waited, and then opened one", 42 * US, LAUNCHED, GRANTED, (41 * US, 44 * US), 2 + 1 + 1, 38),
        ("waited for the server's permission", 43 * US, LAUNCHED, GRANTED, None, 2, 43),
    ],
)  # fmt: skip
async def test_what_is_lag_and_what_is_queueing(
    name: str, last_idle: int, launched: int, granted: int, dialled: tuple[int, int] | None, lag: int,
    queued: int, ledger: Ledger, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    now = SimpleNamespace(ns=0)
    clock: Callable[[], int] = lambda: now.ns  # noqa: E731 - a clock that stands still
    monkeypatch.setattr("loadtool.engine.httpx_exchange.clock", clock)
    ledger.last_idle = last_idle
    cell = Cell((0, 0, 0), False)
    arrival = Arrival(DUE, DUE + 1000 * MS, 0, cell, b"GET / HTTP/1.1\r\n\r\n")
    arrival.launched = launched
    subject = exchange(ledger, arrival, granted)
    if dialled is not None:
        now.ns = dialled[0]
        await subject._trace("connection.connect_tcp.started", {})
        now.ns = dialled[1]
        await subject._trace("connection.connect_tcp.complete", {"return_value": None})
    now.ns = SENT
    await subject._trace("http11.send_request_headers.started", {"request": SimpleNamespace(method=b"GET")})
    assert cell.values[H_LAG] == {lag: 1}
    assert cell.values[H_QUEUED] == {max(queued, 1): 1}  # the smallest bucket
    assert cell.sums[H_QUEUED] == queued
    assert cell.attempts == 1
