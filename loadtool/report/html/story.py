"""The run slice by slice, worked out once for all charts: rates, quantiles and whole distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtool.errors import UsageError
from loadtool.measure.books import in_ms
from loadtool.measure.histogram import Histogram
from loadtool.measure.result import Result, Slice
from loadtool.report import digest, figures
from loadtool.report.slice_rates import has_rate, reached, seconds_of


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the time axis, in s from the run's start: a phase or one coming of a fault."""

    name: str
    start_s: float
    end_s: float
    role: str = ""  # of a phase


@dataclass(frozen=True, slots=True)
class Moment:
    """One slice. `answered` holds the response times of its answers, ok and failed, in µs."""

    slice: Slice
    start_s: float
    end_s: float
    whole: bool  # long enough for a rate: not a scrap at the end, in which one arrival would be a peak
    answered: Histogram
    p90: float | None  # ms; infinite where failed arrivals took it out of reach

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2

    @property
    def errors(self) -> int:
        return sum(self.slice.errors.values())

    @property
    def unanswered(self) -> int:
        """Arrivals that got no answer at all: timeouts, resets and the like."""
        return max(self.slice.scheduled - self.slice.shed - self.answered.total, 0)

    def quantile(self, value: float | None) -> float | None:
        """A quantile of the slice in ms: infinite where failures took it out of reach, None if nothing is."""
        return reached(self.slice, value)

    def rate(self, count: int) -> float | None:
        """Per second; None in a scrap of a last slice."""
        return count / (self.end_s - self.start_s) if self.whole else None

    @property
    def when(self) -> str:
        """`12.0 – 13.0 s`."""
        return figures.between(figures.seconds(self.start_s), figures.seconds(self.end_s))


@dataclass(frozen=True, slots=True)
class Story:
    """What charts draw: the result, its slices, and what stands as a band behind them."""

    result: Result
    moments: tuple[Moment, ...]
    phases: tuple[Window, ...]
    faults: tuple[Window, ...]

    @property
    def end_s(self) -> float:
        """Where the time axis ends, in s."""
        return max(
            [*(m.end_s for m in self.moments[-1:]), *(p.end_s for p in self.phases), self.result.elapsed_s]
        )

    def around(self, t: float) -> str:
        """What was going on at t: the phase, and the faults that were in place."""
        here = [w.name for w in (*self.phases, *self.faults) if w.start_s <= t < w.end_s]
        return " · ".join(dict.fromkeys(here))

    def peak(self, count: Callable[[Slice], int]) -> float:
        """The highest rate over all slices; 0 without any."""
        return max((r for m in self.moments if (r := m.rate(count(m.slice))) is not None), default=0.0)


def story_of(result: Result) -> Story:
    """Raises UsageError for a histogram that is none."""
    windows = ((f, digest.window(f, result.elapsed_s)) for f in result.faults)
    return Story(
        result=result,
        moments=tuple(_moment(result, i) for i in range(len(result.series))),
        phases=tuple(Window(p.name, p.start_s, p.end_s, p.role) for p in result.phases),
        faults=tuple(Window(f.name, *w) for f, w in windows if w is not None and w[1] > w[0]),
    )


def _moment(result: Result, index: int) -> Moment:
    s = result.series[index]
    answered = _decoded(s.hdr, f"series[{index}].hdr")
    ok = _decoded(s.ok_hdr, f"series[{index}].ok_hdr") if s.ok_hdr else answered
    p90 = in_ms(ok.quantile(0.9, infinite=sum(s.errors.values()))) if ok.total == s.ok else None
    return Moment(
        slice=s,
        start_s=s.t,
        end_s=s.t + seconds_of(s, result),
        whole=has_rate(s, result),
        answered=answered,
        p90=p90,
    )


def _decoded(text: str, place: str) -> Histogram:
    if not text:
        return Histogram()
    try:
        return Histogram.decode(text)
    except ValueError as e:
        raise UsageError(f"result: {place}: {e}") from None
