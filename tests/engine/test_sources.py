"""Source addresses: whose turn it is, which family, and whether this machine has them."""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import replace

import pytest
import trio
from engine_harness import OK_ANSWER, answering, job_for, run_job, serving

from loadtool.engine.exchange import exchange
from loadtool.engine.sources import Sources, source_problems
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec
from loadtool.plan.message import Message


def bound(sources: Sources, family: socket.AddressFamily) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sources.bind(sock, family)
        return str(sock.getsockname()[0])


def test_the_addresses_of_each_family_take_turns() -> None:
    sources = Sources(["127.0.0.2", "::1", "127.0.0.3"])
    v4 = [bound(sources, socket.AF_INET) for _ in range(3)]
    assert v4 == ["127.0.0.2", "127.0.0.3", "127.0.0.2"]
    assert [bound(sources, socket.AF_INET6) for _ in range(2)] == ["::1", "::1"]


def test_without_any_the_system_chooses() -> None:
    assert bound(Sources([]), socket.AF_INET) == "0.0.0.0"


def test_one_of_another_family_is_an_error() -> None:
    with pytest.raises(OSError, match="no source address") as e:
        bound(Sources(["127.0.0.2"]), socket.AF_INET6)
    assert e.value.errno == errno.EAFNOSUPPORT


def test_a_unix_domain_socket_has_none() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        Sources(["127.0.0.2"]).bind(sock, socket.AF_UNIX)
        assert sock.getsockname() == ""


@pytest.mark.parametrize(
    ("sources", "targets", "said"),
    [
        ([], ["127.0.0.1"], []),
        (["127.0.0.2", "::1"], ["127.0.0.1"], []),
        (["127.0.0.2"], [], []),
        (["127.0.0.2"], ["::1", "127.0.0.1"], []),
        (["127.0.0.2", "192.0.2.7"], ["127.0.0.1"], [(1, "192.0.2.7 is no address of this machine")]),
        (["2001:db8::7"], ["::1"], [(0, "2001:db8::7 is no address of this machine")]),
        (["fe80::1%nowhere"], ["::1"], [(0, "fe80::1%nowhere is no address of this machine")]),
        (["127.0.0.2"], ["::1"], [(0, "the target has IPv6 addresses alone, and no source is one of those")]),
        (["::1"], ["10.0.0.1"], [(0, "the target has IPv4 addresses alone, and no source is one of those")]),
    ],
)
def test_what_can_be_wrong_with_them(
    sources: list[str], targets: list[str], said: list[tuple[int, str]]
) -> None:
    assert source_problems(sources, targets) == said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses the port later")
def test_to_look_at_a_source_takes_none_of_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []

    class Watched(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            ports.append(self.getsockname()[1])

    monkeypatch.setattr(socket, "socket", Watched)
    assert source_problems(["127.0.0.2"], ["127.0.0.1"]) == []
    assert ports == [0]


class Resolver(trio.abc.HostnameResolver):
    """Every name is this machine, by IPv6 first."""

    async def getaddrinfo(  # type: ignore[override]  # its overloads say the same at length
        self, host: object, port: object, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


async def test_an_address_of_the_other_family_gives_way() -> None:
    peers: set[str] = set()
    serve = answering(OK_ANSWER)

    def handler(sock: socket.socket) -> None:
        peers.add(sock.getpeername()[0])
        serve(sock)

    trio.socket.set_custom_hostname_resolver(Resolver())
    with serving(handler) as server:
        job = job_for(server.port, host="both.test", keepalive=False)
        job = replace(job, client=replace(job.client, source=("127.0.0.2",)))
        done = await run_job(job)
        message = Message("GET", "/", (), b"")
        tried = await exchange(message, job.endpoint, job.client, Expectation.of(ExpectSpec()))
    assert done.outcomes == {"ok": 10}
    assert (tried.outcome, tried.address) == ("ok", f"127.0.0.1:{server.port}")
    assert peers == {"127.0.0.2"}
