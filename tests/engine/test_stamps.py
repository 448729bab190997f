"""When an answer came, by the kernel's time stamps."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import sys
import time
from functools import partial
from typing import Any

import pytest
import trustme
from engine_harness import OK_ANSWER, Done, answering, job_for, run_job, serving

from loadtool.engine.http1_transport import Http1Transport
from loadtool.engine.stamps import SO_TIMESTAMPNS, SPACE, TIMESPEC, WAKE_NS, ask_for, came

US = 1000
WALL = 1_800_000_000_000_000_000
NOW, SENT = 50_000 * US, 45_000 * US


def stamp(wall: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, SO_TIMESTAMPNS, TIMESPEC.pack(*divmod(wall, 1_000_000_000))


@pytest.mark.parametrize(
    ("ancillary", "begun", "moment"),
    [
        ([], SENT, NOW),
        ([stamp(WALL)], SENT, NOW),
        ([stamp(WALL - 70 * US)], SENT, NOW - 70 * US),
        ([stamp(WALL - WAKE_NS)], SENT, NOW - WAKE_NS),
        ([stamp(WALL - WAKE_NS - 1)], SENT, NOW),  # a stall of ours
        ([stamp(WALL + 5 * US)], SENT, NOW),  # the time of day was set back
        ([stamp(WALL - 70 * US)], NOW - 30 * US, NOW - 30 * US),  # ... or put forward
        ([(socket.SOL_SOCKET, socket.SO_ERROR, b"x"), stamp(WALL - 9 * US)], SENT, NOW - 9 * US),
        ([(socket.SOL_SOCKET, SO_TIMESTAMPNS, b"short")], SENT, NOW),
    ],
)  # fmt: skip
def test_an_answer_came_when_the_kernel_had_it(
    ancillary: list[tuple[int, int, bytes]], begun: int, moment: int
) -> None:
    assert came(ancillary, WALL, NOW, begun) == moment


@pytest.mark.skipif(sys.platform != "linux", reason="this machine's kernel has no such stamps")
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_stamps_what_comes(family: socket.AddressFamily, address: str) -> None:
    with (
        socket.create_server((address, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as ours,
        listener.accept()[0] as theirs,
    ):
        assert ask_for(ours, family)
        for turn in range(100):
            before = time.monotonic_ns()
            theirs.sendall(b"answer")
            after = time.monotonic_ns()
            while time.monotonic_ns() < after + WAKE_NS // 5:
                pass  # it lies there for a while
            data, ancillary, _, _ = ours.recvmsg(100, SPACE)
            read = time.monotonic_ns()
            wall = time.time_ns()
            now = time.monotonic_ns()
            assert data == b"answer"
            if turn < 50 and not ancillary:
                continue  # it begins a moment after it was asked to, if nobody else had asked
            assert [kind for level, kind, _ in ancillary] == [SO_TIMESTAMPNS]
            if now - read < 10 * US and now - before < WAKE_NS:
                break  # nobody had the processor meanwhile
        else:
            pytest.skip("this machine was too busy")
    # Loopback delivers it within the call, and the two clocks were read one after the other.
    assert before - 10 * US <= came(ancillary, wall, now, 0) <= after + 10 * US


def stamping_sockets() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=int(name))
        except OSError:
            continue  # no socket, or the listing's own descriptor
        if sock.family == socket.AF_INET and sock.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS):
            found += 1
        sock.detach()  # it is somebody else's
    return found


async def run_with(sockets: type[socket.socket], tls: bool, **options: Any) -> Done:
    theirs = ours = None
    if tls:
        authority = trustme.CA()
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(theirs)
        ours = ssl.create_default_context()
        authority.configure_trust(ours)
    with serving(answering(OK_ANSWER), theirs) as server:
        job = job_for(server.port, scheme="https" if tls else "http", **options)
        return await run_job(job, tls=ours, transport=partial(Http1Transport, new_socket=sockets))


@pytest.mark.skipif(sys.platform != "linux", reason="this machine's kernel has no such stamps")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_stamping_is_kept_on_while_a_transport_that_looks_at_stamps_runs(tls: bool) -> None:
    """With a connection a request, the kernel would begin and end with it for each of them."""
    seen: list[int] = []

    class Looking(socket.socket):
        def connect_ex(self, address: Any) -> int:
            seen.append(stamping_sockets())
            return super().connect_ex(address)

    before = stamping_sockets()
    done = await run_with(Looking, tls, count=5, rate=20, keepalive=False)
    assert done.outcomes == {"ok": 5}
    assert min(seen) > before
    assert stamping_sockets() == before


def test_other_sockets_have_no_stamps() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert not ask_for(sock, socket.AF_UNIX)


def test_the_number_is_the_kernels() -> None:
    """SO_TIMESTAMPNS_OLD of asm-generic/socket.h, whose stamps are two longs."""
    assert SO_TIMESTAMPNS == 35
    assert TIMESPEC.size == 2 * struct.calcsize("@l")


class Late(socket.socket):
    """Reads as a program does that was woken up late.

    `took`: ns from each send to the last read before the next one.
    """

    late_ns = 0
    took: list[int]

    def send(self, data: Any, flags: int = 0) -> int:
        self.took.append(0)
        self.sent = time.monotonic_ns()
        return super().send(data, flags)

    def recvmsg(
        self, size: int, ancillary: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        self._wake_up()
        return super().recvmsg(size, ancillary, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._wake_up()
        return super().recv(size, flags)

    def _wake_up(self) -> None:
        until = time.monotonic_ns() + self.late_ns
        while time.monotonic_ns() < until:
            pass
        if self.took:
            self.took[-1] = until - self.sent


@pytest.mark.skipif(sys.platform != "linux", reason="this machine's kernel has no such stamps")
@pytest.mark.parametrize(("late_ns", "counted"), [(WAKE_NS * 6 // 10, False), (WAKE_NS * 12 // 10, True)])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_late_reading_is_not_the_targets_unless_it_is_a_stall(
    tls: bool, late_ns: int, counted: bool
) -> None:
    took: list[int] = []
    sockets = type("Late", (Late,), {"late_ns": late_ns, "took": took})
    done = await run_with(sockets, tls, count=30, rate=60, connections=1)
    assert done.outcomes == {"ok": 30}
    quickest = min(ns for ns in took[1:] if ns)  # the first one may be a handshake's
    for name in ("service", "ttfb", "ok"):
        # The quickest: on a busy machine others are slow for other reasons.
        assert (done.values(name)[0] * US >= quickest - US) == counted, (name, quickest)
