"""Seeds: one profile seed gives many independent streams of random numbers, each addressed by integers.

Nothing draws from a shared generator, so what one part of a run draws never depends on what another part
did, on the number of workers or on the order of work.
"""

from __future__ import annotations

from random import Random
from typing import Final

# Purposes of streams. Changing a number changes every run of every seed.
GAPS: Final = 1  # of Poisson arrivals, by block
MIX: Final = 2  # which request an arrival is, by block
SHUFFLE: Final = 3  # of a feeder's rows, by pass
BACKOFF: Final = 16  # jitter, by arrival and retry
THROTTLE: Final = 17  # who is held back, by arrival and attempt

_BITS: Final = (1 << 64) - 1


def stream(seed: int, purpose: int, *where: int) -> Random:
    """The generator for this purpose and place; the same arguments give the same numbers everywhere.

    Only `random()` of it is promised by Python to stay the same between versions, so callers that shape a
    run draw with nothing else. `where` are integers from 0 to 2^64 − 1, `seed` is any integer.
    """
    key = 2 * seed if seed >= 0 else -2 * seed - 1
    for part in (purpose, *where):
        key = key << 64 | part
    return Random(key)


def draw(seed: int, purpose: int, *where: int) -> float:
    """One number from 0 up to 1 for this purpose and place: for what is drawn while a load lasts.

    A generator takes twenty times as long to make. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) takes up
    one part after the other. `where` are integers from 0 to 2^64 − 1, `seed` is any integer.
    """
    state = seed & _BITS
    for part in (purpose, *where):
        state = _mix((state ^ part) + 0x9E3779B97F4A7C15 & _BITS)
    return (state >> 11) / (1 << 53)


def _mix(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _BITS
    return z ^ z >> 31
