"""Backoff: how long a client waits before it tries again, one row of `POLICIES` a policy. Times are ns.

Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

# base, cap, number of the retry from 1, the delay before this one (base before the first), and a random
# number from 0 to 1 -> the delay
Delay = Callable[[int, int, int, int, float], int]


def immediate(base: int, cap: int, number: int, last: int, draw: float) -> int:
    """None."""
    return 0


def exponential(base: int, cap: int, number: int, last: int, draw: float) -> int:
    """min(cap, base · 2^(number − 1))."""
    return min(cap, base << (number - 1))


def full_jitter(base: int, cap: int, number: int, last: int, draw: float) -> int:
    """Uniform from 0 to the exponential delay."""
    return int(draw * min(cap, base << (number - 1)))


def decorrelated_jitter(base: int, cap: int, number: int, last: int, draw: float) -> int:
    """min(cap, uniform from base to three times the delay before)."""
    return min(cap, base + int(draw * (3 * last - base)))


# By the profile's `policy`; `none` tries nothing again, and has no delay.
POLICIES: Final[Mapping[str, Delay]] = {
    "immediate": immediate,
    "exponential": exponential,
    "full-jitter": full_jitter,
    "decorrelated-jitter": decorrelated_jitter,
}


def extremes(policy: str, base: int, cap: int, count: int, draw: float) -> list[int]:
    """The delays before the first `count` retries if every draw gave this: 0 the shortest, 1 the longest."""
    delays: list[int] = []
    last = base
    for number in range(1, count + 1):
        last = POLICIES[policy](base, cap, number, last, draw)
        delays.append(last)
    return delays
