"""A reused connection that the server ends before it answers: a race is tried again, a crash is told.

Whether it is one or the other shows in what the server's kernel has acknowledged.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_harness import (
    OK_ANSWER,
    Done,
    Handler,
    answering,
    job_for,
    read_request,
    run_job,
    serving,
    serving_unix,
)
from hostile_servers import reset
from racing_server import ending_as_the_next_comes, needs_filters

from loadtool.engine.unacknowledged import UNKNOWN, unacknowledged
from loadtool.plan.job import Endpoint, RequestSpec

pytestmark = pytest.mark.usefixtures("transport")

UPLOAD = (RequestSpec("post", 1.0, "POST", "/", body_kind="raw", body="x" * (8 << 20)),)
CLOSED = "the connection was closed before an answer came"


def in_turn(*behaviours: Handler) -> Handler:
    """One for each connection, the last one for all that follow."""
    numbers = itertools.count()

    def handler(sock: socket.socket) -> None:
        behaviours[min(next(numbers), len(behaviours) - 1)](sock)

    return handler


def crash(sock: socket.socket) -> None:
    """Answers once, and dies of the next request."""
    if read_request(sock):
        sock.sendall(OK_ANSWER)
        read_request(sock)


def crash_in_upload(sock: socket.socket) -> None:
    """... with much of it still to come, and much read: a little, a kernel may be slow to acknowledge."""
    read_request(sock)
    sock.sendall(OK_ANSWER)
    sock.recv(1 << 20, socket.MSG_WAITALL)
    reset(sock)


def retried(done: Done) -> int:
    return sum(frame.retried for frame in done.frames)


@needs_filters
async def test_a_race_costs_a_second_try_and_no_error() -> None:
    with serving(ending_as_the_next_comes()) as server:
        done = await run_job(job_for(server.port, count=1 + 10, connections=1))
    assert done.outcomes == {"ok": 11}
    assert retried(done) == server.connections - 1 == 10
    assert done.tally.totals.attempts == 11


@needs_filters
async def test_only_one_more_try() -> None:
    received: list[bytes] = []

    def close(sock: socket.socket) -> None:
        received.append(read_request(sock))

    with serving(in_turn(ending_as_the_next_comes(), close)) as server:
        done = await run_job(job_for(server.port, count=2, rate=20, connections=1))
    assert done.outcomes == {"ok": 1, "reset": 1}
    assert (retried(done), len(received)) == (1, 1)


async def test_a_crash_is_an_error() -> None:
    """Every second request kills its connection, and none of them is sent twice."""
    with serving(crash) as server:
        done = await run_job(job_for(server.port, count=20, connections=1))
    assert done.outcomes == {"ok": 10, "reset": 10}
    assert retried(done) == 0
    assert server.connections == 10
    assert done.tally.totals.attempts == 20
    assert done.examples["reset"].detail.endswith(CLOSED)


@needs_filters
@pytest.mark.parametrize(
    ("method", "outcomes", "again"),
    [
        ("GET", {"ok": 20}, 19),
        ("PUT", {"ok": 20}, 19),
        ("POST", {"ok": 10, "reset": 10}, 0),
        ("PATCH", {"ok": 10, "reset": 10}, 0),
    ],
)
@pytest.mark.parametrize("working_s", [0, 0.005])
async def test_what_may_have_been_read_is_repeated_if_it_may_be_and_counted(
    method: str, outcomes: dict[str, int], again: int, working_s: float
) -> None:
    """A reset comes sooner than a kernel acknowledges what was read, and the request was read."""
    received: list[bytes] = []

    def crash_at_once(sock: socket.socket) -> None:
        received.append(read_request(sock))
        sock.sendall(OK_ANSWER)
        received.append(read_request(sock))
        time.sleep(working_s)
        reset(sock)

    requests = (RequestSpec("one", 1.0, method, "/"),)
    with serving(crash_at_once) as server:
        done = await run_job(job_for(server.port, count=20, connections=1, requests=requests))
    assert done.outcomes == outcomes
    assert retried(done) == again
    assert len([request for request in received if request]) == done.tally.totals.attempts == 20 + again
    for example in done.examples.values():
        assert example.detail.endswith("Connection reset by peer (ECONNRESET) before an answer came")


async def test_a_crash_under_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with serving(crash, contexts[0]) as server:
        job = job_for(server.port, count=20, connections=1, scheme="https")
        done = await run_job(job, tls=contexts[1])
    assert done.outcomes == {"ok": 10, "reset": 10}
    assert retried(done) == 0


async def test_a_crash_in_the_middle_of_an_upload() -> None:
    with serving(in_turn(crash_in_upload, answering(OK_ANSWER))) as server:
        done = await run_job(job_for(server.port, count=2, rate=10, connections=1, requests=UPLOAD))
    assert done.outcomes == {"ok": 1, "reset": 1}
    assert retried(done) == 0


async def test_a_crash_at_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with serving_unix(path, crash):
        job = job_for(0, count=20, connections=1)
        done = await run_job(replace(job, endpoint=Endpoint("http", path, 0, "localhost", "localhost")))
    assert done.outcomes == {"ok": 10, "reset": 10}
    assert retried(done) == 0


def test_what_has_arrived_is_acknowledged() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        ours.sendall(b"x" * 1000)
        assert len(theirs.recv(1000, socket.MSG_WAITALL)) == 1000
        theirs.close()
        assert ours.recv(1) == b""
        assert unacknowledged(ours.fileno()) == 0


def test_who_cannot_tell_says_so(tmp_path: Path) -> None:
    with open(tmp_path / "no socket", "wb") as file:
        assert unacknowledged(file.fileno()) == UNKNOWN
