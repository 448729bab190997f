"""Spikes and their steps: the tally of a run as the parts of its Result by which overload is judged."""

from __future__ import annotations

from loadtool.measure.books import Books, in_ms
from loadtool.measure.histogram import Histogram
from loadtool.measure.recent import SECOND
from loadtool.measure.spike import SpikeFrame, Step, WatchFrame
from loadtool.measure.tally import Tally
from loadtool.plan.spikes import THIRDS, Spike, Watch, spikes_of, watch_of


def steps_of(tally: Tally, end_ns: int) -> list[Step]:
    """The counts of every segment that was reached before `end_ns`, in order."""
    timeline = tally.timeline
    steps = []
    for segment in timeline.segments:
        books = tally.by_segment.get(segment.index) or Books()
        if segment.start_ns >= end_ns and not books.scheduled:
            continue
        shed_ns = tally.first_sheds.get(segment.index)
        steps.append(
            Step(
                phase=timeline.spans[segment.phase].name,
                start_s=segment.start_ns / SECOND,
                end_s=max(min(segment.end_ns, end_ns), segment.start_ns) / SECOND,
                scheduled=books.scheduled,
                ok=books.ok,
                shed=books.shed,
                errors=books.errors,
                good=books.good,
                attempts=books.attempts,
                first_shed_s=None if shed_ns is None else shed_ns / SECOND,
            )
        )
    return steps


def spike_frames(tally: Tally) -> list[SpikeFrame]:
    """The frames of all planned spikes, in order, with what was measured of their thirds."""
    return [_frame(tally, number, spike) for number, spike in enumerate(spikes_of(tally.timeline))]


def _frame(tally: Tally, number: int, spike: Spike) -> SpikeFrame:
    watch = watch_of(tally.timeline, spike)
    first, last = (
        in_ms((tally.by_third.get((number, third)) or Histogram()).quantile(0.5)) for third in (0, THIRDS - 1)
    )
    return SpikeFrame(
        name=spike.name,
        phases=[span.name for span in spike.spans],
        start_s=spike.start_ns / SECOND,
        end_s=spike.end_ns / SECOND,
        baseline=spike.baseline.name if spike.baseline is not None else None,
        recovery=[span.name for span in spike.recovery],
        blocks_s=[ns / SECOND for ns in spike.blocks],
        watch=_watch(watch) if watch is not None else None,
        first_third_ms=first,
        last_third_ms=last,
    )


def _watch(watch: Watch) -> WatchFrame:
    return WatchFrame(
        from_s=watch.from_ns / SECOND,
        end_s=watch.end_ns / SECOND,
        window_s=watch.window_ns / SECOND,
        step_s=watch.step_ns / SECOND,
    )
