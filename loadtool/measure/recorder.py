"""Recorder: the worker's own books, written on the hot path and emptied into a frame once a slice.

A cell holds the arrivals of one (slice of due, segment, request). Values are in µs, rounded, and counted by
the bucket that HdrHistogram with 3 significant digits would use; sums and maxima are of the exact µs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from operator import mul
from typing import Final

from loadtool.measure.frame import CellDelta, Sparse
from loadtool.measure.outcome import (
    CLASSES,
    H_CONNECT,
    H_DNS,
    H_FAILED,
    H_LAG,
    H_OK,
    H_QUEUED,
    H_SERVICE,
    H_SHED,
    H_TLS,
    H_TTFB,
    MARKS,
    OK,
    OUTCOMES,
)

HIGHEST_US: Final = 3_600_000_000
BATCH: Final = 256  # values of a class that are counted at a time
SMALL: Final = 2048  # µs; values below are buckets of their own
LOWEST_US: Final = 1
NEVER: Final = (1 << 62) - 1
_N_CLASSES: Final = len(CLASSES)
_N_OUTCOMES: Final = len(OUTCOMES)
_N_MARKS: Final = len(MARKS)
_NOT_YET: Final[list[int]] = []
_WHOLE: Final = _N_CLASSES  # beside them: values that are both a service time and one to the first byte
# Parts of a cell that are told one after the other. Those of the first belong to its counts: quantiles of
# response times take both. Those of the second are alike for most answers, and then one histogram.
PARTS: Final[list[tuple[int, ...]]] = [
    (H_OK, H_FAILED, H_SHED),
    (H_SERVICE, H_TTFB),
    (H_LAG, H_QUEUED, H_CONNECT, H_TLS, H_DNS),
]
_SERVED: Final = 1
_QUEUED: Final = 2


def quantise(us: int) -> int:
    """The lowest value of the HdrHistogram bucket that `us` falls in, after clamping to 1 … 3.6e9 µs."""
    # histogram.py has the same: this one is compiled, that one is not, and this is called for every value.
    if us < SMALL:
        return us if us > 0 else LOWEST_US
    if us > HIGHEST_US:
        us = HIGHEST_US
    shift = us.bit_length() - 11
    return us >> shift << shift


class Cell:
    """The books of one cell since the last frame. `open`: arrivals that are prepared and not yet done."""

    __slots__ = (
        "_at_once", "_maxima", "_recent", "_small", "_sums", "_values", "attempts", "counts", "first_shed",
        "good", "key", "marks", "oks", "open", "scheduled", "shed_allowed", "touched",
    )  # fmt: skip

    def __init__(self, key: tuple[int, int, int], shed_allowed: bool) -> None:
        self.key = key
        self.shed_allowed = shed_allowed  # a spike or recovery phase, where a polite no is not an error
        self.open = 0
        self.touched = False
        self.scheduled = 0
        self.good = 0
        self.attempts = 0
        self.first_shed = NEVER  # when the earliest arrival that was shed was due, in ns since the start
        self.counts = [0] * _N_OUTCOMES
        self.oks = 0  # those that are ok: to count them in `counts` takes ten times as long when compiled
        self.marks = [0] * _N_MARKS
        # What is counted, and before it what is not yet: Counter takes a batch in a tenth of the time.
        self._values: list[Counter[int]] = [Counter() for _ in range(_N_CLASSES + 1)]
        self._sums = [0] * (_N_CLASSES + 1)
        self._maxima = [0] * (_N_CLASSES + 1)
        self._recent: list[list[int]] = [[] for _ in range(_N_CLASSES + 1)]  # exact µs
        # Small values by themselves, the quickest of all; empty until a class has had so many that it is
        # worth its memory. To count one there stands in three places: a call takes plain Python as long.
        self._small: list[list[int]] = [_NOT_YET] * (_N_CLASSES + 1)
        self._at_once = 0  # arrivals that did not queue

    def record(self, code: int, ns: int) -> None:
        """Count a duration of `ns` in histogram class `code`."""
        us = (ns + 500) // 1000
        small = self._small[code]
        if 0 <= us < len(small):
            small[us] = small[us] + 1  # compiled, += is a call
        else:
            self._put(code, us)

    def record_at_once(self, lag_ns: int) -> None:
        """Count an arrival that finds a free connection: its lag, and that it queued for 0."""
        self._at_once += 1
        us = (lag_ns + 500) // 1000
        small = self._small[H_LAG]
        if 0 <= us < len(small):
            small[us] = small[us] + 1
        else:
            self._put(H_LAG, us)

    def record_ok(self, service_ns: int, first_ns: int, response_ns: int) -> None:
        """Count an ok answer: one call for its service time, the time to its first byte and its response.

        The first two are the same of an answer that came in one piece: those are counted once.
        """
        if first_ns == service_ns:
            us = (service_ns + 500) // 1000
            small = self._small[_WHOLE]
            if 0 <= us < len(small):
                small[us] = small[us] + 1
            else:
                self._put(_WHOLE, us)
        else:
            self.record(H_SERVICE, service_ns)
            self.record(H_TTFB, first_ns)
        us = (response_ns + 500) // 1000
        small = self._small[H_OK]
        if 0 <= us < len(small):
            small[us] = small[us] + 1
        else:
            self._put(H_OK, us)

    @property
    def values(self) -> Sequence[dict[int, int]]:
        """By histogram class: how often each quantised value came, in µs."""
        self._count_all()
        return self._values[:_N_CLASSES]

    @property
    def sums(self) -> list[int]:
        """By histogram class: the exact sum, in µs."""
        self._count_all()
        return self._sums[:_N_CLASSES]

    def _put(self, code: int, us: int) -> None:
        recent = self._recent[code]
        recent.append(us)
        if len(recent) == BATCH:
            self._count(code)

    def _count(self, code: int) -> None:
        recent = self._recent[code]
        self._recent[code] = []
        self._sums[code] += sum(recent)
        lowest = highest = recent[0]
        for us in recent:  # quicker than min() and max(), a lot when compiled
            if us > highest:
                highest = us
            elif us < lowest:
                lowest = us
        if highest > self._maxima[code]:
            self._maxima[code] = highest
        if highest >= SMALL or lowest < LOWEST_US:
            recent = [quantise(us) for us in recent]
        self._values[code].update(recent)
        if lowest < SMALL and len(recent) == BATCH:
            self._small[code] = self._small[code] or [0] * SMALL

    def _count_small(self, code: int) -> None:
        small = self._small[code]
        self._small[code] = _NOT_YET
        values = list(compress(range(SMALL), small))
        if not values:
            return
        counts = list(filter(None, small))
        self._sums[code] += sum(map(mul, values, counts))
        self._maxima[code] = max(self._maxima[code], values[-1])
        found = Counter(dict(zip(values, counts, strict=True)))
        if values[0] < LOWEST_US:
            found[LOWEST_US] += found.pop(values[0])
        self._values[code] = _sum(found, self._values[code])

    def _count_all(self) -> None:
        for number in range(len(PARTS)):
            self._count_part(number)

    def _count_part(self, number: int) -> None:
        """Count what is not yet, of the classes of PARTS[number]."""
        for code in PARTS[number]:
            self._count_class(code)
        if number == _QUEUED and self._at_once:
            self._values[H_QUEUED][LOWEST_US] += self._at_once
            self._at_once = 0
        if number != _SERVED:
            return
        self._count_class(_WHOLE)
        wholes = self._values[_WHOLE]
        if wholes:
            for code in (H_SERVICE, H_TTFB):
                self._values[code] = _sum(wholes, self._values[code])
                self._sums[code] += self._sums[_WHOLE]
                self._maxima[code] = max(self._maxima[code], self._maxima[_WHOLE])
            self._values[_WHOLE] = Counter()
            self._sums[_WHOLE] = self._maxima[_WHOLE] = 0

    def _count_class(self, code: int) -> None:
        if self._recent[code]:
            self._count(code)
        if self._small[code]:
            self._count_small(code)

    def delta(self) -> CellDelta:
        """What has been recorded since the last call; the books are empty afterwards."""
        whole = self.part(0)
        for number in range(1, len(PARTS)):
            whole.values.update(self.part(number).values)
        return whole

    def part(self, number: int) -> CellDelta:
        """The part of `delta` that is the classes of PARTS[number], and with the first one all counts."""
        self._count_part(number)
        key = self.key
        values: dict[int, Sparse] = {}
        for code in PARTS[number]:
            counts = self._values[code]
            if counts:
                values[code] = Sparse(counts, self._sums[code], self._maxima[code])
                self._values[code] = Counter()
                self._sums[code] = self._maxima[code] = 0
        if number > 0:
            return CellDelta(key[0], key[1], key[2], values=values)
        self.counts[OK] += self.oks
        shed = self.first_shed
        delta = CellDelta(
            key[0], key[1], key[2], self.scheduled, self.good, self.attempts, self.counts, values,
            None if shed == NEVER else shed, self.marks,
        )  # fmt: skip
        self.scheduled = self.good = self.attempts = self.oks = 0
        self.first_shed = NEVER
        self.counts = [0] * _N_OUTCOMES
        self.marks = [0] * _N_MARKS
        self.touched = False
        return delta


def _sum(many: Counter[int], few: Counter[int]) -> Counter[int]:
    """The sum of two. To copy takes no time; what does is to look at each value of the one that is added."""
    if len(few) > len(many):
        many, few = few, many
    total = many.copy()
    if few:
        total.update(few)
    return total


class Recorder:
    """All cells of a worker, by key."""

    def __init__(self, shed_segments: frozenset[int]) -> None:
        """`shed_segments`: segments whose phase allows shedding (role spike or recovery)."""
        self._shed_segments = shed_segments
        self._cells: dict[tuple[int, int, int], Cell] = {}

    def cell(self, slice_: int, segment: int, request: int) -> Cell:
        key = (slice_, segment, request)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(key, segment in self._shed_segments)
        return cell

    def deltas(self) -> list[CellDelta]:
        """The changes since they were told, all at once."""
        return [cell.delta() for cell in self.changed()]

    def changed(self) -> list[Cell]:
        """The cells in which anything has been counted since they were told."""
        return [cell for cell in self._cells.values() if cell.touched]

    def forget(self, before_slice: int) -> None:
        """Forget finished cells of slices before `before_slice`, if all of it has been told."""
        finished = [
            key
            for key, cell in self._cells.items()
            if cell.open == 0 and key[0] < before_slice and not cell.touched
        ]
        for key in finished:
            del self._cells[key]
