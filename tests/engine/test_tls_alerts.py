"""A TLS server's alert after the handshake: in place of an answer it is about TLS, within one it cuts it off.

With TLS 1.3 a client's handshake is done before the server has seen its certificate, or that it has none.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest
import trustme
from engine_harness import OK_ANSWER, SECOND, Handler, job_for, run_job, serving
from test_connections import on_every_transport
from test_tls_early_words import Secured

from loadtool.engine.transports import ONCE
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint, ExpectSpec
from loadtool.plan.message import Message

TIMEOUT = 10 * SECOND  # which nobody waits for
FORGED = b"\x17\x03\x03\x00\x28" + bytes(40)  # looks like a record, and was not made with the key
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


class Authority:
    def __init__(self) -> None:
        self._root = trustme.CA()
        self._leaf = self._root.issue_cert("127.0.0.1")

    def server(self, *, mutual: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._leaf.configure_cert(context)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            self._root.configure_trust(context)
        return context

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._root.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def alert(it: Secured) -> None:
    """Be told what nobody of the two has said, and complain of it."""
    it.coming.write(FORGED)
    with pytest.raises(ssl.SSLError):
        it.tls.read(1)


def refusing(authority: Authority) -> Handler:
    """Wants a certificate, and stays until the client has heard it."""

    def handler(sock: socket.socket) -> None:
        it = Secured(sock, authority.server(mutual=True))
        with pytest.raises(ssl.SSLError):
            it.shake_hands()
        it.send()
        it.wait()

    return handler


def alerting(authority: Authority, before: bytes) -> Handler:
    """Says this to the first request of each connection, and then complains."""

    def handler(sock: socket.socket) -> None:
        it = Secured(sock, authority.server(mutual=False))
        it.shake_hands()
        it.send()
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            try:
                asked += it.tls.read(65536)
            except ssl.SSLWantReadError:  # it may have come with the handshake's end
                it.hear()
        if before:
            it.tls.write(before)
        alert(it)
        it.send()
        it.wait()

    return handler


@on_every_transport
@pytest.mark.parametrize(
    ("handler_of", "outcome", "words"),
    [
        (refusing, "tls", "TLS: TLSV13_ALERT_CERTIFICATE_REQUIRED before an answer came"),
        (lambda authority: alerting(authority, b""), "tls", "ALERT_BAD_RECORD_MAC before an"),
        (lambda authority: alerting(authority, HALF), "reset", "in the middle of the answer"),
    ],
)
async def test_an_alert_after_the_handshake(
    authority: Authority, handler_of: Callable[[Authority], Handler], outcome: str, words: str
) -> None:
    with serving(handler_of(authority)) as server:
        job = job_for(server.port, scheme="https", count=10, rate=100, timeout_ns=TIMEOUT)
        done = await run_job(job, tls=authority.client())
    assert done.outcomes == {outcome: 10}
    assert words in done.examples[outcome].detail
    assert done.tally.totals.attempts == 10


async def test_an_alert_behind_a_whole_answer_concerns_nobody(authority: Authority) -> None:
    """They are read together; `httpx` would see it with the next request, which the server has then."""
    with serving(alerting(authority, OK_ANSWER)) as server:
        job = job_for(server.port, scheme="https", count=5, rate=100, timeout_ns=TIMEOUT)
        done = await run_job(job, tls=authority.client())
    assert done.outcomes == {"ok": 5}


@pytest.mark.parametrize("transport", list(ONCE))
@pytest.mark.parametrize(
    ("handler_of", "outcome"),
    [(refusing, "tls"), (lambda authority: alerting(authority, HALF), "reset")],
)
async def test_one_exchange_says_what_a_run_would_count(
    authority: Authority, handler_of: Callable[[Authority], Handler], outcome: str, transport: str
) -> None:
    exchange = ONCE[transport]()
    with serving(handler_of(authority)) as server:
        done = await exchange(
            Message("GET", "/", (), b""),
            Endpoint("https", "127.0.0.1", server.port, "127.0.0.1", "127.0.0.1"),
            ClientSpec(TIMEOUT, None, 10, True, (429, 503)),
            Expectation.of(ExpectSpec()),
            tls=authority.client(),
        )
    assert done.outcome == outcome
