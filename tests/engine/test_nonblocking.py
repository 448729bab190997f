"""System calls of the compiled build do what the os module's do, which stand in for them in a plain one."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest

from loadtool.engine import nonblocking
from loadtool.engine.build import compiled

# os's own are the answer that is known; they go through the same tests, so that those can't be wrong of both.
CALLS: dict[str, Any] = {"os": SimpleNamespace(read=os.read, write=os.write)}
if find_spec("loadtool.engine._nonblocking") is not None:
    CALLS["compiled"] = import_module("loadtool.engine._nonblocking")


@pytest.fixture(params=CALLS)
def calls(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def test_the_compiled_build_has_its_own_and_the_plain_one_pythons() -> None:
    assert ("compiled" in CALLS) == compiled()
    assert (nonblocking.read, nonblocking.write) == (
        (CALLS["compiled"].read, CALLS["compiled"].write) if compiled() else (os.read, os.write)
    )
    linux = compiled() and sys.platform == "linux"
    assert (nonblocking.poll is not None, nonblocking.set_timer is not None) == (linux, linux)


@pytest.mark.parametrize("sent", [1, 447, 448, 449, 4_095, 4_096, 4_097, 50_000])
@pytest.mark.parametrize("most", [0, 1, 448, 4_096, 4_097, 65_536])
def test_reads_what_is_there_and_no_more_than_asked_for(
    calls: Any, pair: tuple[socket.socket, socket.socket], sent: int, most: int
) -> None:
    ours, theirs = pair
    data = bytes(n % 251 for n in range(sent))
    theirs.sendall(data)
    assert calls.read(ours.fileno(), most) == data[:most]


def test_the_end_of_the_file_is_no_bytes(calls: Any, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    assert calls.read(ours.fileno(), 448) == calls.read(ours.fileno(), 8_192) == b""


@pytest.mark.parametrize("most", [448, 8_192])
def test_nothing_to_read_yet_is_said_so(
    calls: Any, pair: tuple[socket.socket, socket.socket], most: int
) -> None:
    with pytest.raises(BlockingIOError) as caught:
        calls.read(pair[0].fileno(), most)
    assert caught.value.errno == errno.EAGAIN


def test_writes_all_that_there_is_room_for(calls: Any, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert calls.write(ours.fileno(), b"GET / HTTP/1.1\r\n") == 16
    assert theirs.recv(100) == b"GET / HTTP/1.1\r\n"
    assert calls.write(ours.fileno(), b"") == 0
    taken = 0
    with suppress(BlockingIOError):
        while True:
            taken += calls.write(ours.fileno(), b"x" * 50_000)
    got = 0
    theirs.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            got += len(theirs.recv(65_536))
    assert got == taken > 0


def test_what_the_kernel_refuses_is_the_error_of_its_number(calls: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for call, given, kind in (
        (calls.read, (reading, 10), errno.EBADF),
        (calls.read, (writing, -1), errno.EINVAL),
        (calls.write, (reading, b"x"), errno.EBADF),
        (calls.write, (writing, b"x"), errno.EPIPE),
    ):
        with pytest.raises(OSError, match=os.strerror(kind)) as caught:
            call(*given)
        assert caught.value.errno == kind
    assert caught.type is BrokenPipeError
    os.close(writing)


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [
        ("read", (1,), TypeError),
        ("read", ("a", 1), TypeError),
        ("read", (1, "a"), TypeError),
        ("read", (1 << 40, 1), OverflowError),
        ("write", (1,), TypeError),
        ("write", (1, "text"), TypeError),
        ("write", (1 << 80, b""), OverflowError),
    ],
)
def test_what_is_no_argument_is_refused(
    calls: Any, name: str, given: tuple[Any, ...], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        getattr(calls, name)(*given)


def test_a_signal_does_not_end_a_read(calls: Any) -> None:
    """It waits in these tests alone, as a descriptor that may block is the way to be interrupted."""
    reading, writing = os.pipe()

    def handler(number: int, frame: object) -> None:
        os.write(writing, b"after the signal")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert calls.read(reading, 100) == b"after the signal"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(reading)
        os.close(writing)


def test_what_a_handler_raises_is_raised(calls: Any) -> None:
    reading, writing = os.pipe()

    def handler(number: int, frame: object) -> None:
        raise ZeroDivisionError("in the handler")

    def interrupted() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        calls.read(reading, 100)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(ZeroDivisionError, match="in the handler"):
            interrupted()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(reading)
        os.close(writing)


if sys.platform == "linux":

    def _epoll_poll(epoll: select.epoll, most: int) -> list[tuple[int, int]]:
        return epoll.poll(0, most)

    def _own_poll(epoll: select.epoll, most: int) -> list[tuple[int, int]]:
        events: list[tuple[int, int]] = CALLS["compiled"].poll(epoll.fileno(), most)
        return events

    POLLS = {"select": _epoll_poll} | ({"compiled": _own_poll} if "compiled" in CALLS else {})

    @pytest.mark.parametrize("poll", POLLS.values(), ids=POLLS)
    def test_a_look_finds_what_is_ready(poll: Any) -> None:
        pairs = [socket.socketpair() for _ in range(20)]
        with select.epoll() as epoll:
            for ours, _ in pairs:
                epoll.register(ours.fileno(), select.EPOLLIN)
            assert poll(epoll, 512) == []
            for _, theirs in pairs[:7]:
                theirs.send(b"x")
            ready = [(ours.fileno(), select.EPOLLIN) for ours, _ in pairs[:7]]
            assert poll(epoll, 512) == ready
            # In turn, if they are more than asked for.
            assert poll(epoll, 3) + poll(epoll, 4) == ready
            epoll.modify(pairs[9][0].fileno(), select.EPOLLOUT)
            pairs[8][1].close()
            said = dict(poll(epoll, 512))
            assert said[pairs[9][0].fileno()] == select.EPOLLOUT
            assert said[pairs[8][0].fileno()] == select.EPOLLIN | select.EPOLLHUP
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


if sys.platform == "linux" and "compiled" in CALLS:
    OWN = CALLS["compiled"]

    def test_what_can_not_be_looked_at_is_an_error() -> None:
        closed = os.dup(0)
        os.close(closed)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            OWN.poll(closed, 512)

    @pytest.mark.parametrize("most", [0, -1, 513])
    def test_a_look_at_none_or_too_many_is_refused(most: int) -> None:
        want = f"got {most} events at a look, want 1 to 512"
        with select.epoll() as epoll, pytest.raises(ValueError, match=want):
            OWN.poll(epoll.fileno(), most)

    def test_a_timer_fires_when_it_is_told_to() -> None:
        timer = ctypes.CDLL(None).timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK)
        try:
            OWN.set_timer(timer, time.monotonic_ns() + 3_600_000_000_000)
            with pytest.raises(BlockingIOError):
                os.read(timer, 8)
            when = time.monotonic_ns() + 20_000_000
            OWN.set_timer(timer, when)
            assert select.select([timer], [], [], 60) == ([timer], [], [])
            assert time.monotonic_ns() >= when
            assert int.from_bytes(os.read(timer, 8), sys.byteorder) == 1
            OWN.set_timer(timer, when)  # past: at once
            assert select.select([timer], [], [], 60) == ([timer], [], [])
            with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
                OWN.set_timer(timer, -1)
        finally:
            os.close(timer)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            OWN.set_timer(timer, when)
