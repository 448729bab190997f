"""Hostile servers: each row of the table is one thing that a server may do to a worker, over real sockets.

Half of the requests of a row go to a healthy path of the same server: all of them must be answered, whatever
becomes of the others. Conservation is checked by the harness; that the worker neither waits nor works in vain
shows in the processor time of its thread, and that it keeps little in tracemalloc.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass

import pytest
from engine_harness import MS, OK_ANSWER, Done, Handler, job_for, run_job, serving
from hostile_servers import (
    BLOCK,
    drips,
    goes_on,
    hold,
    read_head,
    resets_while_more_comes,
    says,
    says_and_closes,
    says_and_ends_tls,
    says_and_holds,
    says_and_resets,
    says_under_tls,
    stop_reading,
)

from loadtool.measure.outcome import OUTCOMES
from loadtool.plan.job import RequestSpec

# Timeouts: where one is to be seen, longer where a machine is too slow to send, to answer and to rest within
# the one before; and where none is.
SHORT_MS, LONG_MS = (500, 2_000, 5_000), (50_000,)
MEMORY = 8 << 20  # bytes that a worker may take on top, whatever is poured into it
# Processor time of a worker that mostly waits, and its share of a timeout: one that spins takes all of it,
# while what the requests themselves take is none the more for a longer one.
CPU_MS, CPU_SHARE = 250, 0.5

R = b"HTTP/1.1 200 OK\r\n"
CHUNKED = R + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = R + b"Content-Length: 1000\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
JUNK = bytes(random.Random(1).randrange(256) for _ in range(4000))
FILLER = (b"X-Filler: " + b"x" * 100 + b"\r\n") * 600

IN_HEAD = "in the middle of the answer"
NO_ANSWER = "no answer when the timeout expired"
HALF_ANSWER = "the answer was incomplete when the timeout expired"
CLOSED = "the connection was closed before an answer came"
RAGGED = "TLS: the connection was closed without a close_notify "
HEAD_BOUND = "more than 256 KiB of head"
TAIL_BOUND = "more than 256 KiB of chunk extensions or trailers"


@dataclass(frozen=True)
class Row:
    name: str
    behave: Handler
    outcome: str  # of each request to the hostile path
    words: str = ""  # in its example
    method: str = "GET"
    body: int = 0  # bytes of the request's
    flood: bool = False  # pours so much that a worker that kept it would show
    tls: bool = False

    def __str__(self) -> str:
        return self.name


ROWS = [
    # Without end
    Row("endless headers", goes_on(R, FILLER), "protocol", HEAD_BOUND, flood=True),
    Row("endless header", goes_on(R + b"X: ", b"x" * BLOCK), "protocol", HEAD_BOUND, flood=True),
    Row("endless status line", goes_on(R[:-2], b"x" * BLOCK), "protocol", HEAD_BOUND, flood=True),
    Row("10 MB header", goes_on(R + b"X: ", b"x" * BLOCK, range(160)), "protocol", HEAD_BOUND, flood=True),
    Row("endless interim answers", goes_on(b"", EARLY * 1000), "protocol", HEAD_BOUND, flood=True),
    Row("endless empty lines", goes_on(b"", b"\r\n" * 30000), "protocol", HEAD_BOUND, flood=True),
    Row("endless body with a length", goes_on(R + b"Content-Length: 999999999999\r\n\r\n", b"x" * BLOCK),
        "timeout", HALF_ANSWER, flood=True),
    Row("endless body without a length", goes_on(R + b"\r\n", b"x" * BLOCK), "timeout", HALF_ANSWER,
        flood=True),
    Row("endless chunks", goes_on(CHUNKED, b"FFFA\r\n" + b"x" * 0xFFFA + b"\r\n"), "timeout", HALF_ANSWER,
        flood=True),
    Row("endless chunk extension", goes_on(CHUNKED + b"2;x=", b"x" * BLOCK), "protocol", TAIL_BOUND,
        flood=True),
    Row("endless trailers", goes_on(CHUNKED + b"2\r\nok\r\n0\r\n", FILLER), "protocol", TAIL_BOUND,
        flood=True),
    Row("endless trailer", goes_on(CHUNKED + b"2\r\nok\r\n0\r\nX: ", b"x" * BLOCK), "protocol", TAIL_BOUND,
        flood=True),
    Row("dripping head", drips(R + b"X: ", b"x"), "timeout", HALF_ANSWER),
    Row("dripping body", drips(LONG, b"x"), "timeout", HALF_ANSWER),
    Row("dripping interim answers", drips(b"", EARLY), "timeout", HALF_ANSWER),
    Row("no answer", hold, "timeout", NO_ANSWER),
    Row("a body that stops", says(LONG + b"x" * 999), "timeout", HALF_ANSWER),
    # Lengths
    Row("Content-Length too short", says(R + b"Content-Length: 2\r\n\r\nokokok"), "ok"),
    Row("Content-Length too long", says_and_closes(LONG + b"x" * 999), "reset", IN_HEAD),
    Row("Content-Length that overflows", says(R + b"Content-Length: 99999999999999999999\r\n\r\n"),
        "protocol", "overflow"),
    Row("negative Content-Length", says(R + b"Content-Length: -2\r\n\r\nok"), "protocol", "Content-Length"),
    Row("two Content-Lengths, the same", says(R + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        "protocol", "Content-Length"),
    Row("two Content-Lengths", says(R + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), "protocol",
        "Content-Length"),
    Row("Content-Length and chunked",
        says(R + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "protocol",
        "Transfer-Encoding can't be present with Content-Length"),
    Row("chunked and Content-Length",
        says(R + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "protocol",
        "Content-Length can't be present with Transfer-Encoding"),
    Row("a trailer Content-Length", says(CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n"), "protocol",
        "Content-Length"),
    Row("a coding that is not chunked", says_and_closes(R + b"Transfer-Encoding: gzip\r\n\r\nok"), "ok"),
    Row("a chunk size that is none", says(CHUNKED + b"zz\r\nok\r\n"), "protocol", "chunk size"),
    Row("a negative chunk size", says(CHUNKED + b"-2\r\nok\r\n"), "protocol", "chunk size"),
    Row("a chunk size that overflows", says(CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nok\r\n"), "protocol",
        "Chunk size overflow"),
    Row("a chunk of 16 exabytes", says_and_closes(CHUNKED + b"FFFFFFFFFFFFFFFF\r\nok\r\n"), "reset", IN_HEAD),
    Row("a chunk longer than its size", says(CHUNKED + b"2\r\nokokok\r\n"), "protocol", "chunk"),
    Row("chunks without the last one", says_and_closes(CHUNKED + b"2\r\nok\r\n"), "reset", IN_HEAD),
    # Other answers than the one that was asked for
    Row("many interim answers", says(b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY * 100 + OK_ANSWER), "ok"),
    Row("an interim answer with a body", says(b"HTTP/1.1 100 X\r\nContent-Length: 2\r\n\r\nok" + OK_ANSWER),
        "protocol", "Expected HTTP/"),
    Row("another answer behind it", says(OK_ANSWER + R + b"Content-Length: 0\r\n\r\n"), "ok"),
    Row("half an answer behind it", says(OK_ANSWER + b"HTTP/1.1 500 No\r\nX: "), "ok"),
    Row("a switch of protocols behind it", says(OK_ANSWER + SWITCH), "ok"),
    Row("junk behind it", says(OK_ANSWER + JUNK), "ok"),
    Row("another answer while idle", says(OK_ANSWER, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "ok"),
    Row("junk while idle", says(OK_ANSWER, JUNK), "ok"),
    Row("204 with a body", says(b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok"), "ok"),
    Row("304 with a length", says(b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n"), "ok"),
    Row("HEAD with a body", says(OK_ANSWER), "ok", method="HEAD"),
    Row("HEAD with chunks", says(CHUNKED + b"2\r\nok\r\n0\r\n\r\n"), "ok", method="HEAD"),
    Row("a switch of protocols", says(SWITCH), "protocol", "status 101 switches protocols"),
    Row("101 without Upgrade", says(b"HTTP/1.1 101 Up\r\n\r\n" + OK_ANSWER), "protocol", "status 101"),
    Row("an offer to switch", says(R + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"),
        "ok"),
    # What is no HTTP/1.x
    Row("HTTP/0.9", says_and_closes(b"<html>hello</html>"), "protocol", "it began '<html>hello</html>'"),
    Row("binary junk", says_and_closes(JUNK), "protocol", "it began "),
    Row("an HTTP/2 preface", says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18), "protocol",
        "it began "),
    Row("HTTP/2 as text", says(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), "protocol",
        "not HTTP/1.x; it began 'HTTP/2.0 200 OK"),
    Row("RTSP", says(b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), "protocol", "not HTTP/1.x"),
    Row("lower case", says(b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), "protocol",
        "it began 'http/1.1 200 OK"),
    Row("a request", says(b"GET / HTTP/1.1\r\nHost: you\r\n\r\n"), "protocol", "it began 'GET / HTTP/1.1"),
    Row("600 digits of status", says(b"HTTP/1.1 " + b"2" * 600 + b" OK\r\n\r\n"), "protocol", "status"),
    Row("status 0", says(b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), "status", "got status 0"),
    Row("status 999", says(b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), "status", "got status 999"),
    Row("no reason", says(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"), "ok"),
    Row("NUL in a header", says(R + b"X: a\x00b\r\nContent-Length: 2\r\n\r\nok"), "protocol", "header"),
    Row("NUL in a header's name", says(R + b"X\x00: a\r\nContent-Length: 2\r\n\r\nok"), "protocol", "header"),
    Row("bare LF", says(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), "protocol", "CR"),
    Row("bare CR", says(b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok"), "protocol", "LF"),
    Row("a folded header", says(R + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok"), "protocol", "whitespace"),
    Row("a header without a colon", says(R + b"X\r\nContent-Length: 2\r\n\r\nok"), "protocol", "header"),
    # Ends
    Row("closed after the request", says_and_closes(b""), "reset", CLOSED),
    Row("closed in mid-head", says_and_closes(R + b"Content-Le"), "reset", IN_HEAD),
    Row("closed in mid-body", says_and_closes(LONG + b"x"), "reset", IN_HEAD),
    Row("closed after an interim answer", says_and_closes(EARLY), "reset", IN_HEAD),
    Row("reset after the request", says_and_resets(b""), "reset", "Connection reset by peer (ECONNRESET)"),
    Row("reset in mid-head", says_and_resets(R + b"Content-Le"), "reset", "(ECONNRESET) " + IN_HEAD),
    Row("reset in mid-body", says_and_resets(LONG + b"x"), "reset", "(ECONNRESET) " + IN_HEAD),
    Row("closed while idle", says_and_closes(OK_ANSWER), "ok"),
    Row("reset while idle", says_and_resets(OK_ANSWER), "ok"),
    # Large requests
    Row("a server that stops reading", stop_reading, "timeout", NO_ANSWER, method="POST", body=8 << 20),
    Row("reset in the middle of a request", resets_while_more_comes, "reset", "(ECONNRESET) before an answer",
        method="POST", body=8 << 20),
    Row("an answer to half a request",
        says_and_holds(R + b"Content-Length: 2\r\nConnection: close\r\n\r\nok"), "ok", method="POST",
        body=8 << 20),
    # TLS, in the middle of an exchange
    Row("closed in mid-body, without close_notify", says_and_closes(LONG + b"x"), "reset", RAGGED + IN_HEAD,
        tls=True),
    Row("a body without a length that may be cut", says_and_closes(R + b"\r\nall of it?"), "reset",
        RAGGED + IN_HEAD, tls=True),
    Row("a body without a length that is whole", says_and_ends_tls(R + b"\r\nall of it"), "ok", tls=True),
    Row("close_notify in mid-body", says_and_ends_tls(LONG + b"x"), "reset", IN_HEAD, tls=True),
    Row("close_notify while idle", says_and_ends_tls(OK_ANSWER), "ok", tls=True),
    Row("closed after the request, without close_notify", says_and_closes(b""), "reset",
        RAGGED + "before an answer came", tls=True),
    Row("reset in mid-body of TLS", says_and_resets(LONG + b"x"), "reset", IN_HEAD, tls=True),
    Row("junk instead of TLS in mid-body", says_under_tls(LONG + b"x", JUNK), "reset", "TLS: ", tls=True),
    Row("junk instead of TLS while idle", says_under_tls(OK_ANSWER, JUNK), "ok", tls=True),
    Row("endless body over TLS", goes_on(LONG.replace(b"1000", b"1" * 15), b"x" * BLOCK), "timeout",
        HALF_ANSWER, flood=True, tls=True),
    Row("a TLS server that stops reading", stop_reading, "timeout", NO_ANSWER, method="POST", body=8 << 20,
        tls=True),
]  # fmt: skip


def mixed(row: Row) -> tuple[RequestSpec, ...]:
    body = {"body_kind": "raw", "body": "x" * row.body} if row.body else {}
    hostile = RequestSpec("hostile", 1.0, row.method, "/hostile", **body)  # type: ignore[arg-type]
    return (hostile, RequestSpec("healthy", 1.0, "GET", "/healthy"))


def minding(behave: Handler) -> Handler:
    """Serves the healthy path and lets `behave` loose on the others."""

    def handler(sock: socket.socket) -> None:
        # Or the kernel would keep what is said to an idle client until that sends its next request.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while head := read_head(sock):
            if not head.partition(b"\r\n")[0].endswith(b" /healthy HTTP/1.1"):
                behave(sock)
            else:
                sock.sendall(OK_ANSWER)

    return handler


def of_request(done: Done, request: int) -> dict[str, int]:
    cells = [cell for frame in done.frames for cell in frame.cells if cell.request == request]
    counts = {name: sum(cell.counts[code] for cell in cells) for code, name in enumerate(OUTCOMES)}
    return {name: n for name, n in counts.items() if n}


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_hostile(row: Row, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    *more, last = SHORT_MS if row.outcome == "timeout" else LONG_MS
    for timeout_ms in more:
        with suppress(TooShort):
            await attack(row, contexts, timeout_ms)
            return
    await attack(row, contexts, last)


class TooShort(AssertionError):
    """Time ran out for what is not to time out, or there was none to rest in: a slow machine needs more."""


async def attack(row: Row, contexts: tuple[ssl.SSLContext, ssl.SSLContext], timeout_ms: int) -> None:
    """Send the requests of a row, and assert all that is to hold of them."""
    theirs, ours = contexts if row.tls else (None, None)
    with serving(minding(row.behave), theirs) as server:
        job = job_for(
            server.port,
            count=8,
            rate=100,
            requests=mixed(row),
            timeout_ns=timeout_ms * MS,
            scheme="https" if row.tls else "http",
        )
        if row.flood:
            tracemalloc.start()
        try:
            cpu_ns = time.thread_time_ns()
            done = await run_job(job, tls=ours)
            cpu_ns = time.thread_time_ns() - cpu_ns
            peak = tracemalloc.get_traced_memory()[1] if row.flood else 0
        finally:
            tracemalloc.stop()
    hostile, healthy = of_request(done, 0), of_request(done, 1)
    late = (hostile.keys() - {row.outcome}) | (healthy.keys() - {"ok"})
    if late and late <= {"timeout", "unsent"}:
        raise TooShort(f"{hostile} of the hostile requests, {healthy} of the others")
    cpu_ms, most_ms = cpu_ns / MS, CPU_SHARE * timeout_ms if row.outcome == "timeout" else CPU_MS
    if row.outcome == "timeout" and not row.flood and cpu_ms >= most_ms:
        raise TooShort(f"the worker was busy for {cpu_ms:.0f} ms of {timeout_ms} ms")
    assert hostile.keys() == {row.outcome}
    assert sum(hostile.values()) >= 2
    assert healthy.keys() == {"ok"}
    if row.words:
        assert row.words in done.examples[row.outcome].detail
    assert peak < MEMORY
    if not row.flood:
        assert cpu_ms < most_ms
