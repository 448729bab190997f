"""Recorder: the worker's own books, written on the hot path and emptied into a frame once a slice.

A cell holds the arrivals of one (slice of due, segment, request). Values are in µs, rounded, and counted by
the bucket that HdrHistogram with 3 significant digits would use; sums and maxima are of the exact µs.
"""

from __future__ import annotations

from typing import Final

from loadtool.measure.frame import CellDelta, Sparse
from loadtool.measure.outcome import CLASSES, MARKS, OUTCOMES

HIGHEST_US: Final = 3_600_000_000
NEVER: Final = 1 << 62
_N_CLASSES: Final = len(CLASSES)
_N_OUTCOMES: Final = len(OUTCOMES)
_N_MARKS: Final = len(MARKS)


def quantise(us: int) -> int:
    """The lowest value of the HdrHistogram bucket that `us` falls in, after clamping to 1 … 3.6e9 µs."""
    if us < 2048:
        return us if us > 0 else 1
    if us > HIGHEST_US:
        us = HIGHEST_US
    shift = us.bit_length() - 11
    return us >> shift << shift


class Cell:
    """The books of one cell since the last frame. `open`: arrivals that are prepared and not yet done."""

    __slots__ = (
        "attempts", "counts", "first_shed", "good", "key", "marks", "maxima", "open", "scheduled",
        "shed_allowed", "sums", "touched", "values",
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
        self.marks = [0] * _N_MARKS
        self.values: list[dict[int, int]] = [{} for _ in range(_N_CLASSES)]
        self.sums = [0] * _N_CLASSES
        self.maxima = [0] * _N_CLASSES

    def record(self, code: int, ns: int) -> None:
        """Count a duration of `ns` in histogram class `code`."""
        us = (ns + 500) // 1000
        self.sums[code] += us
        if us > self.maxima[code]:
            self.maxima[code] = us
        if us < 2048:
            bucket = us if us > 0 else 1
        else:
            bucket = quantise(us)
        values = self.values[code]
        values[bucket] = values.get(bucket, 0) + 1

    def delta(self) -> CellDelta:
        """What has been recorded since the last call; the books are empty afterwards."""
        key = self.key
        values = {
            code: Sparse(counts, self.sums[code], self.maxima[code])
            for code, counts in enumerate(self.values)
            if counts
        }
        shed = self.first_shed
        delta = CellDelta(
            key[0], key[1], key[2], self.scheduled, self.good, self.attempts, self.counts, values,
            None if shed == NEVER else shed, self.marks,
        )  # fmt: skip
        self.scheduled = self.good = self.attempts = 0
        self.first_shed = NEVER
        self.counts = [0] * _N_OUTCOMES
        self.marks = [0] * _N_MARKS
        for code in values:
            self.values[code] = {}
            self.sums[code] = self.maxima[code] = 0
        self.touched = False
        return delta


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

    def deltas(self, before_slice: int) -> list[CellDelta]:
        """The changes since the last call. Forgets finished cells of slices before `before_slice`."""
        changed = []
        finished = []
        for key, cell in self._cells.items():
            if cell.touched:
                changed.append(cell.delta())
            if cell.open == 0 and key[0] < before_slice:
                finished.append(key)
        for key in finished:
            del self._cells[key]
        return changed
