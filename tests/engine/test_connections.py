"""Connections: unix sockets, source addresses, churn, reconnects, private authorities, look-ups."""

from __future__ import annotations

import errno
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    answering,
    job_for,
    read_request,
    run_job,
    serving,
    serving_unix,
)

from loadtool.engine import addresses as addresses_module
from loadtool.engine import tls as tls_module
from loadtool.engine.addresses import Address, Addresses, is_name, keep_resolved, resolve
from loadtool.engine.http1_transport import Http1Transport
from loadtool.engine.tls import client_context
from loadtool.engine.transports import Parts
from loadtool.errors import SetupError, UsageError
from loadtool.plan.job import Endpoint, Job, TlsSpec

on_every_transport = pytest.mark.usefixtures("transport")


def with_client(job: Job, **changes: Any) -> Job:
    return replace(job, client=replace(job.client, **changes))


@pytest.fixture
def unix_server(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    path = str(tmp_path / "app.sock")
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        while request := read_request(sock):
            received.append(request)
            sock.sendall(OK_ANSWER)

    with serving_unix(path, handler):
        yield path, received


@on_every_transport
async def test_a_unix_domain_socket(unix_server: tuple[str, list[bytes]]) -> None:
    path, received = unix_server
    job = replace(job_for(0, connections=1), endpoint=Endpoint("http", path, 0, "localhost", "localhost"))
    done = await run_job(job)
    assert done.outcomes == {"ok": 10}
    assert b"\r\nHost: localhost\r\n" in received[0]


@on_every_transport
async def test_a_unix_domain_socket_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "no.sock")
    job = replace(job_for(0), endpoint=Endpoint("http", path, 0, "localhost", "localhost"))
    done = await run_job(job)
    assert done.outcomes == {"connect": 10}
    assert done.examples["connect"].detail == f"unix:{path}: No such file or directory (ENOENT)"


@on_every_transport
async def test_a_unix_domain_socket_whose_queue_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "full.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        job = job_for(0, count=20, timeout_ns=200 * MS)
        done = await run_job(replace(job, endpoint=Endpoint("http", path, 0, "localhost", "localhost")))
    assert done.outcomes.keys() <= {"timeout", "unsent"}
    assert done.outcomes["unsent"] > 0
    assert all(frame.local == {} for frame in done.frames)


@on_every_transport
async def test_source_addresses_take_turns() -> None:
    peers: list[str] = []

    def handler(sock: socket.socket) -> None:
        peers.append(sock.getpeername()[0])
        read_request(sock)
        sock.sendall(OK_ANSWER)

    with serving(handler) as server:
        job = with_client(job_for(server.port, keepalive=False), source=("127.0.0.2", "127.0.0.3"))
        done = await run_job(job)
    assert done.outcomes == {"ok": 10}
    assert sorted(peers) == ["127.0.0.2"] * 5 + ["127.0.0.3"] * 5


@on_every_transport
async def test_a_bound_on_new_connections_makes_arrivals_queue() -> None:
    """10 a second with one connection each, 5 new connections a second: the k-th waits 100 ms longer."""
    for _ in range(5):
        with serving(answering(OK_ANSWER)) as server:
            job = with_client(job_for(server.port, count=6, rate=10, keepalive=False), dials_per_s=5.0)
            done = await run_job(job)
        assert done.outcomes == {"ok": 6}
        # However late this machine is, what it was late by is lag, and the two together are the wait.
        queued, lag = done.values("queued"), done.values("lag")
        for k, value in enumerate(queued):
            assert value + sum(lag) >= k * 100_000 - 20_000, queued
        assert sum(queued) + sum(lag) >= sum(k * 100_000 - 20_000 for k in range(6))
        assert queued[-1] + lag[-1] >= 5 * 100_000 - 20_000
        if sum(lag) < sum(queued):  # as it is on a machine that does not stall
            break
    assert sum(lag) < sum(queued)


