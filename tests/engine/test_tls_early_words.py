"""What a TLS server says in the same segment as the last words of its handshake, before it was asked.

They are read together, and no poller tells of what has been read.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
import trustme
from engine_harness import MS, OK_ANSWER, SECOND, Handler, job_for, run_job, serving
from test_connections import on_every_transport, with_client

from loadtool.plan.job import PhaseSpec

JUNK = b"\x00" * 40
TIMEOUT = 20 * SECOND  # which nobody waits for


class Authority:
    """With TLS 1.2, and without a session to resume, the server has the last word of a handshake."""

    def __init__(self) -> None:
        self._root = trustme.CA()
        self._leaf = self._root.issue_cert("127.0.0.1")

    def server(self) -> ssl.SSLContext:
        """One that knows no session of another."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._root.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Secured:
    """The server's side of a connection, which chooses what goes into a segment."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_side=True)

    def shake_hands(self) -> None:
        """All but the last words, which remain to be sent."""
        while True:
            try:
                self.tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.sock.sendall(self.going.read())
                self.hear()

    def hear(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError("the client left")
        self.coming.write(data)

    def send(self, data: bytes = b"") -> None:
        self.sock.sendall(self.going.read() + data)

    def say_goodbye(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()  # which waits for the client's

    def serve(self) -> None:
        """Answer whatever is asked."""
        while True:
            with suppress(ssl.SSLWantReadError):
                while self.tls.read(65536):
                    self.tls.write(OK_ANSWER)
                return
            if self.going.pending:
                self.send()
            self.hear()

    def wait(self) -> None:
        """Until the client leaves."""
        while self.sock.recv(65536):
            pass


def nothing(it: Secured) -> None:
    it.send()
    it.serve()


def goodbye(it: Secured) -> None:
    it.say_goodbye()
    it.send()
    it.wait()


def junk(it: Secured) -> None:
    it.send(JUNK)
    it.wait()


def turned_away(it: Secured) -> None:
    it.tls.write(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    it.say_goodbye()
    it.send()
    it.wait()


def half_a_record(it: Secured) -> None:
    it.tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    data = it.going.read()
    it.sock.sendall(data[:-5])
    it.hear()  # the request
    it.sock.sendall(data[-5:])
    it.wait()


@dataclass(frozen=True)
class Row:
    behave: Callable[[Secured], None]
    outcome: str
    words: str = ""

    def __str__(self) -> str:
        return self.behave.__name__


ROWS = [
    Row(nothing, "ok"),
    Row(goodbye, "reset", "the connection was closed before an answer came"),
    Row(junk, "reset", "TLS: "),
    Row(turned_away, "shed"),
    Row(half_a_record, "ok"),
]


def behaving(authority: Authority, *behaviours: Callable[[Secured], None]) -> Handler:
    """The first, second, … connection; the last one for all that follow."""
    number, lock = itertools.count(), threading.Lock()

    def handler(sock: socket.socket) -> None:
        with lock:
            behave = behaviours[min(next(number), len(behaviours) - 1)]
        it = Secured(sock, authority.server())
        it.shake_hands()
        behave(it)

    return handler


@on_every_transport
@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_early_words(row: Row, authority: Authority) -> None:
    with serving(behaving(authority, row.behave)) as server:
        job = job_for(server.port, scheme="https", count=10, rate=100, timeout_ns=TIMEOUT)
        done = await run_job(job, tls=authority.client())
    assert done.outcomes == {row.outcome: 10}
    if row.words:
        assert row.words in done.examples[row.outcome].detail


async def test_early_words_to_nobody(authority: Authority) -> None:
    """A connection that is opened again, and says goodbye before anybody needs it."""
    # In the midst of a pause, so that a busy machine is done with the third before it, and has its goodbye
    # long before the fourth.
    phases = (
        PhaseSpec("before", "spike", 10.0, 250 * MS),
        PhaseSpec("pause", "spike", 0.001, 6 * SECOND),
        PhaseSpec("after", "spike", 10.0, 700 * MS),
    )
    with serving(behaving(authority, nothing, goodbye, nothing)) as server:
        job = job_for(server.port, scheme="https", phases=phases, connections=1, timeout_ns=TIMEOUT)
        done = await run_job(with_client(job, reconnect_ns=(3 * SECOND,)), tls=authority.client())
        assert server.connections == 3
    assert done.outcomes == {"ok": 10}
