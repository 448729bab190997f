"""Hostile servers that do not wait for a request: on accept, in the handshake, or by not being there."""

from __future__ import annotations

import errno
import itertools
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest
from engine_harness import MS, OK_ANSWER, Handler, ensure, job_for, run_job, serving, with_time_enough
from hostile_servers import (
    drips,
    hold,
    read_head,
    reset,
    says_and_closes,
    says_and_holds,
    says_and_resets,
)
from racing_server import await_request, deafen, end, needs_filters

from loadtool.engine.connection import SMALL
from loadtool.engine.http1_transport import Http1Transport
from loadtool.engine.poller import Poller
from loadtool.engine.traffic import ROOMIER
from loadtool.engine.transports import Parts

# Timeouts: where one is to be seen, longer where a machine stalls for as long as the one before; and where
# none is.
SHORT_MS, LONG_MS = (500, 2_000, 10_000), (20_000,)
CPU_MS = 250  # of a worker that mostly waits
ALL = 1 << 30

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOT_READY = "the connection opened for it was not ready before the timeout"
# The beginning of a TLS record of 16 KiB that never comes.
HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"


def after_a_head(behave: Handler) -> Handler:
    def handler(sock: socket.socket) -> None:
        read_head(sock)
        behave(sock)

    return handler


def after_some_bytes(behave: Handler) -> Handler:
    def handler(sock: socket.socket) -> None:
        sock.recv(64)
        behave(sock)

    return handler


def answer_early(sock: socket.socket) -> None:
    """The first request before it has come, and others as they come."""
    sock.sendall(OK_ANSWER)
    read_head(sock)
    while read_head(sock):
        sock.sendall(OK_ANSWER)


def answer_and_reset_when_asked(sock: socket.socket) -> None:
    """Closed with the request unread, which resets the connection under the answer."""
    sock.sendall(BUSY)
    sock.recv(1, socket.MSG_PEEK)


@dataclass(frozen=True)
class Row:
    name: str
    behave: Handler  # what becomes of a connection that has just been accepted
    outcomes: tuple[str, ...]  # any of these; and ok, of those that meet the server when it is healthy
    words: str = ""  # in the example of the first of them that came
    first: int = 4  # so many connections are treated like this, and the others well
    tls: bool = False

    def __str__(self) -> str:
        return self.name


ROWS = [
    Row("closed on accept", says_and_closes(b""), ("reset",), "before an answer came"),
    Row("reset on accept", reset, ("reset", "connect"), "ECONNRESET"),
    Row("an answer on accept", answer_early, ()),
    Row("a refusal on accept, then read on", says_and_holds(BUSY), ("shed",)),
    Row("a refusal on accept, then a reset", answer_and_reset_when_asked, ("shed", "reset")),
    Row("a banner on accept", says_and_holds(b"SSH-2.0-OpenSSH_9.2\r\n"), ("protocol",), "it began 'SSH-2.0"),
    Row("silence on accept", hold, ("timeout",), "no answer when the timeout expired"),
    Row("TLS garbage", says_and_holds(b"\xff" * 4000), ("tls",), "TLS: ", tls=True),
    Row("plain HTTP to a TLS client", after_some_bytes(says_and_holds(BUSY)), ("tls",), "TLS: ", tls=True),
    Row("closed before the handshake", says_and_closes(b""), ("tls",), tls=True),
    Row("closed in the handshake", after_some_bytes(says_and_closes(HELLO)), ("tls",), tls=True),
    Row("reset before the handshake", reset, ("tls", "connect"), tls=True),
    Row("reset in the handshake", after_some_bytes(says_and_resets(HELLO)), ("tls",), tls=True),
    Row("a TLS alert", after_some_bytes(says_and_holds(b"\x15\x03\x03\x00\x02\x02\x28")), ("tls",),
        "ALERT_HANDSHAKE_FAILURE", tls=True),
    Row("a handshake that never ends", hold, ("unsent",), NOT_READY, first=ALL, tls=True),
    Row("a handshake that drips", drips(HELLO, b"\x00"), ("unsent",), NOT_READY, first=ALL, tls=True),
    Row("a handshake that never ends while others do", hold, (), tls=True),
]  # fmt: skip


