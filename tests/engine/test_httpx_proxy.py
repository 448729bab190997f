"""HTTP proxies of the transport httpx, with a real one in between."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from time import monotonic_ns as clock
from types import SimpleNamespace
from typing import cast

import httpcore
import httpx
import pytest
import trustme
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    Done,
    Handler,
    answering,
    free_port,
    job_for,
    read_request,
    run_job,
    serving,
    with_time_enough,
)
from h2_server import Seen, speaking_h2
from proxy_server import Proxied, proxying

from loadtool.engine.connection import Arrival
from loadtool.engine.httpx_exchange import Exchange
from loadtool.engine.httpx_link import Link
from loadtool.engine.ledger import Ledger
from loadtool.engine.transports import ONCE
from loadtool.measure.outcome import H_CONNECT
from loadtool.measure.recorder import Cell
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec, Job, ProxySpec
from loadtool.plan.message import Message

USER = "me:p@ss"


def through(job: Job, port: int, *, http2: bool = False, user: str = "", password: str = "") -> Job:
    proxy = ProxySpec("127.0.0.1", port, user, password)
    # Nobody can look this name up: whoever knows what it means is the proxy.
    endpoint = replace(job.endpoint, host="shop.test", authority="shop.test", server_name="shop.test")
    client = replace(job.client, http2=http2, proxy=proxy)
    return replace(job, transport="httpx", endpoint=endpoint, client=client)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA, *protocols: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(server)
    if protocols:
        server.set_alpn_protocols(list(protocols))
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_plain_http_is_forwarded() -> None:
    requests: list[bytes] = []

    def target(sock: socket.socket) -> None:
        while request := read_request(sock):
            requests.append(request)
            sock.sendall(OK_ANSWER)

    seen = Proxied()
    with serving(target) as server, serving(proxying(server.port, seen)) as proxy:
        job = through(job_for(8080, connections=1), proxy.port)
        done = await run_job(job)
    assert done.outcomes == {"ok": 10}
    assert seen.lines == ["GET http://shop.test:8080/ HTTP/1.1"] * 10
    assert proxy.connections == len(done.values("connect")) == 1
    assert b"\r\nHost: shop.test\r\n" in requests[0]
    assert b"roxy-Authorization" not in requests[0]


async def test_https_goes_through_a_tunnel(authority: trustme.CA) -> None:
    theirs, ours = contexts(authority)
    names: list[str | None] = []
    theirs.sni_callback = lambda sock, name, context: names.append(name)
    seen = Proxied()
    with serving(answering(OK_ANSWER), theirs) as server, serving(proxying(server.port, seen)) as proxy:
        job = through(job_for(443, scheme="https", connections=1), proxy.port)
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 10}
    assert seen.lines == ["CONNECT shop.test:443 HTTP/1.1"]
    assert names == ["shop.test"]
    assert len(done.values("connect")) == len(done.values("tls")) == 1
    assert done.tally.totals.attempts == 10  # asking the proxy is none


async def test_connecting_ends_with_the_proxy_s_consent(authority: trustme.CA) -> None:
    theirs, ours = contexts(authority)
    with (
        serving(answering(OK_ANSWER), theirs) as server,
        serving(proxying(server.port, Proxied(), ponders_s=0.05)) as proxy,
    ):
        job = through(job_for(443, scheme="https", connections=1), proxy.port)
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 10}
    assert len(done.values("connect")) == 1
    assert done.total("connect") >= 50_000


async def test_what_opening_a_spare_took_is_of_the_connecting_that_the_proxy_ends() -> None:
    """It was opened for whoever needs it first, and only that one's exchange asks the proxy."""
    now = clock()
    cell = Cell((0, 0, 0), True)
    spare = SimpleNamespace(spare=True, dialled_for=1000 * SECOND)
    attempt = Exchange(
        Arrival(now, now + SECOND, 0, cell, b""),
        Link(cast(httpcore.AsyncConnectionInterface, None), http2=False),
        now,
        ledger=cast(Ledger, None),
        url=httpx.URL("https://shop.test"),
        proxied=True,
        later=lambda link: None,
    )
    await attempt._trace("connection.connect_tcp.started", {})
    await attempt._trace("connection.connect_tcp.complete", {"return_value": spare})
    assert cell.sums[H_CONNECT] == 0
    await attempt._trace("http_proxy.start_tls.started", {})
    assert cell.sums[H_CONNECT] >= 1000 * 1_000_000  # µs


