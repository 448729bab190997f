"""The exchange of `try`, over real sockets on this machine."""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from engine_harness import free_port

from loadtool.engine.exchange import Exchange, exchange
from loadtool.engine.tls import client_context
from loadtool.engine.transports import ONCE
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint, ExpectSpec, TlsSpec
from loadtool.plan.message import Message

GET = Message("GET", "/thing?x=1", (("X-One", "1"),), b"")
CLIENT = ClientSpec(5_000_000_000, None, 10, True, (429, 503))
EMPTY = b"\r\nContent-Length: 0\r\n\r\n"
ANYTHING = Expectation.of(ExpectSpec())

Handler = Callable[[trio.SocketStream], object]


@pytest.fixture(params=list(ONCE), autouse=True)
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "exchange", ONCE[request.param]())


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """A server on a free port of 127.0.0.1 for the time of the block."""

    async def serve(stream: trio.SocketStream) -> None:
        both: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        if tls is not None:
            both = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            await handler(both)  # type: ignore[arg-type,misc]  # either stream will do
        except trio.BrokenResourceError:
            pass  # the client need not wait for our end of TLS
        finally:
            await trio.aclose_forcefully(both)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        yield Endpoint(
            "http" if tls is None else "https", "127.0.0.1", port, f"shop.test:{port}", "shop.test", "/v1"
        )
        nursery.cancel_scope.cancel()


def answering(answer: bytes, seen: list[bytes] | None = None) -> Handler:
    async def handler(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = await stream.receive_some()
            if not data:
                return
            head += data
        if seen is not None:
            seen.append(head)
        await stream.send_all(answer)

    return handler


async def test_shows_what_was_sent_and_what_came_back() -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5\r\n\r\nhello"
    async with server(answering(answer, seen)) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, ANYTHING)
    assert done.sent == seen[0]
    assert done.sent.startswith(b"GET /v1/thing?x=1 HTTP/1.1\r\nHost: shop.test:")
    assert b"X-One: 1\r\n" in done.sent
    assert (done.outcome, done.detail, done.head, done.body) == (
        "ok", "", "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 5", b"hello",
    )  # fmt: skip
    assert done.address == f"127.0.0.1:{endpoint.port}"
    assert done.dns_ms is not None
    assert done.connect_ms is not None
    assert done.tls_ms is None
    assert done.first_byte_ms is not None
    assert done.total_ms is not None
    assert done.total_ms >= done.first_byte_ms


@pytest.mark.parametrize(
    ("answer", "spec", "outcome", "detail"),
    [
        (b"HTTP/1.1 404 No" + EMPTY, ExpectSpec(), "status", "got status 404, want 200 to 399"),
        (b"HTTP/1.1 404 No" + EMPTY, ExpectSpec(status=(404,)), "ok", ""),
        (b"HTTP/1.1 503 No" + EMPTY, ExpectSpec(), "shed", "got status 503, want 200 to 399"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", ExpectSpec(contains=("yes",)), "check",
         "the body does not contain 'yes'"),
        (b"HTTP/1.1 302 Found\r\nLocation: /" + EMPTY, ExpectSpec(), "ok", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK" + EMPTY, ExpectSpec(), "ok", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", ExpectSpec(contains=("the end",)), "ok", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ExpectSpec(), "reset",
         "the connection was closed in the middle of the answer"),
        (b"", ExpectSpec(), "reset", "the connection was closed before an answer came"),
    ],
)  # fmt: skip
async def test_says_what_a_run_would_count(
    answer: bytes, spec: ExpectSpec, outcome: str, detail: str
) -> None:
    async with server(answering(answer)) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, Expectation.of(spec))
    assert (done.outcome, done.detail) == (outcome, detail)


async def test_what_is_no_http_is_a_protocol_error() -> None:
    async with server(answering(b"SSH-2.0-OpenSSH\r\n")) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, ANYTHING)
    assert done.outcome == "protocol"
    assert not done.answered


async def test_an_answer_to_head_has_no_body() -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as endpoint:
        done = await exchange(Message("HEAD", GET.target, GET.headers, b""), endpoint, CLIENT, ANYTHING)
    assert (done.outcome, done.body) == ("ok", b"")


async def test_a_compressed_answer_is_decoded_for_expect_and_for_the_eye() -> None:
    body = gzip.compress(b"hello")
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with server(answering(answer)) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, Expectation.of(ExpectSpec(contains=("hell",))))
        assert (done.outcome, done.body) == ("ok", b"hello")
    async with server(answering(answer.replace(b": gzip", b": br"))) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, Expectation.of(ExpectSpec(contains=("hell",))))
    assert (done.outcome, done.body) == ("check", body)
    assert done.detail.startswith("the body is coded as br, which is not decoded")