def turning(row: Row, context: ssl.SSLContext | None) -> Handler:
    """Lets `behave` loose on the row's first connections and serves the others."""
    numbers = itertools.count()

    def handler(sock: socket.socket) -> None:
        if next(numbers) < row.first:
            row.behave(sock)
            return
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
        with sock:
            while read_head(sock):
                sock.sendall(OK_ANSWER)

    return handler


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_hostile_on_accept(row: Row, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    waits = bool({"timeout", "unsent"} & set(row.outcomes))
    theirs, ours = contexts if row.tls else (None, None)

    async def attempt(timeout_ms: int) -> None:
        with serving(turning(row, theirs)) as server:
            scheme = "https" if row.tls else "http"
            job = job_for(server.port, count=8, rate=100, scheme=scheme, timeout_ns=timeout_ms * MS)
            cpu_ns = time.thread_time_ns()
            done = await run_job(job, tls=ours)
            cpu_ns = time.thread_time_ns() - cpu_ns
        found = done.outcomes
        well = found.pop("ok", 0)
        assert found.keys() <= set(row.outcomes)
        if row.first == ALL:
            assert sum(found.values()) == 8
        elif not row.outcomes:
            assert well == 8
        else:
            assert 1 <= sum(found.values()) <= row.first
        if row.words:
            assert row.words in next(iter(done.examples.values())).detail
        ensure(cpu_ns < CPU_MS * MS, f"{cpu_ns} ns of CPU")

    await with_time_enough(attempt, *(SHORT_MS if waits else LONG_MS))


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a listener that accepts nobody any more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        others = []
        try:
            for _ in range(4):
                sock = socket.socket()
                others.append(sock)
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            yield int(listener.getsockname()[1])
        finally:
            for sock in others:
                sock.close()


async def test_a_server_whose_queue_of_connections_is_full() -> None:
    async def attempt(timeout_ms: int) -> None:
        with full_queue() as port:
            cpu_ns = time.thread_time_ns()
            done = await run_job(job_for(port, timeout_ns=timeout_ms * MS))
            cpu_ns = time.thread_time_ns() - cpu_ns
        assert done.outcomes.keys() <= {"unsent", "timeout"}
        assert NOT_READY in done.examples["unsent"].detail
        assert all(frame.local == {} for frame in done.frames)
        ensure(cpu_ns < CPU_MS * MS, f"{cpu_ns} ns of CPU")

    await with_time_enough(attempt, *SHORT_MS)


async def test_connections_that_nobody_answers_leave_slots_for_others() -> None:
    """Two of four connections hang; each costs its request, and no other request waits for them."""

    async def attempt(timeout_ms: int) -> None:
        hanging = itertools.count()

        def handler(sock: socket.socket) -> None:
            while read_head(sock):
                if next(hanging) < 2:
                    hold(sock)
                    return
                sock.sendall(OK_ANSWER)

        with serving(handler) as server:
            done = await run_job(job_for(server.port, count=40, connections=4, timeout_ns=timeout_ms * MS))
        assert done.outcomes == {"ok": 38, "timeout": 2}

    await with_time_enough(attempt, *SHORT_MS)


async def test_an_answer_that_comes_as_the_next_request_is_due_is_not_its_answer() -> None:
    """Both are there when the worker wakes up: what nobody asked for, and the time to send."""
    due, said = threading.Event(), threading.Event()

    def handler(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(OK_ANSWER)
        if due.wait(30) and not said.is_set():
            sock.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            said.set()
        hold(sock)

    made: list[Http1Transport] = []

    class Waking:
        """A poller that goes to sleep only when it is too late."""

        def __init__(self, poller: Poller) -> None:
            self.poll, self.wait_until, self.fileno = poller.poll, poller.wait_until, poller.fileno
            self.register, self.modify = poller.register, poller.modify
            self.unregister, self.forget, self.close = poller.unregister, poller.forget, poller.close
            self._poller = poller

        def arm(self, when_ns: int) -> None:
            gauges = made[0].gauges()
            if gauges.connections and not gauges.in_flight and not due.is_set():
                due.set()
                assert said.wait(30)
                time.sleep(max(0.0, (when_ns - time.monotonic_ns()) / 1e9))
            self._poller.arm(when_ns)

    def transport(parts: Parts) -> Http1Transport:
        made.append(Http1Transport(replace(parts, poller=Waking(parts.poller))))
        return made[0]

    with serving(handler) as server:
        done = await run_job(job_for(server.port, count=2, rate=10), transport=transport)
    assert said.is_set()
    assert done.outcomes == {"ok": 2}
    assert server.connections == 2


@needs_filters
async def test_a_last_second_try_is_waited_for(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The schedule is over, and all that is under way is the handshake of a fresh connection."""
    numbers = itertools.count()

    def handler(sock: socket.socket) -> None:
        first = next(numbers) == 0
        if not first:
            time.sleep(0.3)
        with contexts[0].wrap_socket(sock, server_side=True) as secured:
            read_head(secured)
            if first:
                deafen(secured)
            secured.sendall(OK_ANSWER)
            if first:
                await_request(secured)
                end(secured)
            else:
                read_head(secured)

    with serving(handler) as server:
        job = job_for(server.port, count=2, rate=10, scheme="https", connections=1)
        done = await run_job(job, tls=contexts[1])
    assert done.outcomes == {"ok": 2}
    assert sum(frame.retried for frame in done.frames) == 1


async def test_a_refusal_is_read_though_the_request_could_not_be_sent() -> None:
    """The server has said no and closed before the request leaves: the send fails, the answer is there."""

    class Slow(socket.socket):
        def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # bytes are all it gets
            select.select([self], [], [])
            raise BrokenPipeError(errno.EPIPE, "")

    with serving(says_and_holds(BUSY)) as server:
        done = await run_job(job_for(server.port), transport=partial(Http1Transport, new_socket=Slow))
    assert done.outcomes == {"shed": 10}


@pytest.mark.parametrize("spare", [-1, 0, 1])
@pytest.mark.parametrize("spoilt", [1, 2, 3])
@pytest.mark.parametrize("tls", [False, True])
async def test_what_follows_an_answer_that_just_fills_the_room_for_it(
    tls: bool, spoilt: int, spare: int, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """It is seen at once, and not taken for the answer to the next request, which waits. So is what OpenSSL
    has decrypted of an answer, and the poller does not see.
    """
    theirs, ours = contexts if tls else (None, None)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Filler: "

    def handler(sock: socket.socket) -> None:
        for turn in range(1, 4):
            if not read_head(sock):
                return
            length = SMALL * ROOMIER ** (turn - 1) - spare  # the room there is then, or nearly
            answer = head.ljust(length - 4, b".") + b"\r\n\r\n"
            sock.sendall(
                answer + (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if turn == spoilt else b"")
            )
        hold(sock)

    with serving(handler, theirs) as server:
        scheme = "https" if tls else "http"
        job = job_for(server.port, count=6, rate=1_000_000, connections=1, scheme=scheme)
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 6}
    assert server.connections == -(-6 // spoilt)
