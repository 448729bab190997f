"""What runs out on this machine: counted, waited for without haste, and never the target's fault."""

from __future__ import annotations

import errno
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    Done,
    Far,
    answering,
    ensure,
    job_for,
    run_job,
    serving,
    with_time_enough,
)
from racing_server import ending_as_the_next_comes, needs_filters

from loadtool.engine.failures import LOCAL_ERRNOS
from loadtool.engine.http1 import KEPT, MAX_KEPT
from loadtool.engine.http1_transport import Http1Transport
from loadtool.engine.poller import Events, Poller
from loadtool.engine.reactor import SPIN_NS
from loadtool.engine.transports import Maker, Parts, Transport
from loadtool.plan.job import ExpectSpec

NewSocket = Callable[[int, int], socket.socket]
LOCAL = sorted(errno.errorcode[number] for number in LOCAL_ERRNOS)


class Counting:
    """A poller that counts the turns of the loop; `register` may fail."""

    def __init__(self, poller: Poller, fail: Callable[[], None] = lambda: None) -> None:
        self.turns = 0
        self._fail = fail
        self._poller = poller
        self.fileno, self.modify = poller.fileno, poller.modify
        self.unregister, self.forget = poller.unregister, poller.forget
        self.arm, self.close = poller.arm, poller.close

    def register(self, fd: int, flags: int) -> None:
        self._fail()
        self._poller.register(fd, flags)

    def poll(self) -> Events:
        self.turns += 1
        return self._poller.poll()

    def wait_until(self, when_ns: int) -> Events:
        self.turns += 1
        return self._poller.wait_until(when_ns)


class Bench:
    """Puts a transport together with the parts of a test."""

    def __init__(
        self, new_socket: NewSocket = socket.socket, register: Callable[[], None] = lambda: None
    ) -> None:
        self.poller: Counting | None = None
        self._new_socket = new_socket
        self._register = register

    def __call__(self, parts: Parts) -> Transport:
        self.poller = Counting(parts.poller, self._register)
        return Http1Transport(replace(parts, poller=self.poller), self._new_socket)

    @property
    def turns(self) -> int:
        assert self.poller is not None
        return self.poller.turns


def failing(times: int, error: Exception) -> Callable[[], None]:
    """Raises it so often, then no more."""
    numbers = itertools.count()

    def fail() -> None:
        if next(numbers) < times:
            raise error

    return fail


def local(done: Done) -> dict[str, int]:
    counts: dict[str, int] = {}
    for frame in done.frames:
        for name, n in frame.local.items():
            counts[name] = counts.get(name, 0) + n
    return counts


def at_socket(fail: Callable[[], None]) -> Bench:
    def new_socket(family: int, kind: int) -> socket.socket:
        fail()
        return socket.socket(family, kind)

    return Bench(new_socket)


def at_connect(fail: Callable[[], None]) -> Bench:
    class Failing(socket.socket):
        def connect_ex(self, address: object) -> int:
            fail()
            return super().connect_ex(address)  # type: ignore[arg-type]  # whatever the dialler gives

    return Bench(Failing)


def at_register(fail: Callable[[], None]) -> Bench:
    return Bench(register=fail)


def asked_again(fail: Callable[[], None]) -> Bench:
    """As the kernel says it to who asks once more how the connect went."""

    class Failing(socket.socket):
        begun = False

        def connect_ex(self, address: object) -> int:
            if not self.begun:
                self.begun = True
                super().connect_ex(address)  # type: ignore[arg-type]  # whatever the dialler gives
                return errno.EINPROGRESS
            try:
                fail()
            except OSError as e:
                return e.errno or 0
            return 0

    return Bench(Failing)


def once_connected(fail: Callable[[], None]) -> Bench:
    """As the kernel says it when the connect goes on without the caller."""

    class Failing(Far):
        def getsockopt(self, *args: int) -> int:  # type: ignore[override]  # the one form that is used
            if args == (socket.SOL_SOCKET, socket.SO_ERROR):
                try:
                    fail()
                except OSError as e:
                    return e.errno or 0
            return super().getsockopt(*args)

    return Bench(Failing)


