"""A connection that is there as soon as it is begun, and one that takes a while: the books are the same."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import time
from functools import partial
from typing import Any

import pytest
import trustme
from engine_harness import OK_ANSWER, Far, answering, free_port, job_for, run_job, serving

from loadtool.engine.http1_transport import Http1Transport


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Near(socket.socket):
    """As most are on loopback: connected when `connect` is called once more."""

    asked = 0

    def getsockopt(self, *args: int) -> int:  # type: ignore[override]  # the one form that is used
        Near.asked += args == (socket.SOL_SOCKET, socket.SO_ERROR)
        return super().getsockopt(*args)


class NearElsewhere(Near):
    """... on a kernel that has another word for it."""

    def connect_ex(self, address: Any) -> int:
        try:
            self.getpeername()
        except OSError:
            return super().connect_ex(address)
        return errno.EISCONN


@pytest.mark.parametrize("sockets", [Near, NearElsewhere, Far])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_near_or_far_each_connection_is_opened_once(
    sockets: type[socket.socket], tls: bool, authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    Near.asked = 0
    transport = partial(Http1Transport, new_socket=sockets)
    with serving(answering(OK_ANSWER), context if tls else None) as server:
        job = job_for(server.port, scheme="https" if tls else "http", keepalive=False)
        done = await run_job(job, tls=trusted if tls else None, transport=transport)
        assert server.connections == 10
    assert done.outcomes == {"ok": 10}
    assert len(done.values("connect")) == 10
    assert len(done.values("tls")) == 10 * tls
    if sys.platform == "linux":
        assert Near.asked == 0  # it has been told already


@pytest.mark.skipif(sys.platform != "linux", reason="this machine's kernel does not tell at once")
async def test_connecting_at_once_is_no_lag() -> None:
    """Send lag ends when the loop gets round to an arrival; what `connect` takes is a stage of its own."""

    class Slow(Near):
        def connect_ex(self, address: Any) -> int:
            time.sleep(0.003)
            return super().connect_ex(address)

    transport = partial(Http1Transport, new_socket=Slow)
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, keepalive=False), transport=transport)
    assert done.outcomes == {"ok": 10}
    sums = {name: sum(done.values(name)) for name in ("ok", "lag", "queued", "connect", "service")}
    parts = sums["lag"] + sums["queued"] + sums["connect"] + sums["service"]
    assert min(done.values("connect")) >= 2 * 3_000
    # Each is rounded, and quantised to a thousandth.
    assert parts == pytest.approx(sums["ok"], rel=0.002, abs=10 * 5)


@pytest.mark.parametrize("sockets", [Near, Far])
async def test_near_or_far_a_refusal_is_one(sockets: type[socket.socket]) -> None:
    transport = partial(Http1Transport, new_socket=sockets)
    done = await run_job(job_for(free_port()), transport=transport)
    assert done.outcomes == {"connect": 10}
    assert sum(cell.attempts for frame in done.frames for cell in frame.cells) == 10
    assert done.values("connect") == []