async def test_over_a_unix_domain_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as sock:
        await sock.bind(path)
        sock.listen()
        listener = trio.SocketListener(sock)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, answering(b"HTTP/1.1 200 OK" + EMPTY), [listener])
            done = await exchange(GET, Endpoint("http", path, 0, "x", "x"), CLIENT, ANYTHING)
            nursery.cancel_scope.cancel()
    assert (done.outcome, done.address) == ("ok", f"unix:{path}")


async def test_over_a_unix_domain_socket_whose_queue_is_full(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(path)
        listener.listen(0)
        other.connect(path)
        done = await exchange(GET, Endpoint("http", path, 0, "x", "x"), CLIENT, ANYTHING)
    assert (done.outcome, done.detail) == ("connect", "the target's queue of connections is full")


async def test_counts_the_interim_answers_before_the_final_one() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    for before, n in ((b"", 0), (early, 2)):
        async with server(answering(before + b"HTTP/1.1 204 OK\r\n\r\n")) as endpoint:
            done = await exchange(GET, endpoint, CLIENT, ANYTHING)
        assert (done.outcome, done.head) == ("ok", "HTTP/1.1 204 OK")
        assert done.interims == (n if exchange is ONCE["http1"]() else 0)  # httpx says nothing of them


async def test_a_silent_server_times_out() -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    client = ClientSpec(100_000_000, None, 10, True, ())
    async with server(silent) as endpoint:
        done = await exchange(GET, endpoint, client, ANYTHING)
    assert (done.outcome, done.detail) == ("timeout", "no whole answer within 0.1 s")


async def test_a_refused_connection() -> None:
    port = free_port()
    done = await exchange(GET, Endpoint("http", "127.0.0.1", port, "x", "x"), CLIENT, ANYTHING)
    assert (done.outcome, done.detail) == ("connect", "Connection refused (ECONNREFUSED)")
    assert done.address == f"127.0.0.1:{port}"
    assert not done.answered


async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(answering(b"HTTP/1.1 204 OK\r\n\r\n")) as endpoint:
        dead = ("127.0.0.1", free_port())

        class Resolver(trio.abc.HostnameResolver):
            async def getaddrinfo(self, *_: object, **__: object) -> list[Any]:
                return [(2, 1, 6, "", dead), (2, 1, 6, "", ("127.0.0.1", endpoint.port))]

            async def getnameinfo(self, *_: object) -> tuple[str, str]:
                raise AssertionError("nobody asks for the name of an address")

        trio.socket.set_custom_hostname_resolver(Resolver())
        done = await exchange(GET, Endpoint("http", "shop.test", endpoint.port, "x", "x"), CLIENT, ANYTHING)
    assert (done.outcome, done.address) == ("ok", f"127.0.0.1:{endpoint.port}")


async def test_a_name_that_does_not_exist() -> None:
    done = await exchange(GET, Endpoint("http", "no-such-host.invalid", 80, "x", "x"), CLIENT, ANYTHING)
    assert done.outcome == "dns"
    assert done.detail.startswith("cannot resolve no-such-host.invalid: ")


async def test_an_early_answer_to_a_large_body_is_read() -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    message = Message("POST", "/", (), b"x" * 8_000_000)

    async def hasty(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await trio.sleep_forever()  # reads no more: the client must not wait until all is sent

    async with server(hasty) as endpoint:
        done = await exchange(message, endpoint, CLIENT, ANYTHING)
    assert (done.outcome, done.detail) == ("status", "got status 413, want 200 to 399")


def contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for `name`, and a client's that trusts its authority."""
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(theirs)
    ours = client_context(TlsSpec())
    authority.configure_trust(ours)
    return theirs, ours


async def tls_exchange(name: str) -> Exchange:
    theirs, ours = contexts(name)
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), theirs) as endpoint:
        return await exchange(GET, endpoint, CLIENT, ANYTHING, ours)


async def test_tls_with_the_endpoint_s_server_name() -> None:
    done = await tls_exchange("shop.test")
    assert (done.outcome, done.body, done.tls) == ("ok", b"ok", "TLSv1.3")
    assert done.tls_ms is not None


async def test_a_certificate_for_another_name_is_not_accepted() -> None:
    done = await tls_exchange("bank.test")
    assert done.outcome == "tls"
    assert done.detail.startswith("certificate not accepted: Hostname mismatch")


async def test_a_body_that_tls_did_not_end_may_have_been_cut() -> None:
    theirs, ours = contexts("shop.test")
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it?"), theirs) as endpoint:
        done = await exchange(GET, endpoint, CLIENT, ANYTHING, ours)
    assert done.outcome == "reset"
    assert done.detail.startswith("TLS: the connection was closed without a close_notify")
