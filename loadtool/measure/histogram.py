"""Histogram: sparse counts of µs in HdrHistogram's buckets (1 … 3.6e9 µs, 3 significant digits).

A dict of the buckets that hold anything is all that most slices need, and adds up as fast as it is long. The
hdrhistogram package reads and writes the V2 form that other tools merge; ranks, sums and maxima are our own,
because the package rounds ranks, drops values out of range and knows no exact mean.
"""

from __future__ import annotations

import math
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, compress
from operator import sub
from typing import Final

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

from loadtool.measure.frame import Sparse

LOWEST_US: Final = 1
HIGHEST_US: Final = 3_600_000_000
DIGITS: Final = 3
# 3 digits need 2·10³ steps of one unit: 11 bits, of which the upper half repeats in every further bucket.
_SUB_BITS: Final = 11
_HALF: Final = 1 << (_SUB_BITS - 1)
_QUICKEST: Final = 1  # of zlib's levels
_BROKEN: Final = (
    HdrCookieException, HdrLengthException, HdrHistogramSettingsException, zlib.error, ValueError, TypeError,
    IndexError, OverflowError, RuntimeError, AssertionError,
)  # fmt: skip


def quantise(us: int) -> int:
    """The lowest value of HdrHistogram's bucket for `us`, after clamping to 1 … 3.6e9 µs."""
    us = min(max(us, LOWEST_US), HIGHEST_US)
    shift = max(us.bit_length() - _SUB_BITS, 0)
    return us >> shift << shift


def highest_equivalent(us: int) -> int:
    """The highest value of the bucket of `us` (1 … 3.6e9 µs): what HDR gives as a quantile's value."""
    return us | ((1 << max(us.bit_length() - _SUB_BITS, 0)) - 1)


def _index(us: int) -> int:
    """The bucket's place in HdrHistogram's array of counts."""
    shift = max(us.bit_length() - _SUB_BITS, 0)
    return shift * _HALF + (us >> shift)


def as_fraction(q: float) -> Fraction:
    """The decimal that the float `q` was written as: 0.999 is 999/1000."""
    return Fraction(f"{q:.14f}")


def rank(q: float, n: int) -> int:
    """The rank (1 … n) of the quantile `q` (0 … 1) among `n` ordered samples: ⌈q·n⌉, in exact arithmetic."""
    return max(1, math.ceil(as_fraction(q) * n))


@dataclass(frozen=True, slots=True)
class Packed:
    """A histogram at rest, in a hundredth of the memory: a long run keeps some for each second."""

    data: bytes  # deflated: from each value to the next one, then the counts
    sum_us: int
    max_us: int

    def unpack(self) -> Histogram:
        numbers = array("Q", zlib.decompress(self.data))
        half = len(numbers) // 2
        counts = dict(zip(accumulate(numbers[:half]), numbers[half:], strict=True))
        histogram = Histogram()
        histogram.add(Sparse(counts, self.sum_us, self.max_us))
        return histogram


