"""The poller's timer, with the real clock: it is told of once, and again each time that it is set."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from loadtool.engine.poller import READ, Poller, new_poller

LONG_S = 30.0


@pytest.fixture
def poller() -> Iterator[Poller]:
    poller = new_poller(4)
    yield poller
    poller.close()


def is_ready(poller: Poller, timeout_s: float) -> bool:
    """As trio sees it, in whose own poller it stands."""
    return bool(select.select([poller.fileno()], [], [], timeout_s)[0])


def test_a_timer_that_has_fired_is_not_found_again(poller: Poller) -> None:
    for _ in range(3):
        poller.arm(time.monotonic_ns() + 1_000_000)
        assert is_ready(poller, LONG_S)
        assert poller.poll() == []
        assert not is_ready(poller, 0)


def test_a_wait_ends_each_time(poller: Poller) -> None:
    for _ in range(3):
        moment = time.monotonic_ns() + 1_000_000
        assert poller.wait_until(moment) == []
        assert time.monotonic_ns() >= moment
    assert poller.wait_until(moment) == []  # which has passed


def test_a_timer_that_fires_is_not_among_what_is_found(poller: Poller) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poller.register(ours.fileno(), READ)
        theirs.sendall(b"x")
        poller.arm(time.monotonic_ns())
        assert is_ready(poller, LONG_S)
        for _ in range(3):
            assert poller.wait_until(time.monotonic_ns() + int(LONG_S * 1e9)) == [(ours.fileno(), READ)]


def test_a_timer_set_later_does_not_fire_before(poller: Poller) -> None:
    poller.arm(time.monotonic_ns())
    assert is_ready(poller, LONG_S)
    poller.arm(time.monotonic_ns() + int(LONG_S * 1e9))
    assert not is_ready(poller, 0)
    assert poller.poll() == []
