"""What a server of HTTP/2 had said when it reset the connection, found by the write that meets the reset."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from dataclasses import replace

import pytest
from engine_harness import SECOND, Done, job_for, run_job, serving
from h2.errors import ErrorCodes
from h2_server import Asked, Peer, Seen, speaking_h2
from hostile_servers import reset
from test_tls_last_words import await_reset

from loadtool.engine.httpx_stream import Stream
from loadtool.plan.job import RequestSpec

CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body of each connection's second request leaves once the peer has reset it."""
    write, writes = Stream.write, Counter[Stream]()

    async def late_write(stream: Stream, buffer: bytes, timeout: float | None = None) -> None:
        if stream.frames._asked == 3:
            writes[stream] += 1
            if writes[stream] > 1:
                await_reset(stream._sock.fileno())
        await write(stream, buffer, timeout)

    monkeypatch.setattr(Stream, "write", late_write)


async def ten(
    scheme: str, method: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext], last: int, code: int = 0
) -> Done:
    """Ten requests, each second one of which comes upon this goodbye, and a reset."""

    def reply(peer: Peer, asked: Asked) -> None:
        if asked.stream == 3:
            peer._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # it leaves before the reset
            peer.say_goodbye(last, code)
            reset(peer._sock)
        else:
            peer.answer(asked)

    theirs, ours = contexts
    theirs.set_alpn_protocols(["h2"])
    requests = (RequestSpec("it", 1.0, method, "/", body_kind="raw", body="abc"),)
    handler = speaking_h2(reply, Seen(), at_once=True)
    with serving(handler, theirs if scheme == "https" else None) as server:
        job = job_for(server.port, scheme=scheme, requests=requests, connections=1, timeout_ns=60 * SECOND)
        job = replace(job, transport="httpx", client=replace(job.client, http2=True))
        return await run_job(job, tls=ours if scheme == "https" else None)


@pytest.mark.parametrize("code", [0, CALM])
async def test_what_was_not_taken_is_sent_again_and_not_counted(
    scheme: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext], code: int
) -> None:
    done = await ten(scheme, "POST", contexts, 1, code)
    assert done.outcomes == {"ok": 10}
    assert done.tally.totals.attempts == 10


@pytest.mark.parametrize(
    ("method", "outcomes", "attempts"), [("PUT", {"ok": 10}, 19), ("POST", {"ok": 5, "reset": 5}, 10)]
)
async def test_what_was_taken_and_not_answered_counts(
    scheme: str,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    method: str,
    outcomes: dict[str, int],
    attempts: int,
) -> None:
    done = await ten(scheme, method, contexts, 3)
    assert done.outcomes == outcomes
    assert done.tally.totals.attempts == attempts


async def test_a_complaint_is_told(scheme: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    done = await ten(scheme, "PUT", contexts, 3, CALM)
    assert done.outcomes == {"ok": 5, "reset": 5}
    words = "the server ended the connection (ENHANCE_YOUR_CALM) before an answer came"
    assert done.examples["reset"].detail.endswith(words)
