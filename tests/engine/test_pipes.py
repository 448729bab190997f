"""What a worker reports while nobody takes it: all of it, in order, and as cheap however much there is."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import pytest

from loadtool.engine.pipes import Reports
from loadtool.engine.poller import WRITE

MIB = 1 << 20


class Pipe:
    """Both ends, and a poller that only notes whether it is asked to wait."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.waiting: list[int] = []
        self.special: dict[int, Callable[[], None]] = {}
        self.reports = Reports(self.write_end, cast(Any, self), self.special)

    def register(self, fd: int, flags: int) -> None:
        assert flags == WRITE
        assert fd not in self.waiting
        self.waiting.append(fd)

    def unregister(self, fd: int) -> None:
        self.waiting.remove(fd)

    def read(self, most: int = 1 << 16) -> bytes:
        """What is there, if anything."""
        with suppress(BlockingIOError):
            return os.read(self.read_end, most)
        return b""

    def take(self, most: int = 1 << 16) -> bytes:
        """The same; then the pipe takes more, as a poller would tell."""
        data = self.read(most)
        assert self.waiting == list(self.special)
        for go_on in [*self.special.values()]:
            go_on()
        return data

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(5))
def test_all_arrives_in_order_however_it_is_taken(pipe: Pipe, seed: int) -> None:
    rng = random.Random(seed)
    sent, taken = b"", b""
    for _ in range(100):
        frame = rng.randbytes(rng.choice((0, 1, 300, 5_000, 100_000, 300_000)))
        sent += frame
        pipe.reports.send(frame)
        for _ in range(rng.choice((0, 0, 1, 4))):
            taken += pipe.take(rng.choice((1, 700, 1 << 16)))
    while data := pipe.take():
        taken += data
    assert taken == sent
    assert (pipe.waiting, pipe.special) == ([], {})


def test_the_last_is_written_after_all_that_waits(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in that always takes some: nobody reads the pipe meanwhile."""
    frames = [bytes([n]) * 50_000 for n in range(5)]
    for frame in frames:
        pipe.reports.send(frame)
    first = pipe.take() + pipe.take()
    last: list[bytes] = []

    def write(fd: int, data: bytes) -> int:
        assert os.get_blocking(fd)
        last.append(bytes(data[:30_000]))
        return len(last[-1])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        pipe.reports.send_last()
    while data := pipe.read():
        first += data
    assert last != []
    assert first + b"".join(last) == b"".join(frames)


def test_a_frame_costs_no_copy_of_what_waits_before_it(pipe: Pipe) -> None:
    """Minutes of reports, of a coordinator that has been stopped."""
    minute = bytes(6 * MIB)
    for _ in range(4):
        pipe.reports.send(minute)
    frame = bytes(10_000)
    tracemalloc.start()
    try:
        pipe.reports.send(frame)
        pipe.take()
        pipe.take()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB
