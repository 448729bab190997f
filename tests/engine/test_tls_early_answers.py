"""An answer over TLS that comes before the whole of an upload, in more than one record."""

from __future__ import annotations

import socket
import ssl
from typing import Any, cast

import pytest
import trio
from engine_harness import SECOND, Handler, job_for, run_job, serving
from test_connections import on_every_transport
from test_tls_early_words import Secured
from test_tls_last_words import Ours, await_reset

from loadtool.engine.tls_hearing import hear_on
from loadtool.engine.transports import ONCE
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint, ExpectSpec, RequestSpec
from loadtool.plan.message import Message

BODY = "x" * 16_000_000  # more than the sockets' buffers take
TIMEOUT = 60 * SECOND  # which nobody waits for
PARTS = (b"HTTP/1.1 503 Full\r\nContent-Length: 200\r\n\r\n", bytes(100), bytes(100))


@pytest.fixture(scope="module")
def authority() -> Ours:
    return Ours()


def full(authority: Ours) -> Handler:
    """Answers when a request has begun, record by record, and never reads the rest of it."""

    def handler(sock: socket.socket) -> None:
        it = Secured(sock, authority.server(mutual=False))
        it.shake_hands()
        it.send()
        it.hear()
        for part in PARTS:
            it.tls.write(part)
            it.send()
        await_reset(sock.fileno())

    return handler


@on_every_transport
async def test_it_is_read_whole(authority: Ours) -> None:
    request = RequestSpec("post", 1.0, "POST", "/", body_kind="raw", body=BODY)
    with serving(full(authority)) as server:
        job = job_for(server.port, scheme="https", count=3, timeout_ns=TIMEOUT, requests=(request,))
        done = await run_job(job, tls=authority.client())
    assert done.outcomes == {"shed": 3}
    assert done.tally.totals.attempts == 3


@pytest.mark.parametrize("transport", list(ONCE))
async def test_it_is_shown_whole(authority: Ours, transport: str) -> None:
    with serving(full(authority)) as server:
        done = await ONCE[transport]()(
            Message("POST", "/", (), BODY.encode()),
            Endpoint("https", "127.0.0.1", server.port, "127.0.0.1", "127.0.0.1"),
            ClientSpec(TIMEOUT, None, 10, True, (503,)),
            Expectation.of(ExpectSpec()),
            tls=authority.client(),
        )
    assert (done.outcome, len(done.body)) == ("shed", 200)


class Cut(trio.abc.Stream):
    """The peer of nobody: sending fails, and nothing comes."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None: ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return b""

    async def aclose(self) -> None: ...


async def broken() -> trio.SSLStream[Cut]:
    stream = trio.SSLStream(Cut(), ssl.create_default_context(), server_hostname="a")
    with pytest.raises(trio.BrokenResourceError):
        await stream.do_handshake()
    return stream


async def test_only_what_is_broken_is_mended() -> None:
    """And only where trio keeps that under the names that are known."""
    stream = await broken()
    hear_on(stream)
    stream._check_status()
    await trio.aclose_forcefully(stream)
    hear_on(stream)
    with pytest.raises(trio.ClosedResourceError):
        stream._check_status()
    for other in (object(), None, "BROKEN"):
        stream._state = cast(Any, other)  # as another trio may have it
        hear_on(stream)
        assert stream._state is other
    hear_on(Cut())
