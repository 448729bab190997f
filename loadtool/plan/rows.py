"""Feeder rows: which row each arrival gets, without anybody counting along.

`plan/ordinals.py` says how many earlier arrivals used a feeder; an order turns that number into a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from loadtool.plan.job import RowsSpec
from loadtool.plan.seeding import SHUFFLE, stream

ORDINAL_BITS: Final = 48  # of an arrival's ordinal, for each feeder
_MASK: Final = (1 << ORDINAL_BITS) - 1
# Shuffling this many rows takes well under a millisecond, so a pass can begin amid the load.
SHUFFLED_WHOLE: Final = 512
_ROUNDS: Final = 6


class Row(Mapping[str, object]):
    """One row as templates see it; `row.name` finds a column before anything else of that name."""

    __slots__ = ("_places", "_values", "feeder")

    def __init__(self, feeder: str, places: Mapping[str, int], values: Sequence[object]) -> None:
        self.feeder = feeder
        self._places = places
        self._values = values

    def __getitem__(self, column: str) -> object:
        return self._values[self._places[column]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _cycle(spec: RowsSpec, seed: int, feeder: int) -> Callable[[int], int]:
    return lambda ordinal: ordinal % len(spec.rows)


def _once(spec: RowsSpec, seed: int, feeder: int) -> Callable[[int], int]:
    def place(ordinal: int) -> int:
        if ordinal >= len(spec.rows):
            raise IndexError(f"out of rows: {len(spec.rows)} rows, each used once")
        return ordinal

    return place


def _shuffle(spec: RowsSpec, seed: int, feeder: int) -> Callable[[int], int]:
    size = len(spec.rows)

    @lru_cache(maxsize=4)  # passes: neighbouring arrivals lie in the same one
    def order(number: int) -> Callable[[int], int]:
        return _permutation(size, seed, feeder, number)

    def place(ordinal: int) -> int:
        number, at = divmod(ordinal, size)
        return order(number)(at)

    return place


def _permutation(size: int, seed: int, feeder: int, number: int) -> Callable[[int], int]:
    draw = stream(seed, SHUFFLE, feeder, number).random
    if size <= SHUFFLED_WHOLE:
        # Fisher and Yates, with `random()` alone: the one method that is the same in every Python.
        order = list(range(size))
        for i in range(size - 1, 0, -1):
            j = int(draw() * (i + 1))
            order[i], order[j] = order[j], order[i]
        return order.__getitem__
    # A long feeder is shuffled without being touched: a Feistel network permutes the next larger power of
    # four, and what falls outside is walked on until it is inside (Black and Rogaway, Ciphers with Arbitrary
    # Finite Domains, 2002).
    half = (size - 1).bit_length() + 1 >> 1
    mask = (1 << half) - 1
    keys = [int(draw() * 2**53) | 1 for _ in range(_ROUNDS)]

    def place(at: int) -> int:
        while True:
            left, right = at >> half, at & mask
            for key in keys:
                mixed = (right + 1) * key & 0xFFFFFFFFFFFFFFFF
                mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
                left, right = right, left ^ (mixed >> 32) & mask
            at = left << half | right
            if at < size:
                return at

    return place


# `order:` of a feeder -> which row the n-th arrival that uses it gets.
ORDERS: Final[dict[str, Callable[[RowsSpec, int, int], Callable[[int], int]]]] = {
    "cycle": _cycle,
    "shuffle": _shuffle,
    "once": _once,
}


class Feeder:
    """One feeder's rows, by ordinal."""

    def __init__(self, name: str, spec: RowsSpec, seed: int, index: int, slot: int) -> None:
        """`index`: its place in the job; `slot`: its place in an ordinal. Raises ValueError without rows."""
        if not spec.rows:
            raise ValueError(f"data {name}: the feeder has no rows")
        self.name = name
        self.places = {column: at for at, column in enumerate(spec.columns)}
        self._rows = spec.rows
        self._place = ORDERS[spec.order](spec, seed, index)
        self._shift = slot * ORDINAL_BITS

    def values(self, ordinal: int) -> tuple[object, ...]:
        """The row of the arrival with this ordinal. Raises IndexError when `once` has none left."""
        return self._rows[self._place(ordinal >> self._shift & _MASK)]

    def row(self, ordinal: int) -> Row:
        return Row(self.name, self.places, self.values(ordinal))
