"""Pending: arrivals that wait for a connection, in order."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from loadtool.engine.connection import Arrival

_SPENT: Final = 1024  # places at the front that are given back at a time


class Pending:
    """A queue of arrivals. A deque would do, but compiled code looks up a deque's methods at every call."""

    __slots__ = ("_begin", "_places", "size")

    def __init__(self) -> None:
        self.size = 0  # arrivals that wait
        self._places: list[Arrival | None] = []
        self._begin = 0  # the first one's place; those before are empty

    def append(self, arrival: Arrival) -> None:
        """Let it wait behind all others."""
        self._places.append(arrival)
        self.size += 1

    def insert(self, arrival: Arrival) -> None:
        """Let it wait behind those that give up before it, or with it.

        First attempts give up in the order in which they are due, and so do later ones, but for those whose
        deadline comes before their timeout.
        """
        places = self._places
        if not self.size or _give_up(places[-1]) <= arrival.give_up:
            places.append(arrival)
        else:
            places.insert(bisect_right(places, arrival.give_up, self._begin, key=_give_up), arrival)
        self.size += 1

    def put_back(self, arrival: Arrival) -> None:
        """Let it be the first one again."""
        if self._begin:
            self._begin -= 1
            self._places[self._begin] = arrival
        else:
            self._places.insert(0, arrival)
        self.size += 1

    def at(self, index: int) -> Arrival:
        """The one that so many others are before. 0 <= index < size."""
        arrival = self._places[self._begin + index]
        assert arrival is not None
        return arrival

    def take(self) -> Arrival:
        """The first one, which waits no more. There must be one."""
        begin, places = self._begin, self._places
        arrival = places[begin]
        assert arrival is not None
        self.size -= 1
        begin += 1
        if not self.size:
            places.clear()
            begin = 0
        elif begin == _SPENT:
            del places[:begin]
            begin = 0
        else:
            places[begin - 1] = None  # not kept until its place is given back: it has a body
        self._begin = begin
        return arrival

    def drain(self, most: int) -> list[Arrival]:
        """The first ones, so many at most; they wait no more."""
        return [self.take() for _ in range(min(most, self.size))]


def _give_up(arrival: Arrival | None) -> int:
    assert arrival is not None
    return arrival.give_up
