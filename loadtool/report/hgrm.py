"""HdrHistogram's percentile distribution (.hgrm), as its `outputPercentileDistribution` writes it.

Response times of answered arrivals, in ms. Who was shed, or failed without an answer, has none: a line says
how many those were, since their absence flatters every percentile.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final
from urllib.parse import quote

from loadtool.measure.groups import Groups, filled
from loadtool.measure.histogram import Histogram, highest_equivalent, merged
from loadtool.measure.population import from_result
from loadtool.measure.result import Figures, Result

TICKS_PER_HALF: Final = 5
LONGEST_NAME: Final = 100  # of a phase in a file's: file systems allow 255 bytes in all
_US_PER_MS: Final = 1000
_SUB_BUCKETS: Final = 2048  # of 3 significant digits
_BUCKETS: Final = 22  # of 2048 µs, each twice as wide as the one before, up to an hour


def render(result: Result) -> str:
    """The distribution of the whole run. Raises UsageError for a histogram that is none."""
    return distribution(merged(p.answered for p in from_result(result).values()), result.totals)


def by_phase(result: Result) -> dict[str, str]:
    """The distribution of each phase, by `file_name_of` its name. Raises UsageError as above."""
    groups = Groups.of(from_result(result))
    return {
        file_name_of(phase.name): distribution(
            merged(p.answered for _, p in filled(groups.in_phases(phase.name))), phase
        )
        for phase in result.phases
    }


def file_name_of(phase: str) -> str:
    """A phase's name as part of a file's: percent-encoded, and cut if it is long, with a mark of its own."""
    codes = [quote(char, safe="", errors="surrogatepass") for char in phase]
    if sum(map(len, codes)) <= LONGEST_NAME:
        return "".join(codes)
    mark = hashlib.sha256(phase.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    lengths = accumulate(map(len, codes))
    kept = sum(length + 1 + len(mark) <= LONGEST_NAME for length in lengths)
    return f"{''.join(codes[:kept])}~{mark}"


def distribution(answered: Histogram, figures: Figures) -> str:
    """The file of these response times; `figures` are those of all arrivals that they are of."""
    lines = [
        "#[Response time in milliseconds]",
        f"#[{figures.scheduled} arrivals, {answered.total} answered and not shed]",
        f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}",
        "",
        *_rows(answered),
        *_foot(answered),
    ]
    return "\n".join(lines) + "\n"


def _rows(histogram: Histogram) -> Iterator[str]:
    """The steps of HdrHistogram's percentile iterator: each level by the first value that reaches it."""
    total, upto, level = histogram.total, 0, 0.0
    for value in sorted(histogram.counts):
        upto += histogram.counts[value]
        top = highest_equivalent(value) / _US_PER_MS
        while 100.0 * upto / total >= level:
            yield f"{top:12.3f} {level / 100:2.12f} {upto:10d} {1 / (1 - level / 100):14.2f}"
            level += 100.0 / (TICKS_PER_HALF * 2 ** (_halves(level) + 1))
            if upto == total:  # one more step, to 100 %
                yield f"{top:12.3f} {1:2.12f} {upto:10d}"
                return


def _halves(level: float) -> int:
    """How often the distance to 100 % has been halved."""
    return int(math.log(100.0 / (100.0 - level)) / math.log(2))


def _foot(histogram: Histogram) -> Iterable[str]:
    mean, deviation = _moments(histogram)
    longest = highest_equivalent(max(histogram.counts)) / _US_PER_MS if histogram.total else 0.0
    return (
        f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]",
        f"#[Max     = {longest:12.3f}, Total count    = {histogram.total:12d}]",
        f"#[Buckets = {_BUCKETS:12d}, SubBuckets     = {_SUB_BUCKETS:12d}]",
    )


def _moments(histogram: Histogram) -> tuple[float, float]:
    """The exact mean, and the standard deviation around it with each value in the middle of its bucket."""
    mean = histogram.mean_ms or 0.0
    if not histogram.total:
        return mean, 0.0
    squares = (
        n * ((value + highest_equivalent(value)) / 2 / _US_PER_MS - mean) ** 2
        for value, n in histogram.counts.items()
    )
    return mean, math.sqrt(math.fsum(squares) / histogram.total)
