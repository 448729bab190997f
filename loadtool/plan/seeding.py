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


def stream(seed: int, purpose: int, *where: int) -> Random:
    """The generator for this purpose and place; the same arguments give the same numbers everywhere.

    Only `random()` of it is promised by Python to stay the same between versions, so callers that shape a
    run draw with nothing else. `where` are integers from 0 to 2^64 − 1, `seed` is any integer.
    """
    key = 2 * seed if seed >= 0 else -2 * seed - 1
    for part in (purpose, *where):
        key = key << 64 | part
    return Random(key)
