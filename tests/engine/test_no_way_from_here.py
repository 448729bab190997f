"""An address that this machine has none to reach from, as ::1 where IPv6 is off: it does not work.

The system calls that by the name that it has for local ports that ran out, which is another matter.
"""

from __future__ import annotations

import _socket
import errno
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
from engine_harness import MS, OK_ANSWER, Done, answering, free_port, job_for, run_job, serving
from test_connections import on_every_transport
from test_exhaustion import local
from test_sources import Resolver

from loadtool.engine.sources import NO_WAY, Sources
from loadtool.engine.transports import ONCE
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec, Job
from loadtool.plan.message import Message

MESSAGE = Message("GET", "/", (), b"")
BUSY = OSError(errno.EADDRNOTAVAIL, "")
UNAVAILABLE = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
Lack = Callable[..., list[str]]


@pytest.fixture
def lack(monkeypatch: pytest.MonkeyPatch) -> Lack:
    """Makes connects to these hosts, of these kinds of sockets, fail; returns where they went."""

    def begin(*hosts: str, kinds: tuple[int, ...] = UNAVAILABLE) -> list[str]:
        asked: list[str] = []

        def fails(sock: socket.socket, address: tuple[str, int]) -> bool:
            asked.append(address[0])
            return address[0] in hosts and sock.type in kinds

        def connect(sock: socket.socket, address: tuple[str, int]) -> None:
            if fails(sock, address):
                raise OSError(errno.EADDRNOTAVAIL, "")
            _socket.socket.connect(sock, address)

        def connect_ex(sock: socket.socket, address: tuple[str, int]) -> int:
            return errno.EADDRNOTAVAIL if fails(sock, address) else _socket.socket.connect_ex(sock, address)

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
        return asked

    return begin


async def try_once(job: Job) -> tuple[str, str, str]:
    done = await ONCE[job.transport]()(MESSAGE, job.endpoint, job.client, Expectation.of(ExpectSpec()))
    return done.outcome, done.address, done.detail


async def both(job: Job) -> tuple[Done, tuple[str, str, str]]:
    return await run_job(job), await try_once(job)


@on_every_transport
async def test_it_gives_way_to_one_that_works(lack: Lack) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    asked = lack("::1")
    with serving(answering(OK_ANSWER)) as server:
        done, tried = await both(job_for(server.port, host="both.test", keepalive=False))
    assert "::1" in asked
    assert done.outcomes == {"ok": 10}
    assert local(done) == {}
    assert tried == ("ok", f"127.0.0.1:{server.port}", "")


@on_every_transport
async def test_it_is_what_did_not_work_if_it_is_the_only_one(lack: Lack) -> None:
    lack("127.0.0.1")
    port = free_port()
    done, tried = await both(job_for(port))
    assert done.outcomes == {"connect": 10}
    assert done.examples["connect"].detail == f"127.0.0.1:{port}: {NO_WAY}"
    assert local(done) == {}
    assert tried == ("connect", f"127.0.0.1:{port}", NO_WAY)


@on_every_transport
@pytest.mark.parametrize("source", [(), ("127.0.0.2",)])
async def test_ports_that_ran_out_are_this_machine_s(lack: Lack, source: tuple[str, ...]) -> None:
    """Where a datagram finds its way. With a source of the profile's that need not be asked."""
    lack("127.0.0.1", kinds=UNAVAILABLE if source else (socket.SOCK_STREAM,))
    job = job_for(free_port(), timeout_ns=100 * MS)
    done, tried = await both(replace(job, client=replace(job.client, source=source)))
    assert done.outcomes == {"unsent": 10}
    assert local(done).keys() == {"EADDRNOTAVAIL"}
    assert tried[0] in ("connect", "unsent", "timeout")
    assert NO_WAY not in tried[2]


@pytest.mark.parametrize(
    ("error", "family", "source", "expected"),
    [
        (BUSY, socket.AF_INET, [], True),
        (BUSY, socket.AF_INET, ["127.0.0.2"], False),
        (BUSY, socket.AF_UNIX, [], False),
        (OSError(errno.EMFILE, ""), socket.AF_INET, [], False),
        (MemoryError(), socket.AF_INET, [], False),
    ],
)
def test_what_says_so(
    lack: Lack, error: BaseException, family: int, source: list[str], expected: bool
) -> None:
    lack("127.0.0.1")
    assert Sources(source).no_way(error, family, ("127.0.0.1", 80)) is expected


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.EPERM])
def test_a_datagram_that_fails_in_another_way_says_nothing(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        raise OSError(number, "")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert not Sources([]).no_way(BUSY, socket.AF_INET, ("127.0.0.1", 80))


LONELY = """
import errno, socket
from loadtool.engine.sources import Sources
with socket.socket(socket.AF_INET6) as sock:
    number = sock.connect_ex(("::1", 80))
print(errno.errorcode[number], Sources([]).no_way(OSError(number, ""), socket.AF_INET6, ("::1", 80)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has namespaces of networks on this machine")
def test_where_the_system_says_it() -> None:
    """In a namespace whose loopback is down, and has no address."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may make a namespace of networks, with unshare")
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    done = subprocess.run(
        [unshare, "-n", sys.executable, "-c", LONELY], capture_output=True, check=False, text=True
    )
    if "EAFNOSUPPORT" in done.stdout + done.stderr or "Address family not supported" in done.stderr:
        pytest.skip("this machine has no IPv6")
    assert done.stdout == "EADDRNOTAVAIL True\n", done.stderr
