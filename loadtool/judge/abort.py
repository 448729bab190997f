"""SLOs with `abort`: can this run still pass? Decided by arithmetic while it lasts; one row a metric.

The schedule says how many arrivals an objective will have been about in the end. So a share of failures can
no longer be met once those so far exceed what all of them allow; a quantile once the failed and the slow ones
so far exceed what lies beyond it; goodput once even a perfect rest would not do. A window decides as soon as
every arrival of its slices has ended and it fails.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtool.judge.coverage import Coverage
from loadtool.judge.slo import METRICS, Metric
from loadtool.judge.windows import windows
from loadtool.judge.words import counted, metric_name, number, written
from loadtool.measure.groups import Group, Groups
from loadtool.measure.histogram import rank
from loadtool.measure.outcome import H_OK
from loadtool.measure.population import Population
from loadtool.measure.result import Aborted
from loadtool.measure.tally import Tally
from loadtool.plan.timeline import Timeline
from loadtool.plan.windows import planned_slices, wanted_slices
from loadtool.profile.slo import Slo

_SECOND: Final = 1_000_000_000
Planned = Mapping[tuple[int, int, int], int]  # arrivals by slice, segment and request: `Schedule` counts them


def _quantile(now: Population, planned: Population, slo: Slo) -> str:
    """Failed and slow arrivals so far against those that the quantile leaves room for, at the very most."""
    assert slo.quantile is not None
    failed = now.failed if slo.metric == "quantile" else 0
    most = planned.scheduled - now.shed - (now.failed - failed)
    slow = now.histogram(H_OK).count_above(slo.threshold * 1000 - (0.5 if slo.op == "<" else 0))
    room = most - rank(slo.quantile, most) if most > 0 else 0
    if slo.op not in ("<", "<=") or slow + failed <= room:
        return ""
    return (
        f"{counted(slow, 'slower arrival')} and {counted(failed, 'failed one')} so far; "
        f"of at most {most:,}, {metric_name(slo)} leaves room for {room:,}"
    )


def _share(word: str, part: Callable[[Population], int]) -> Callable[[Population, Population, Slo], str]:
    def lost(now: Population, planned: Population, slo: Slo) -> str:
        whole, count = planned.scheduled, part(now)
        if slo.op in ("<", "<="):
            if whole and not slo.meets(count / whole):
                share = f"{number(100 * count / whole)}%"
                return f"{count:,} {word} so far, which are {share} of all {whole:,} arrivals there will be"
            return ""
        best = count + whole - now.finished
        if whole and not slo.meets(best / whole):
            return f"at most {best:,} of all {whole:,} arrivals can still be {word}"
        return ""

    return lost


def _rate(word: str, part: Callable[[Population], int]) -> Callable[[Population, Population, Slo], str]:
    def lost(now: Population, planned: Population, slo: Slo) -> str:
        if not planned.seconds:
            return ""
        upwards = slo.op in (">", ">=")
        reached = part(now) + (planned.scheduled - now.finished if upwards else 0)
        if slo.meets(reached / planned.seconds):
            return ""
        bound = "at most" if upwards else "at least"
        return f"{bound} {number(reached / planned.seconds)}/s {word} are left in {planned.seconds:g} s"

    return lost


def _max(now: Population, planned: Population, slo: Slo) -> str:
    longest = now.answered.max_ms
    if longest is None or slo.op not in ("<", "<=") or slo.meets(longest):
        return ""
    return f"an answer took {written('time', longest)}"


# Metric of `profile/slo.py` that may abort -> why it can no longer be met, given what was counted so far and
# what there will have been; empty while it can. It reads no other histograms than the metric does.
LOST: Final[dict[str, Callable[[Population, Population, Slo], str]]] = {
    "quantile": _quantile,
    "ok quantile": _quantile,
    "max": _max,
    "error rate": _share("errors", lambda p: p.failed),
    "shed rate": _share("sheds", lambda p: p.shed),
    "goodput": _rate("good", lambda p: p.good),
    "rate": _rate("ok", lambda p: p.ok),
}


@dataclass(slots=True)
class AbortWatch:
    """The objectives of a run that may end it."""

    slos: tuple[Slo, ...]
    timeline: Timeline
    planned: Coverage
    by_slice: Counter[int]
    # By SLO and start of a stretch: up to which slice all have ended, as of the last look.
    _settled_to: dict[tuple[int, int], int] = field(default_factory=dict)
    _failed: dict[int, str] = field(default_factory=dict)  # by SLO: the window that failed, in words

    @classmethod
    def of(
        cls, slos: Sequence[Slo], timeline: Timeline, request_names: Sequence[str], planned: Planned
    ) -> AbortWatch:
        """`planned`: all arrivals of the run (`Schedule.counts_by_segment_and_request`)."""
        ns: Counter[tuple[str, tuple[str, ...]]] = Counter()
        places = []
        for stretch in timeline.stretches:
            place = (
                timeline.spans[stretch.phase].name,
                tuple(timeline.faults[i].name for i in stretch.faults),
            )
            places.append(place)
            ns[place] += stretch.end_ns - stretch.start_ns
        groups = {place: Group(*place, length / _SECOND, request_names, {}) for place, length in ns.items()}
        by_slice: Counter[int] = Counter()
        for (slice_, segment, request), count in planned.items():
            place = places[timeline.segments[segment].stretch]
            filled = groups[place].filled
            filled.setdefault(request_names[request], Population()).scheduled += count
            by_slice[slice_] += count
        warmups = {span.name for span in timeline.spans if span.role == "warmup"}
        planned_for = Coverage(Groups(groups.values()), warmups)
        return cls(tuple(s for s in slos if s.abort), timeline, planned_for, by_slice)

    def check(self, tally: Tally, elapsed_ns: int) -> Aborted | None:
        """The first objective that can no longer be met, if it may end the run by now."""
        warmups = {span.name for span in self.timeline.spans if span.role == "warmup"}
        now = Coverage(tally.groups(elapsed_ns), warmups)
        for index, slo in enumerate(self.slos):
            if slo.window_ns is not None:
                why = self._window(index, slo, tally)
            else:
                metric = METRICS[slo.metric]
                assert isinstance(metric, Metric)
                why = LOST[slo.metric](now.pool(slo, metric.classes), self.planned.pool(slo, ()), slo)
            if why and elapsed_ns >= slo.after_ns:
                return Aborted(at_s=round(elapsed_ns / _SECOND, 3), slo=slo.text, why=why)
        return None

    def _window(self, index: int, slo: Slo, tally: Tally) -> str:
        """Why a window has failed; those that were looked at are not looked at again.

        Slices are at rest: to add up those of an hour takes long enough to hold up faults and probes. So that
        is done when another one has settled, not at every check.
        """
        if index in self._failed:
            return self._failed[index]
        metric = METRICS[slo.metric]
        assert isinstance(metric, Metric)
        slice_s = self.timeline.slice_ns / _SECOND
        length = wanted_slices(slo, slice_s)
        for stretch in planned_slices(slo, self.timeline):
            known = end = self._settled_to.get((index, stretch.start), stretch.start)
            while end in stretch and self._settled(tally, end):
                end += 1
            self._settled_to[index, stretch.start] = end
            first = max(stretch.start, known - length + 1)  # of the windows that end with a new slice
            if end == known or end - first < length:
                continue
            for window in windows(slo, metric.measure, tally.by_slice, [range(first, end)], slice_s):
                if window.finding == "fail":
                    value = window.evidence.value or 0.0
                    start, stop = window.first * slice_s, (window.last + 1) * slice_s
                    shown = "∞" if math.isinf(value) else written(slo.kind, value)
                    self._failed[index] = f"{metric_name(slo)} was {shown} from {start:g} s to {stop:g} s"
                    return self._failed[index]
        return ""

    def _settled(self, tally: Tally, slice_: int) -> bool:
        """Has every arrival of the slice ended?"""
        books = tally.by_slice.get(slice_)
        return self.by_slice[slice_] == (0 if books is None else books.finished)
