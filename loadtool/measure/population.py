"""Population: the books of a cell, or of cells pooled, with the time that they cover."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from loadtool.errors import UsageError
from loadtool.measure.books import EVERY_CLASS, Books
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import CLASSES, ERROR_KINDS, MARKS, OK, OUTCOMES, SHED
from loadtool.measure.result import Cell, HistogramEntry, Result


class CellKey(NamedTuple):
    """One request in the stretches of a phase during which the same faults were planned active."""

    phase: str
    faults: tuple[str, ...]
    request: str


@dataclass(slots=True)
class Population(Books):
    """Arrivals and the length of the stretches in which they were due."""

    seconds: float = 0.0

    @property
    def holds_anything(self) -> bool:
        """Whether it adds more to a pool than its time."""
        numbers = self.scheduled or self.good or self.attempts or any(self.counts) or any(self.marks)
        return bool(numbers or self.values or self.packed)

    def per_second(self, count: int) -> float:
        """The count over the time covered; 0 if there is none."""
        return count / self.seconds if self.seconds else 0.0


Cells = Mapping[CellKey, Population]


def pool(cells: Iterable[tuple[CellKey, Population]], classes: Container[int] = EVERY_CLASS) -> Population:
    """The sum of these cells, with their values of these classes.

    Requests of the same stretch share its time, which counts once.
    """
    total = Population()
    seconds: dict[tuple[str, tuple[str, ...]], float] = {}
    for key, population in cells:
        total.add(population, classes)
        seconds[key.phase, key.faults] = population.seconds
    total.seconds = math.fsum(seconds.values())
    return total


def to_entries(cells: Cells) -> tuple[list[Cell], list[HistogramEntry]]:
    """The cells as result.json holds them: counts with exact sums and maxima, and histograms."""
    entries, histograms = [], []
    for (phase, faults, request), population in cells.items():
        values = [(CLASSES[code], h) for code, h in sorted(population.awake().items()) if h.total]
        entries.append(
            Cell(
                phase=phase,
                faults=list(faults),
                request=request,
                seconds=population.seconds,
                scheduled=population.scheduled,
                ok=population.ok,
                shed=population.shed,
                errors=population.errors,
                good=population.good,
                attempts=population.attempts,
                client=population.client,
                sums_ms={name: h.sum_us / 1000 for name, h in values},
                max_ms={name: h.max_us / 1000 for name, h in values},
            )
        )
        histograms += [HistogramEntry(phase, list(faults), request, name, h.encode()) for name, h in values]
    return entries, histograms


def from_result(result: Result) -> dict[CellKey, Population]:
    """The cells of a result, in its order. Raises UsageError for entries that make no sense."""
    cells: dict[CellKey, Population] = {}
    entries: dict[CellKey, Cell] = {}
    for index, cell in enumerate(result.cells):
        key = CellKey(cell.phase, tuple(cell.faults), cell.request)
        if key in cells:
            raise UsageError(f"result: cells[{index}] is there twice")
        counts = [0] * len(OUTCOMES)
        counts[OK], counts[SHED] = cell.ok, cell.shed
        for kind, count in cell.errors.items():
            if kind not in ERROR_KINDS:
                raise UsageError(
                    f"result: cells[{index}].errors: got {kind!r}, want one of {', '.join(ERROR_KINDS)}"
                )
            counts[OUTCOMES.index(kind)] = count
        marks = [cell.client.get(name, 0) for name in MARKS]  # newer ones are left out
        cells[key] = Population(
            cell.scheduled, cell.good, cell.attempts, counts, marks=marks, seconds=cell.seconds
        )
        entries[key] = cell
    for index, entry in enumerate(result.histograms):
        key = CellKey(entry.phase, tuple(entry.faults), entry.request)
        if key not in cells:
            raise UsageError(f"result: histograms[{index}] belongs to no cell")
        if entry.class_ in CLASSES:  # a class that is new since this version says nothing to it
            cells[key].values[CLASSES.index(entry.class_)] = _decoded(index, entry, entries[key])
    return cells


def _decoded(index: int, entry: HistogramEntry, cell: Cell) -> Histogram:
    sum_ms, max_ms = cell.sums_ms.get(entry.class_), cell.max_ms.get(entry.class_)
    try:
        return Histogram.decode(
            entry.hdr,
            sum_us=None if sum_ms is None else round(sum_ms * 1000),
            max_us=None if max_ms is None else round(max_ms * 1000),
        )
    except ValueError as e:
        raise UsageError(f"result: histograms[{index}].hdr: {e}") from None