class Histogram:
    """Counts by bucket, with the exact sum and maximum of what was counted."""

    __slots__ = ("_order", "counts", "max_us", "sum_us", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.sum_us = 0
        self.max_us = 0
        self._order: tuple[list[int], list[int]] | None = None  # values in order, and how many up to each

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.counts, self.sum_us, self.max_us) == (other.counts, other.sum_us, other.max_us)

    def record(self, us: int, count: int = 1) -> None:
        """Count `us` (µs; out of range counts at the nearest end, never dropped) `count` times."""
        bucket = quantise(us)
        self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += count
        self.sum_us += us * count
        self.max_us = max(self.max_us, us)
        self._order = None

    def add(self, other: Sparse | Histogram) -> None:
        """Add counts whose values are quantised already."""
        # To copy takes no time; what does is to look at each value of the one that is added to the copy.
        fewer, more = sorted((self.counts, other.counts), key=len)
        counts = self.counts if more is self.counts else dict(more)
        get = counts.get
        for value, count in fewer.items():
            counts[value] = get(value, 0) + count
        self.counts = counts
        self.total += other.total if isinstance(other, Histogram) else sum(other.counts.values())
        self.sum_us += other.sum_us
        self.max_us = max(self.max_us, other.max_us)
        self._order = None

    def pack(self) -> Packed:
        """The same histogram at rest."""
        values = sorted(self.counts)
        numbers = array("Q", values[:1])
        numbers.extend(map(sub, values[1:], values))  # mostly small, and alike: that deflates well
        numbers.extend(map(self.counts.__getitem__, values))
        return Packed(zlib.compress(numbers, _QUICKEST), self.sum_us, self.max_us)

    def _ordered(self) -> tuple[list[int], list[int]]:
        if self._order is None:
            values = sorted(self.counts)
            self._order = values, list(accumulate(self.counts[v] for v in values))
        return self._order

    def value_at_rank(self, rank_: int) -> float | None:
        """The value in µs at this rank: the highest of its bucket, but never above the exact maximum.

        None below rank 1, infinite past the last sample.
        """
        if rank_ < 1:
            return None
        values, ranks = self._ordered()
        if rank_ > self.total:
            return math.inf
        return self._top(values[bisect_left(ranks, rank_)])

    def _top(self, bucket: int) -> int:
        return max(bucket, min(highest_equivalent(bucket), self.max_us))

    def quantile(self, q: float, infinite: int = 0) -> float | None:
        """The quantile `q` (0 … 1) in µs, where `infinite` further samples count as infinitely long.

        None if there is no sample at all, `math.inf` if the quantile lies among the infinite ones.
        """
        n = self.total + infinite
        return self.value_at_rank(rank(q, n)) if n else None

    def count_above(self, threshold_us: float) -> int:
        """How many samples are above the threshold, by the same values that `quantile` gives."""
        values, ranks = self._ordered()
        place = bisect_right(values, threshold_us)
        # The last bucket that starts below the threshold may reach past it; the ones before it cannot.
        if place and self._top(values[place - 1]) > threshold_us:
            place -= 1
        return self.total - (ranks[place - 1] if place else 0)

    @property
    def mean_ms(self) -> float | None:
        """The mean of the exact values; None if there are none."""
        return self.sum_us / (1000 * self.total) if self.total else None

    @property
    def max_ms(self) -> float | None:
        """The exact maximum; None if there is nothing."""
        return self.max_us / 1000 if self.total else None

    def encode(self) -> str:
        """HdrHistogram's V2 compressed form in base64 ("HISTFAAA…"), which other tools read and merge."""
        hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        counts = hdr.counts
        for value, count in self.counts.items():
            counts[_index(value)] = count  # record_value does the same, ten times slower
        if self.counts:
            hdr.set_internal_tacking_values(_index(min(self.counts)), _index(max(self.counts)), self.total)
        encoded: bytes = hdr.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, text: str, *, sum_us: int | None = None, max_us: int | None = None) -> Histogram:
        """The histogram of this V2 form, in µs, from any HdrHistogram tool and of any precision.

        `sum_us` and `max_us` restore what the form does not hold; without them they are as near as buckets
        allow (their middles, the end of the last). Raises ValueError if it is not one.
        """
        try:
            hdr = HdrHistogram.decode(text.encode("ascii"))
            # Of 23,000 places few are used, and those are near each other as a rule.
            ends = (hdr.min_value, hdr.max_value) if hdr.total_count else ()
            first, last = map(hdr.get_counts_array_index, ends) if ends else (0, -1)
            held = hdr.counts[first : last + 1]
            found = [
                (quantise(hdr.get_value_from_index(i)), held[i - first])
                for i in compress(range(first, last + 1), held)
            ]
        except _BROKEN as e:
            raise ValueError(f"not an HdrHistogram in V2 form: {e}") from e
        histogram = cls()
        counts = histogram.counts
        for value, count in found:
            counts[value] = counts.get(value, 0) + count
        histogram.total = sum(counts.values())
        if sum_us is None:
            sum_us = sum((v + highest_equivalent(v)) * n for v, n in counts.items()) // 2
        if max_us is None:
            max_us = highest_equivalent(found[-1][0]) if found else 0
        histogram.sum_us, histogram.max_us = sum_us, max_us
        return histogram


def merged(histograms: Iterable[Sparse | Histogram]) -> Histogram:
    """The sum of these histograms, which stay as they are."""
    total = Histogram()
    for histogram in histograms:
        total.add(histogram)
    return total
