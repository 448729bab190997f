"""Dialling: for how long, how fast, and what becomes of those who wait for it, on both transports."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    answering,
    job_for,
    read_request,
    run_job,
    serving,
    with_time_enough,
)
from racing_server import await_request, deafen, end, ending_as_the_next_comes, needs_filters
from test_hostile_connections import full_queue

from loadtool.engine.feed import FAR
from loadtool.engine.transports import TRANSPORTS, Parts, Transport
from loadtool.plan.job import Endpoint, Job

on_every_transport = pytest.mark.usefixtures("transport")


def with_client(job: Job, **changes: Any) -> Job:
    return replace(job, client=replace(job.client, **changes))


@on_every_transport
async def test_a_dial_is_given_up_when_those_it_began_for_may_not_wait_any_longer() -> None:
    """Nobody accepts: the only place for a connection is free again once the first deadline has passed."""
    made: list[socket.socket] = []

    def new_socket(family: int, kind: int) -> socket.socket:
        made.append(socket.socket(family, kind))
        return made[-1]

    with full_queue() as port:
        job = job_for(port, count=4, rate=2, timeout_ns=60 * SECOND, connections=1)
        job = with_client(job, deadline_ns=400 * MS)
        done = await run_job(job, transport=partial(TRANSPORTS[job.transport](), new_socket=new_socket))
    assert done.outcomes == {"unsent": 4}
    assert len(made) >= 2


@needs_filters
@on_every_transport
async def test_a_request_that_is_sent_again_keeps_the_bound_on_new_connections() -> None:
    """A server that answers once on each connection, and hangs up as the second request comes."""
    made: list[socket.socket] = []

    def new_socket(family: int, kind: int) -> socket.socket:
        made.append(socket.socket(family, kind))
        return made[-1]

    with serving(ending_as_the_next_comes()) as server:
        job = with_client(job_for(server.port, count=40, rate=80, timeout_ns=SECOND), dials_per_s=10.0)
        began = time.monotonic()
        done = await run_job(job, transport=partial(TRANSPORTS[job.transport](), new_socket=new_socket))
        elapsed = time.monotonic() - began
    assert done.outcomes["ok"] >= 1
    assert sum(frame.retried for frame in done.frames) >= 1
    # Each is opened a tenth of a second after the one before, however slow this machine is.
    assert (len(made) - 1) / 10 <= elapsed


@on_every_transport
async def test_a_worker_awaits_its_turn_to_open_its_first_connection() -> None:
    """The second of two, one connection a second for both: its first is opened a second after the start."""
    with serving(answering(OK_ANSWER)) as server:
        job = with_client(job_for(server.port, count=4, rate=10), dials_per_s=1.0)
        done = await run_job(job, worker=1, workers=2)
    assert done.outcomes == {"ok": 2}
    # Due at 0.1 and 0.3 s. However late this machine is, that is lag, and the two together are the wait.
    assert sum(done.values("queued")) + sum(done.values("lag")) >= 1_500_000


@needs_filters
@on_every_transport
async def test_nobody_waits_for_a_new_connection_while_another_is_idle() -> None:
    """The first connection fails its second request, and from then on no connection may be opened."""
    given: list[Parts] = []
    accepted = itertools.count()
    others_open, raced, reused = threading.Event(), threading.Event(), threading.Event()

    def first(sock: socket.socket) -> None:
        read_request(sock)
        assert others_open.wait(20)
        deafen(sock)
        sock.sendall(OK_ANSWER)
        await_request(sock)
        raced.set()
        assert reused.wait(20)
        end(sock)

    def other(sock: socket.socket) -> None:
        """Leaves the next request to the first one, and is idle for most of the time once that has it."""
        read_request(sock)
        given[0].pace.next = FAR
        sock.sendall(OK_ANSWER)
        others_open.set()
        for served in itertools.count(1):
            if not read_request(sock):
                return
            assert raced.wait(20)
            sock.sendall(OK_ANSWER)
            if served == 3:
                reused.set()

    def handler(sock: socket.socket) -> None:
        (other if next(accepted) else first)(sock)

    with serving(handler) as server:
        job = with_client(job_for(server.port, count=40, rate=80, timeout_ns=5 * SECOND), dials_per_s=20.0)
        make = TRANSPORTS[job.transport]()

        def transport(parts: Parts) -> Transport:
            given.append(parts)
            return make(parts)

        done = await run_job(job, transport=transport)
    assert done.outcomes.keys() <= {"ok", "reset"}
    assert sum(frame.retried for frame in done.frames) >= 1


@on_every_transport
async def test_a_full_queue_of_the_target_is_told_as_that(tmp_path: Path) -> None:
    """A unix-domain socket says at once that it is full. Waiting for that is a try, as it is over TCP."""
    path = str(tmp_path / "full.sock")

    async def attempt(timeout_ms: int) -> None:
        job = job_for(0, count=20, timeout_ns=timeout_ms * MS)
        done = await run_job(replace(job, endpoint=Endpoint("http", path, 0, "localhost", "localhost")))
        assert done.outcomes == {"unsent": 20}
        words = f"unix:{path}: the target's queue of connections was full until the timeout"
        assert done.examples["unsent"].detail == words
        assert done.tally.totals.attempts == 20
        assert all(frame.local == {} for frame in done.frames)

    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(path)
        listener.listen(0)
        other.connect(path)
        await with_time_enough(attempt, 1_000, 3_000, 10_000)
