"""What runs out on this machine under the transport httpx: as with the reactor, never the target's fault."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    answering,
    ensure,
    job_for,
    run_job,
    serving,
    with_time_enough,
)
from racing_server import needs_filters
from test_exhaustion import (
    LOCAL,
    Counting,
    bodies_without_room,
    failing,
    local,
    second_try_without_a_file,
)

from loadtool.engine.httpx_transport import HttpxTransport
from loadtool.engine.transports import Parts, Transport


class Bench:
    """Puts the transport together with sockets that fail."""

    def __init__(self, fail: Callable[[], None]) -> None:
        self.poller: Counting | None = None
        self._fail = fail

    def __call__(self, parts: Parts) -> Transport:
        self.poller = Counting(parts.poller)
        return HttpxTransport(replace(parts, poller=self.poller), self._new_socket)

    def _new_socket(self, family: int, kind: int) -> socket.socket:
        self._fail()
        return socket.socket(family, kind)


@pytest.mark.parametrize("name", LOCAL)
async def test_what_comes_back_costs_no_arrival(name: str) -> None:
    bench = Bench(failing(2, OSError(getattr(errno, name), "")))
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=5, timeout_ns=20 * SECOND), transport=bench)
    assert done.outcomes == {"ok": 5}
    assert local(done) == {name: 2}


async def test_without_memory_for_a_socket() -> None:
    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=5, timeout_ns=20 * SECOND)
        done = await run_job(job, transport=Bench(failing(2, MemoryError())))
    assert done.outcomes == {"ok": 5}
    assert local(done) == {"ENOMEM": 2}


async def test_what_stays_away_is_waited_for_without_haste() -> None:
    async def attempt(timeout_ms: int) -> None:
        bench = Bench(failing(1 << 30, OSError(errno.EMFILE, "")))
        with serving(answering(OK_ANSWER)) as server:
            done = await run_job(job_for(server.port, timeout_ns=timeout_ms * MS), transport=bench)
        assert done.outcomes == {"unsent": 10}
        words = "this machine could open no connection: Too many open files (EMFILE)"
        assert done.examples["unsent"].detail == words
        # One dial in 50 ms, but for those that are begun together; and a few turns for each and each arrival.
        tries = (done.frames[-1].elapsed_ns // (50 * MS) + 1) * 10
        assert 1 <= local(done)["EMFILE"] <= tries
        assert bench.poller is not None
        ensure(bench.poller.turns <= 100 + 10 * tries, f"{bench.poller.turns} turns")

    await with_time_enough(attempt, 300, 3_000, 10_000)


async def test_bodies_that_there_is_no_room_for() -> None:
    done = await bodies_without_room("httpx")
    assert done.outcomes == {"timeout": 5}
    assert local(done) == {"ENOMEM": 5}


@needs_filters
async def test_a_second_try_without_a_file_for_it_waits() -> None:
    done = await second_try_without_a_file(Bench)
    assert done.outcomes == {"ok": 2}
    assert local(done) == {"EMFILE": 1}
    assert done.tally.totals.attempts == 2
