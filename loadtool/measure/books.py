"""Books: running counts and histograms of any set of arrivals, and the one definition of their quantiles."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final, Self

from loadtool.measure.frame import CellDelta
from loadtool.measure.histogram import Histogram, Packed, merged
from loadtool.measure.outcome import ABORTED, CLASSES, H_FAILED, H_OK, MARKS, OK, OUTCOMES, SHED

EVERY_CLASS: Final = range(len(CLASSES))


@dataclass(slots=True)
class Books:
    """`counts` is indexed by outcome code, `values` by histogram class code, `marks` by MARKS."""

    scheduled: int = 0
    good: int = 0
    attempts: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * len(OUTCOMES))
    values: dict[int, Histogram] = field(default_factory=dict)
    packed: dict[int, Packed] = field(default_factory=dict)  # the values, while they are at rest
    marks: list[int] = field(default_factory=lambda: [0] * len(MARKS))

    def add(self, other: CellDelta | Books, classes: Container[int] = EVERY_CLASS) -> None:
        """Add the other's counts, and its values of these classes."""
        self.scheduled += other.scheduled
        self.good += other.good
        self.attempts += other.attempts
        for code, count in enumerate(other.counts):
            if count:
                self.counts[code] += count
        for code, count in enumerate(other.marks):
            if count:
                self.marks[code] += count
        mine = self.awake()
        if isinstance(other, Books):
            for code in other.packed or other.values:
                if code in classes:
                    mine.setdefault(code, Histogram()).add(other.histogram(code))
            return
        for code, values in other.values.items():
            if code in classes:
                mine.setdefault(code, Histogram()).add(values)

    def rest(self) -> None:
        """Put the values away in less memory, until they are asked for."""
        self.packed = {code: histogram.pack() for code, histogram in self.awake().items()}
        self.values = {}

    def awake(self) -> dict[int, Histogram]:
        """The values by class code, no longer at rest."""
        if self.packed:
            self.values = {code: packed.unpack() for code, packed in self.packed.items()}
            self.packed = {}
        return self.values

    def histogram(self, code: int) -> Histogram:
        """The values of one class, possibly none; to be read only. Those at rest stay so."""
        packed = self.packed.get(code)
        return packed.unpack() if packed is not None else self.values.get(code) or Histogram()

    @property
    def ok(self) -> int:
        return self.counts[OK]

    @property
    def shed(self) -> int:
        return self.counts[SHED]

    @property
    def failed(self) -> int:
        """Errors of every kind."""
        return sum(self.counts[SHED + 1 :])

    @property
    def aborted(self) -> int:
        """Errors that are neither the target's nor the generator's: the run was ended."""
        return self.counts[ABORTED]

    def take_out_aborted(self) -> int:
        """Leave those out of the arrivals; how many they were. The attempts stay."""
        aborted = self.aborted
        self.scheduled -= aborted
        self.counts[ABORTED] = 0
        return aborted

    def had_been_good(self, aborted: int) -> Self:
        """As they were, had so many of the aborted arrivals been good; they share the values."""
        counts = list(self.counts)
        counts[OK] += aborted
        counts[ABORTED] -= aborted
        return replace(self, counts=counts, good=self.good + aborted)

    @property
    def finished(self) -> int:
        """Arrivals that have an outcome."""
        return sum(self.counts)

    @property
    def errors(self) -> dict[str, int]:
        """Errors by kind, of the kinds that occurred."""
        return {OUTCOMES[code]: n for code, n in enumerate(self.counts) if code > SHED and n}

    @property
    def client(self) -> dict[str, int]:
        """What clients that try again or hold back did, of MARKS, as far as it occurred."""
        return {MARKS[code]: n for code, n in enumerate(self.marks) if n}

    @property
    def failed_share(self) -> float:
        """Errors ÷ arrivals not shed; 0 if there are none."""
        judged = self.finished - self.shed
        return self.failed / judged if judged else 0.0

    @property
    def answered(self) -> Histogram:
        """Response times of ok and failed answers: what `max` and `mean` cover."""
        return merged((self.histogram(H_OK), self.histogram(H_FAILED)))

    def latency_ms(self, q: float) -> float | None:
        """The quantile of response times over arrivals not shed; each failed one counts as infinite.

        `math.inf` if it lies among those, None if there is no sample.
        """
        return in_ms(self.histogram(H_OK).quantile(q, infinite=self.failed))

    def quantile_ms(self, code: int, q: float) -> float | None:
        """The quantile of one histogram class; None if there is no sample."""
        return in_ms(self.histogram(code).quantile(q))


def in_ms(us: float | None) -> float | None:
    return None if us is None else us / 1000