async def test_http2_goes_through_a_tunnel(authority: trustme.CA) -> None:
    theirs, ours = contexts(authority, "h2")
    seen, proxied = Seen(), Proxied()
    with (
        serving(speaking_h2(lambda peer, asked: peer.answer(asked), seen), theirs) as server,
        serving(proxying(server.port, proxied)) as proxy,
    ):
        job = through(job_for(8443, scheme="https", connections=2), proxy.port, http2=True)
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 10}
    assert seen.requests[0].headers[":authority"] == "shop.test"
    assert set(proxied.lines) == {"CONNECT shop.test:8443 HTTP/1.1"}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_proxy_is_told_who_asks(scheme: str, authority: trustme.CA) -> None:
    theirs, ours = contexts(authority) if scheme == "https" else (None, None)
    seen = Proxied()
    with (
        serving(answering(OK_ANSWER), theirs) as server,
        serving(proxying(server.port, seen, user=USER)) as proxy,
    ):
        job = through(job_for(8080, scheme=scheme), proxy.port, user="me", password="p@ss")
        done = await run_job(job, tls=ours)
    assert done.outcomes == {"ok": 10}


async def run_https(handler: Handler, authority: trustme.CA, timeout_ns: int = 5000 * MS) -> Done:
    _, ours = contexts(authority)
    with serving(handler) as proxy:
        job = through(job_for(443, scheme="https", timeout_ns=timeout_ns), proxy.port)
        return await run_job(job, tls=ours)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
         "407 Proxy Authentication Required"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", "502 Bad Gateway"),
        (b"", "the connection was closed"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP/1.x"),
    ],
)  # fmt: skip
async def test_a_proxy_that_opens_no_tunnel_is_a_connect_error(
    answer: bytes, words: str, authority: trustme.CA
) -> None:
    done = await run_https(proxying(0, Proxied(), answer=answer), authority)
    assert done.outcomes == {"connect": 10}
    detail = done.examples["connect"].detail
    assert detail.startswith("the proxy 127.0.0.1:")
    assert words in detail
    assert done.tally.totals.attempts == 10  # what fails before it leaves was tried


async def test_a_proxy_that_says_nothing_leaves_it_unsent(authority: trustme.CA) -> None:
    def silent(sock: socket.socket) -> None:
        while sock.recv(65536):
            pass

    async def attempt(timeout_ms: int) -> None:
        done = await run_https(silent, authority, timeout_ns=timeout_ms * MS)
        assert done.outcomes == {"unsent": 10}
        words = "the connection opened for it was not ready before the timeout"
        assert done.examples["unsent"].detail == words

    await with_time_enough(attempt, 100, 1_000, 10_000)


async def test_a_proxy_s_answer_to_plain_http_counts_as_the_target_s() -> None:
    with serving(proxying(0, Proxied(), answer=b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")) as proxy:
        done = await run_job(through(job_for(80), proxy.port))
    assert done.outcomes == {"status": 10}


async def test_a_certificate_behind_the_tunnel_is_checked(authority: trustme.CA) -> None:
    theirs, _ = contexts(authority)
    with (
        serving(answering(OK_ANSWER), theirs) as server,
        serving(proxying(server.port, Proxied())) as proxy,
    ):
        job = through(job_for(443, scheme="https"), proxy.port)
        done = await run_job(job, tls=ssl.create_default_context())
    assert done.outcomes == {"tls": 10}
    assert "certificate not accepted" in done.examples["tls"].detail


async def test_no_proxy_at_all() -> None:
    port = free_port()
    done = await run_job(through(job_for(80), port))
    assert done.outcomes == {"connect": 10}
    assert done.examples["connect"].detail == f"127.0.0.1:{port}: Connection refused (ECONNREFUSED)"


async def test_trying_a_request_through_a_proxy(authority: trustme.CA) -> None:
    theirs, ours = contexts(authority, "h2")
    seen, proxied = Seen(), Proxied()
    with (
        serving(speaking_h2(lambda peer, asked: peer.answer(asked), seen), theirs) as server,
        serving(proxying(server.port, proxied)) as proxy,
    ):
        job = through(job_for(443, scheme="https"), proxy.port, http2=True)
        expectation = Expectation.of(ExpectSpec(contains=("ok",)))
        message = Message("GET", "/thing", (("X-One", "1"),), b"")
        done = await ONCE["httpx"]()(message, job.endpoint, job.client, expectation, ours)
    assert (done.outcome, done.detail, done.body, done.tls) == ("ok", "", b"ok", "TLSv1.3")
    assert done.sent.startswith(b"GET /thing HTTP/2\r\nHost: shop.test\r\nX-One: 1\r\n")
    assert done.head == "HTTP/2 200 \r\nx-by: h2"
    assert done.address == f"127.0.0.1:{proxy.port}"
    assert None not in (done.dns_ms, done.connect_ms, done.tls_ms, done.first_byte_ms, done.total_ms)
