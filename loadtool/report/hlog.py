"""HdrHistogram's interval log, format 1.3, that HistogramLogProcessor and its viewers read.

What a result holds is what is written: a line for each slice where there is a histogram of it, and a line for
the whole of a phase for each request and class. Lines are in the order of their start, as readers want them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from loadtool.errors import UsageError
from loadtool.measure.histogram import Histogram, highest_equivalent, merged
from loadtool.measure.outcome import CLASSES
from loadtool.measure.population import from_result
from loadtool.measure.result import Result
from loadtool.report import digest
from loadtool.report.text import clean

VERSION: Final = "1.3"
LEGEND: Final = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
OK_TAG: Final = "ok"  # of the slices' ok answers; those of phases have two slashes
_NOTES: Final = (
    "Values are microseconds, Interval_Max is milliseconds; for HistogramLogProcessor: "
    "-outputValueUnitRatio 1000",
    "Lines without a tag: response times of all answers, ok or not, by the slice in which they were due",
    f"Tag={OK_TAG}: those of ok answers alone",
    "Tag=PHASE/CLASS/REQUEST: a whole phase, since slices are not kept apart by request; "
    "each name percent-encoded",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. Times in s from the load's start; `tag` may be empty."""

    start_s: float
    length_s: float
    tag: str
    histogram: Histogram

    @property
    def text(self) -> str:
        """As HdrHistogram writes it: the maximum is the end of the last bucket that is taken."""
        counts = self.histogram.counts
        longest_ms = highest_equivalent(max(counts)) / 1000 if counts else 0.0
        times = f"{self.start_s:.3f},{self.length_s:.3f},{longest_ms:.3f}"
        tag = f"Tag={self.tag}," if self.tag else ""
        return f"{tag}{times},{self.histogram.encode()}"


def render(result: Result) -> str:
    """The whole log. Raises UsageError for a histogram that is none."""
    lines = sorted([*_slices(result), *_phases(result)], key=lambda line: (line.start_s, line.tag))
    return "\n".join([*_head(result), LEGEND, *(line.text for line in lines)]) + "\n"


def tag_of(phase: str, class_: str, request: str) -> str:
    """A tag without commas, blanks and line ends, whatever the names hold: each is percent-encoded."""
    return "/".join(quote(name, safe="", errors="surrogatepass") for name in (phase, class_, request))


def decoded(text: str, place: str) -> Histogram:
    """The histogram at this place of a result. Raises UsageError if it is none."""
    try:
        return Histogram.decode(text)
    except ValueError as e:
        raise UsageError(f"result: {place}: {e}") from None


def _head(result: Result) -> Iterator[str]:
    yield f"#[Logged by loadtool {clean(result.loadtool)}, profile {clean(digest.name(result))}]"
    yield f"#[Histogram log format version {VERSION}]"
    began = _began(result)
    if began is not None:
        # Both, so that no reader has to guess whether times are since the epoch.
        seconds = f"{began.timestamp():.3f} (seconds since epoch)"
        yield f"#[StartTime: {seconds}, {began:%a %b %d %H:%M:%S UTC %Y}]"
        yield f"#[BaseTime: {seconds}]"
    for note in _NOTES:
        yield f"#[{note}]"
    totals = result.totals
    failed = sum(totals.errors.values())
    yield (
        f"#[{totals.scheduled} arrivals: {totals.ok} ok, {totals.shed} shed, {failed} failed; "
        "who was shed, or failed without an answer, has no response time]"
    )


def _began(result: Result) -> datetime | None:
    """When the load began; what is known of older results is when its preparation did."""
    try:
        began = datetime.fromisoformat(result.load_started or result.started)
        return began.replace(tzinfo=began.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _slices(result: Result) -> Iterator[Line]:
    for index, s in enumerate(result.series):
        if not s.hdr:
            continue
        left = result.elapsed_s - s.t
        length = min(left, result.slice_s) if left > 0 else result.slice_s
        answered = decoded(s.hdr, f"series[{index}].hdr")
        yield Line(s.t, length, "", answered)
        ok = decoded(s.ok_hdr, f"series[{index}].ok_hdr") if s.ok_hdr else answered
        yield Line(s.t, length, OK_TAG, ok)


def _phases(result: Result) -> Iterator[Line]:
    spans: dict[str, tuple[float, float]] = {}
    for phase in result.phases:
        start, end = spans.get(phase.name, (phase.start_s, phase.end_s))
        spans[phase.name] = min(start, phase.start_s), max(end, phase.end_s)
    parts: dict[tuple[str, int, str], list[Histogram]] = {}
    for key, population in from_result(result).items():
        for code, histogram in sorted(population.awake().items()):
            parts.setdefault((key.phase, code, key.request), []).append(histogram)
    for (name, code, request), histograms in parts.items():
        start, end = spans.get(name, (0.0, result.elapsed_s))
        yield Line(start, end - start, tag_of(name, CLASSES[code], request), merged(histograms))
