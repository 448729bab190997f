"""What a TLS server had said when it reset the connection, found by the write that meets the reset."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from functools import partial

import pytest
import trio
from engine_harness import OK_ANSWER, SECOND, Done, Handler, job_for, run_job, serving
from hostile_servers import reset
from test_connections import on_every_transport
from test_tls_alerts import Authority
from test_tls_early_words import Secured

from loadtool.engine.http1_transport import Http1Transport
from loadtool.engine.httpx_stream import Stream
from loadtool.engine.httpx_transport import HttpxTransport
from loadtool.engine.tls import client_context
from loadtool.engine.transports import ONCE, Maker
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint, ExpectSpec, RequestSpec, TlsSpec
from loadtool.plan.message import Message

GET = RequestSpec("get", 1.0, "GET", "/")
UPLOAD = RequestSpec("post", 1.0, "POST", "/", body_kind="raw", body="x" * 100_000)
TIMEOUT = 60 * SECOND  # which nobody waits for
FULL = b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n"
ENDLESS = b"HTTP/1.1 503 Full\r\n\r\nto the end"
HALF = b"HTTP/1.1 503 Full\r\nContent-Length: 100\r\n\r\nhalf"


class Ours(Authority):
    """With a run's own context, to which no end is a good one without TLS's goodbye."""

    def client(self) -> ssl.SSLContext:
        context = client_context(TlsSpec())
        self._root.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Ours()


def await_reset(fd: int) -> None:
    """Until the peer's reset has come."""
    poll = select.poll()
    poll.register(fd, 0)  # what is always told: an error, a hang-up
    assert poll.poll(30_000)


class Late(socket.socket):
    """What follows the handshake, of two flights with TLS 1.3, leaves once the peer has reset it."""

    flights = 0

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # bytes are all it gets
        self.flights += 1
        if self.flights > 2:
            await_reset(self.fileno())
        return super().send(data, flags)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Maker]:
    write = Stream.write

    async def late_write(stream: Stream, buffer: bytes, timeout: float | None = None) -> None:
        await_reset(stream._sock.fileno())
        await write(stream, buffer, timeout)

    def maker(transport: str) -> Maker:
        if transport == "http1":
            return partial(Http1Transport, new_socket=Late)
        monkeypatch.setattr(Stream, "write", late_write)
        return HttpxTransport

    return maker


def demanding(authority: Authority) -> Handler:
    """Wants a certificate, and does not wait until the client has heard it."""

    def handler(sock: socket.socket) -> None:
        it = Secured(sock, authority.server(mutual=True))
        try:
            it.shake_hands()
        except OSError:
            it.send()
            reset(sock)

    return handler


def turning_away(authority: Authority, answer: bytes, *, goodbye: bool = False) -> Handler:
    """Says this to everybody, unasked."""

    def handler(sock: socket.socket) -> None:
        it = Secured(sock, authority.server(mutual=False))
        it.shake_hands()
        it.tls.write(answer)
        if goodbye:
            it.say_goodbye()
        it.send()
        reset(sock)

    return handler


async def late_run(
    authority: Authority, handler: Handler, late: Callable[[str], Maker], request: RequestSpec
) -> Done:
    with serving(handler) as server:
        job = job_for(server.port, scheme="https", count=3, timeout_ns=TIMEOUT, requests=(request,))
        done = await run_job(job, tls=authority.client(), transport=late(job.transport))
    assert done.tally.totals.attempts == 3
    return done


@on_every_transport
@pytest.mark.parametrize("request_", [GET, UPLOAD], ids=["get", "upload"])
async def test_an_alert_is_heard(
    authority: Authority, late: Callable[[str], Maker], request_: RequestSpec
) -> None:
    done = await late_run(authority, demanding(authority), late, request_)
    assert done.outcomes == {"tls": 3}
    assert "TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED before an answer came" in done.examples["tls"].detail


@on_every_transport
@pytest.mark.parametrize("request_", [GET, UPLOAD], ids=["get", "upload"])
@pytest.mark.parametrize(
    ("answer", "goodbye", "outcome"),
    [
        (FULL, False, "shed"),
        (FULL, True, "shed"),
        (FULL.replace(b": 0", b": 20000") + bytes(20_000), False, "shed"),
        (ENDLESS, True, "shed"),
        (ENDLESS, False, "reset"),
        (HALF, False, "reset"),
        (HALF, True, "reset"),
        (OK_ANSWER, False, "ok"),
        (b"", True, "reset"),
    ],
)
async def test_an_answer_is_heard(
    authority: Authority,
    late: Callable[[str], Maker],
    answer: bytes,
    goodbye: bool,
    outcome: str,
    request_: RequestSpec,
) -> None:
    done = await late_run(authority, turning_away(authority, answer, goodbye=goodbye), late, request_)
    assert done.outcomes == {outcome: 3}
    if outcome == "reset":
        words = "in the middle of the answer" if answer else "before an answer came"
        assert done.examples["reset"].detail.endswith(words)


@pytest.fixture
def late_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `try` sends after a handshake leaves once the peer has reset the connection."""
    send_all, flights = trio.SocketStream.send_all, 0

    async def late_send_all(stream: trio.SocketStream, data: bytes | bytearray | memoryview) -> None:
        nonlocal flights
        flights += 1
        if flights > 2:
            await_reset(stream.socket.fileno())
        await send_all(stream, data)

    monkeypatch.setattr(trio.SocketStream, "send_all", late_send_all)


@pytest.mark.usefixtures("late_try")
@pytest.mark.parametrize("transport", list(ONCE))
@pytest.mark.parametrize("body", [b"", b"x" * 100_000], ids=["get", "upload"])
@pytest.mark.parametrize(
    ("answer", "goodbye", "outcome"),
    [
        (None, False, "tls"),
        (FULL.replace(b": 0", b": 20000") + bytes(20_000), False, "shed"),
        (ENDLESS, True, "shed"),
        (ENDLESS, False, "reset"),
        (HALF, False, "reset"),
    ],
)
async def test_one_exchange_says_what_a_run_would_count(
    authority: Authority, answer: bytes | None, goodbye: bool, outcome: str, body: bytes, transport: str
) -> None:
    """`answer` None: an alert."""
    handler = demanding(authority) if answer is None else turning_away(authority, answer, goodbye=goodbye)
    with serving(handler) as server:
        done = await ONCE[transport]()(
            Message("POST" if body else "GET", "/", (), body),
            Endpoint("https", "127.0.0.1", server.port, "127.0.0.1", "127.0.0.1"),
            ClientSpec(TIMEOUT, None, 10, True, (503,)),
            Expectation.of(ExpectSpec()),
            tls=authority.client(),
        )
    assert done.outcome == outcome
    if answer is None:
        assert "CERTIFICATE_REQUIRED" in done.detail
