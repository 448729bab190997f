"""Choice: one of several by weight, for a number drawn from 0 up to 1."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

CELLS: Final = 64  # a power of two, so that a draw is in its cell exactly


class Choice:
    """The index of a weight, as often as its share of them all.

    By a guide table: the draw's cell says where to begin to look, mostly at what is looked for (Chen and
    Asau, AIIE Transactions 6, 1974; Devroye, Non-Uniform Random Variate Generation, 1986, III.2.4).
    """

    def __init__(self, weights: Sequence[float]) -> None:
        """`weights`: one or more, at least 0, and not all of them 0."""
        self._sums = [float(total) for total in accumulate(weights)]
        self._total = self._sums[-1]
        self.last = len(self._sums) - 1
        self._begin = [
            bisect_right(self._sums, cell / CELLS * self._total, 0, self.last) for cell in range(CELLS)
        ]

    def of(self, draws: Sequence[float]) -> list[int]:
        """The index that belongs to each draw: the first whose sum of weights is above draw × total."""
        sums, total, last, begin = self._sums, self._total, self.last, self._begin
        chosen: list[int] = []
        for draw in draws:
            at = begin[int(draw * CELLS)]
            above = draw * total
            while at < last and sums[at] <= above:
                at += 1
            chosen.append(at)
        return chosen