@on_every_transport
async def test_all_connections_are_closed_and_opened_again_at_the_moment() -> None:
    opened: list[socket.socket] = []

    def handler(sock: socket.socket) -> None:
        opened.append(sock)
        while read_request(sock):
            threading.Event().wait(0.05)
            sock.sendall(OK_ANSWER)

    with serving(handler) as server:
        job = job_for(server.port, count=100, rate=100)
        plain = await run_job(job)
        before = server.connections
        opened.clear()
        done = await run_job(with_client(job, reconnect_ns=(SECOND // 2,)))
    assert plain.outcomes == done.outcomes == {"ok": 100}
    assert before >= 5
    assert server.connections - before >= 2 * 5  # 50 ms at 100/s takes five at once, opened twice


async def test_connections_that_are_closed_keep_nothing_until_their_timeout() -> None:
    """A new connection for each of 500 requests within a second, and a timeout of a minute."""
    made: list[Http1Transport] = []

    def transport(parts: Parts) -> Http1Transport:
        made.append(Http1Transport(parts))
        return made[0]

    with serving(answering(OK_ANSWER)) as server:
        job = job_for(server.port, count=500, rate=500, keepalive=False, timeout_ns=60 * SECOND)
        done = await run_job(job, transport=transport)
    assert done.outcomes == {"ok": 500}
    watched = [connection for _, _, connection in made[0]._pool._expiry]
    assert len(watched) <= 64 + 2
    assert not any(c.arrival or c.rest or c.answer.head_text() for c in watched)


def test_what_is_a_name() -> None:
    assert [is_name(h) for h in ("shop.test", "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "/run/x")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


async def test_a_name_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    found = iter([["10.0.0.1", "10.0.0.2"], [], ["10.0.0.2", "10.0.0.3"]])

    async def lookup(host: str, port: int) -> Addresses:
        await trio.sleep(0.25)
        answer = next(found, None)
        if answer is None:
            await trio.sleep_forever()
        if not answer:
            raise SetupError("no answer")
        return Addresses([Address(socket.AF_INET, (ip, port)) for ip in answer])

    monkeypatch.setattr(addresses_module, "resolve", lookup)
    addresses = await lookup("shop.test", 80)
    refused = next(a for a in addresses if a.sockaddr[0] == "10.0.0.2")
    addresses.failed(refused, 0)
    took: list[int] = []
    with trio.move_on_after(1000):
        await keep_resolved(addresses, "shop.test", 80, took.append, lambda address: True)
    assert [str(a) for a in addresses] == ["10.0.0.2:80", "10.0.0.3:80"]
    assert next(iter(addresses)) is refused  # and what was known of it is
    assert took == [250_000_000]


def test_all_addresses_take_turns_and_refused_ones_are_left_alone() -> None:
    ring = Addresses([Address(socket.AF_INET, (f"10.0.0.{i}", 80)) for i in (1, 2, 3)])

    def picks(n: int, now: int) -> list[str]:
        return [str(ring.pick(now, []))[7:8] for _ in range(n)]

    assert picks(6, 0) == ["1", "2", "3", "1", "2", "3"]
    second = list(ring)[1]
    ring.failed(second, 0)
    assert picks(4, 1) == ["1", "3", "1", "3"]
    assert sorted(picks(3, 11 * SECOND)) == ["1", "2", "3"]
    tried = [a for a in ring if a is not second]
    ring.failed(second, 20 * SECOND)
    assert ring.pick(20 * SECOND, tried) is second  # better than none
    assert ring.pick(20 * SECOND, list(ring)) is None


def test_after_an_outage_all_addresses_take_turns_at_once() -> None:
    ring = Addresses([Address(socket.AF_INET, (f"10.0.0.{i}", 80)) for i in (1, 2, 3)])

    def dial(working: str) -> str:
        """The addresses that one dial tries until one works."""
        tried: list[Address] = []
        while (address := ring.pick(SECOND, tried)) is not None:
            tried.append(address)
            if str(address)[7] in working:
                break
            ring.failed(address, SECOND)
        return "".join(str(a)[7] for a in tried)

    assert sorted(dial("")) == sorted(dial("")) == ["1", "2", "3"]
    assert sorted(dial("123") for _ in range(6)) == ["1", "1", "2", "2", "3", "3"]
    # One that stays down costs one refusal, and not one per connection.
    dial("")
    assert sum("2" in dial("13") for _ in range(8)) == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def server_context(authority: trustme.CA, *, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("shop.test").configure_cert(context)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


async def tls_run(context: ssl.SSLContext, spec: TlsSpec, **options: Any) -> dict[str, int]:
    with serving(answering(OK_ANSWER), context) as server:
        job = job_for(server.port, scheme="https", server_name="shop.test", **options)
        done = await run_job(with_client(job, tls=spec))
    return done.outcomes


@on_every_transport
async def test_a_private_authority_and_none(authority: trustme.CA) -> None:
    context = server_context(authority)
    assert await tls_run(context, TlsSpec(ca=pem(authority))) == {"ok": 10}
    assert await tls_run(context, TlsSpec(verify=False)) == {"ok": 10}
    assert await tls_run(context, TlsSpec()) == {"tls": 10}


@on_every_transport
async def test_mutual_tls(authority: trustme.CA) -> None:
    mine = authority.issue_cert("me@shop.test")
    chain = "".join(blob.bytes().decode() for blob in mine.cert_chain_pems)
    key = mine.private_key_pem.bytes().decode()
    context = server_context(authority, mutual=True)
    assert await tls_run(context, TlsSpec(ca=pem(authority), cert=chain, key=key)) == {"ok": 10}
    without = await tls_run(context, TlsSpec(ca=pem(authority)))
    assert without.keys() <= {"tls", "reset"}  # TLS 1.3 tells a client only after its own handshake


@on_every_transport
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_reused(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    context = server_context(authority)
    context.minimum_version = context.maximum_version = version
    reused: list[bool] = []

    def handler(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        reused.append(bool(sock.session_reused))
        while read_request(sock):
            sock.sendall(OK_ANSWER)

    with serving(handler, context) as server:
        # One after the other, so that each can have learnt of a session from the one before.
        job = job_for(server.port, scheme="https", server_name="shop.test", keepalive=False, connections=1)
        done = await run_job(with_client(job, tls=TlsSpec(ca=pem(authority))))
    assert done.outcomes == {"ok": 10}
    assert len(reused) == 10
    assert sum(reused) >= 5, reused


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TlsSpec(ca="no pem"), r"^client\.tls\.ca: want certificates in PEM form: "),
        (TlsSpec(cert="no pem", key="nor this"), r"^client\.tls\.cert: want a certificate and its key"),
    ],
)
def test_certificates_that_are_none(spec: TlsSpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        client_context(spec)


@pytest.mark.skipif(
    not hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF"), reason="this machine's OpenSSL knows no other"
)
def test_an_end_without_close_notify_is_told_with_any_python(monkeypatch: pytest.MonkeyPatch) -> None:
    make = ssl.create_default_context

    def lenient(**options: Any) -> ssl.SSLContext:
        """As of Python 3.11.2."""
        context = make(**options)
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        return context

    monkeypatch.setattr(ssl, "create_default_context", lenient)
    assert not client_context(TlsSpec()).options & ssl.OP_IGNORE_UNEXPECTED_EOF


@pytest.mark.parametrize("descriptors", ["/proc/self/fd", "/nowhere"])
def test_a_key_is_gone_from_where_openssl_read_it(
    authority: trustme.CA, descriptors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "_DESCRIPTORS", descriptors)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = authority.issue_cert("me@shop.test").private_key_and_cert_chain_pem.bytes().decode()
    client_context(TlsSpec(cert=mine))  # the key in the same text
    assert list(tmp_path.iterdir()) == []
    assert mine not in repr(TlsSpec(cert=mine, key=mine))


def test_an_encrypted_key_is_refused_and_not_asked_for(authority: trustme.CA) -> None:
    from cryptography.hazmat.primitives import serialization

    mine = authority.issue_cert("me@shop.test")
    plain = serialization.load_pem_private_key(mine.private_key_pem.bytes(), None)
    encrypted = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    chain = mine.cert_chain_pems[0].bytes().decode()
    with pytest.raises(UsageError, match=r"^client\.tls\.cert: want a certificate and its key"):
        client_context(TlsSpec(cert=chain, key=encrypted))


async def test_unresolvable_names_are_said() -> None:
    for host in ("no-such-host.invalid", "a" * 300):
        with pytest.raises(SetupError, match=r"^cannot resolve "):
            await resolve(host, 80)


class Drips(socket.socket):
    """Takes and gives some bytes at a time, and nothing every other time."""

    taken = given = 0

    def send(self, data: Any, flags: int = 0) -> int:
        self.taken += 1
        return super().send(data[: self._portion(self.taken)], flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.given += 1
        return super().recv(self._portion(self.given), flags)

    def recvmsg(self, size: int, ancillary: int = 0, flags: int = 0) -> Any:
        self.given += 1
        return super().recvmsg(self._portion(self.given), ancillary, flags)

    def _portion(self, turn: int) -> int:
        if turn % 2:
            raise BlockingIOError(errno.EAGAIN, "")
        return 1 + turn % 7


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_connection_that_drips(contexts: tuple[ssl.SSLContext, ssl.SSLContext], tls: bool) -> None:
    """Handshakes, requests and answers are cut up anywhere."""
    theirs, ours = contexts
    with serving(answering(OK_ANSWER), theirs if tls else None) as server:
        job = job_for(server.port, scheme="https" if tls else "http", count=20, rate=100)
        done = await run_job(
            job, tls=ours if tls else None, transport=partial(Http1Transport, new_socket=Drips)
        )
    assert done.outcomes == {"ok": 20}