STAGES = [at_socket, at_connect, asked_again, at_register, once_connected]


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_what_comes_back_costs_no_arrival(name: str, stage: Callable[..., Bench]) -> None:
    bench = stage(failing(2, OSError(getattr(errno, name), "")))
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=5, timeout_ns=20 * SECOND), transport=bench)
    assert done.outcomes == {"ok": 5}
    assert local(done) == {name: 2}


async def test_without_memory_for_a_socket() -> None:
    bench = at_socket(failing(2, MemoryError()))
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=5, timeout_ns=20 * SECOND), transport=bench)
    assert done.outcomes == {"ok": 5}
    assert local(done) == {"ENOMEM": 2}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_what_stays_away_is_waited_for_without_haste(stage: Callable[..., Bench]) -> None:
    async def attempt(timeout_ms: int) -> None:
        bench = stage(failing(1 << 30, OSError(errno.EMFILE, "")))
        with serving(answering(OK_ANSWER)) as server:
            done = await run_job(job_for(server.port, timeout_ns=timeout_ms * MS), transport=bench)
        assert done.outcomes == {"unsent": 10}
        assert done.examples["unsent"].detail.endswith("Too many open files (EMFILE)")
        assert done.examples["unsent"].detail.startswith("this machine could open no connection: ")
        # One dial in 50 ms, but for the last stage, where the ten that wait have begun by then; and a few
        # turns for each of them and each arrival, which may be spun for with a look at the sockets each
        # half µs.
        tries = (done.frames[-1].elapsed_ns // (50 * MS) + 1) * (10 if stage is once_connected else 1)
        assert 1 <= local(done)["EMFILE"] <= tries
        ensure(bench.turns <= 100 + 10 * tries + 10 * 2 * SPIN_NS // 1000, f"{bench.turns} turns")

    await with_time_enough(attempt, 300, 3_000, 10_000)


def exchanging(send: Callable[[], None] = lambda: None, recv: Callable[[int], bytes] | None = None) -> Bench:
    class Failing(socket.socket):
        def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # bytes are all it gets
            send()
            return super().send(data, flags)

        def recv(self, size: int, flags: int = 0) -> bytes:
            return super().recv(size, flags) if recv is None else recv(self.fileno())

        def recvmsg(
            self, size: int, ancillary: int = 0, flags: int = 0
        ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
            found = super().recvmsg(size, ancillary, flags) if recv is None else None
            return found or (self.recv(size), [], 0, None)

    return Bench(Failing)


@pytest.mark.parametrize("error", [OSError(errno.ENOBUFS, ""), MemoryError()], ids=repr)
async def test_a_request_that_the_kernel_has_no_room_for(error: Exception) -> None:
    bench = exchanging(send=failing(2, error))
    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(job_for(server.port, count=5, timeout_ns=20 * SECOND), transport=bench)
    assert done.outcomes == {"ok": 3, "timeout": 2}
    assert sum(local(done).values()) == 2
    assert done.examples["timeout"].detail.startswith("this machine gave up before an answer came: ")


@pytest.mark.parametrize("error", [OSError(errno.ENOBUFS, ""), MemoryError()], ids=repr)
async def test_an_answer_that_there_is_no_room_for(error: Exception) -> None:
    half: set[int] = set()

    def recv(fd: int) -> bytes:
        if fd in half:
            half.discard(fd)
            raise error
        half.add(fd)
        return os.read(fd, 30)

    with serving(answering(OK_ANSWER)) as server:
        done = await run_job(
            job_for(server.port, count=5, timeout_ns=20 * SECOND), transport=exchanging(recv=recv)
        )
    assert done.outcomes == {"timeout": 5}
    assert sum(local(done).values()) == 5
    assert done.examples["timeout"].detail.startswith("this machine gave up in the middle of the answer: ")


async def bodies_without_room(transport: str) -> Done:
    before, KEPT.bytes = KEPT.bytes, MAX_KEPT  # as if others kept so much
    try:
        with serving(answering(OK_ANSWER)) as server:
            job = job_for(server.port, count=5, expect=ExpectSpec(contains=("ok",)))
            done = await run_job(replace(job, transport=transport))
        assert KEPT.bytes == MAX_KEPT
    finally:
        KEPT.bytes = before
    return done


async def test_bodies_that_there_is_no_room_for() -> None:
    done = await bodies_without_room("http1")
    assert done.outcomes == {"timeout": 5}
    assert local(done) == {"ENOMEM": 5}
    assert done.examples["timeout"].detail == "this machine had no room for the answer's body"


async def second_try_without_a_file(failing_sockets: Callable[[Callable[[], None]], Maker]) -> Done:
    """A reused connection turns out closed, and no fresh one can be opened at first."""
    behaviours = iter((ending_as_the_next_comes(), answering(OK_ANSWER)))

    def handler(sock: socket.socket) -> None:
        next(behaviours)(sock)

    numbers = itertools.count()

    def fail() -> None:
        if next(numbers) == 1:
            raise OSError(errno.EMFILE, "")

    with serving(handler) as server:
        job = job_for(server.port, count=2, rate=10, connections=1, timeout_ns=20 * SECOND)
        return await run_job(job, transport=failing_sockets(fail))


@needs_filters
async def test_a_second_try_without_a_file_for_it_waits() -> None:
    done = await second_try_without_a_file(at_socket)
    assert done.outcomes == {"ok": 2}
    assert local(done) == {"EMFILE": 1}
    assert done.tally.totals.attempts == 2


IP_LOCAL_PORT_RANGE = 51


async def test_local_ports_that_run_out() -> None:
    """Four ports of our own, and five requests that are never answered: the kernel refuses the fifth."""

    def hold(sock: socket.socket) -> None:
        while sock.recv(65536):
            pass

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        low = min(free.getsockname()[1], 65000)

    def new_socket(family: int, kind: int) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", (low + 3) << 16 | low))
        return sock

    try:
        new_socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError as e:
        pytest.skip(f"the kernel of this machine knows no port range of a socket: {e}")

    async def attempt(timeout_ms: int) -> None:
        with serving(hold) as server:
            done = await run_job(
                job_for(server.port, timeout_ns=timeout_ms * MS),
                transport=partial(Http1Transport, new_socket=new_socket),
            )
        assert done.outcomes.keys() == {"timeout", "unsent"}
        assert done.outcomes["timeout"] <= 4
        assert set(local(done)) == {"EADDRNOTAVAIL"}
        assert "Cannot assign requested address (EADDRNOTAVAIL)" in done.examples["unsent"].detail

    await with_time_enough(attempt, 400, 4_000, 10_000)


CHILD = """
import json, os, resource, socket, sys, threading
import trio
from engine_harness import SECOND, job_for, run_job
from loadtool.engine.http1 import KEPT, MAX_KEPT
from loadtool.engine.http1_transport import Http1Transport

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def lift():
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

lifting = [threading.Timer(0.3, lift)] if sys.argv[2] == "for a while" else []

def new_socket(family, kind):
    try:
        return socket.socket(family, kind)
    except OSError:
        while lifting:  # at the first one only
            lifting.pop().start()
        raise

def transport(parts):
    made = Http1Transport(parts, new_socket)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
    return made

job = job_for(int(sys.argv[1]), timeout_ns=int(sys.argv[3]))
done = trio.run(lambda: run_job(job, transport=transport))
local = [frame.local for frame in done.frames if frame.local]
print(json.dumps({"outcomes": done.outcomes, "local": local}))
"""


def told_by_child(how_long: str, timeout_ms: int) -> dict[str, Any]:
    with serving(answering(OK_ANSWER)) as server:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(server.port), how_long, str(timeout_ms * MS)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
    found: dict[str, Any] = json.loads(child.stdout)
    return found


@pytest.mark.parametrize(
    ("how_long", "timeouts_ms", "outcomes"),
    [("for a while", [20_000], {"ok": 10}), ("for good", [300, 3_000, 10_000], {"unsent": 10})],
)
async def test_open_files_that_run_out(
    how_long: str, timeouts_ms: list[int], outcomes: dict[str, int]
) -> None:
    async def attempt(timeout_ms: int) -> None:
        found = told_by_child(how_long, timeout_ms)
        assert found["outcomes"] == outcomes
        assert found["local"]
        assert all(set(counts) == {"EMFILE"} for counts in found["local"])

    await with_time_enough(attempt, *timeouts_ms)
