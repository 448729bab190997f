"""Load that goes on beyond the profile's end, cut to half and then to a tenth of the baseline's rate.

It follows the planned load without a gap, from the same workers on the same clock: a pause would be the very
relief whose effect is in question. So it is in their schedule from the start, is counted apart, and ends as
soon as nothing more can be learned: at once if the service has come back, which is known when the last
planned arrival has its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from loadtool.errors import UsageError
from loadtool.judge.case import Case
from loadtool.judge.cut_load import cut_load_of
from loadtool.judge.overload import judge_overload
from loadtool.measure.books import Books
from loadtool.measure.frame import Frame
from loadtool.measure.result import Result
from loadtool.measure.spike import CutLoadSteps, Step
from loadtool.measure.tally import Tally, Worker
from loadtool.plan.axis import Axis
from loadtool.plan.build import axis_of
from loadtool.plan.doubts import unwatched
from loadtool.plan.job import Job
from loadtool.plan.schedule import Schedule
from loadtool.plan.spikes import LEAST_WINDOW_NS, WINDOW_ARRIVALS, spikes_of, watch_of
from loadtool.plan.timeline import Timeline
from loadtool.profile.load import Loaded
from loadtool.profile.slo import parse_slo
from loadtool.profile.slo_rules import spike_flaws
from loadtool.report.stage import Bar, Stage
from loadtool.units import LONGEST, SECOND, format_share

SHARES: Final = (0.5, 0.1)  # of the baseline's rate
LEAST_S: Final = 30.0  # for each, unless it is said how long
MOST_S: Final = 86_400.0  # for each; they are counted from second to second
WINDOWS: Final = 1.5  # that each lasts at least, so that one that is good follows one that is not


def check(loaded: Loaded) -> None:
    """Raises UsageError if the profile can't say whether its service came back, or can't go on.

    What `setup:` may yet set is not looked at: check again after it.
    """
    profile = loaded.profile
    if profile.replay is not None:
        raise UsageError("--cut-load: a replay ends with its recording; want a profile with `requests`")
    if not any(path[0] in ("phases", "faults") for path in loaded.unsettled):
        flaws = [*spike_flaws(parse_slo("recovery < 1s"), profile.phases)] or [*_unwatched(axis_of(profile))]
        for flaw in flaws:
            raise UsageError(f"--cut-load: {flaw}")
    for name, source in profile.data.items():
        if source.order == "once":
            raise UsageError(
                f"--cut-load: data.{name} gives each row away once; want order: cycle or shuffle"
            )


def _unwatched(axis: Axis) -> Iterator[str]:
    """Why nothing can show whether the service came back from the last spike; nothing if something can.

    That it is watched too shortly to be sure is no mistake: chance may tell, and a warning says so.
    """
    spike = spikes_of(axis)[-1]
    watch = watch_of(axis, spike)
    if spike.baseline is not None and spike.baseline.mean_rate <= 0:
        yield f"{spike.baseline.name} has no arrivals, so there is no rate to cut; want a rate above 0"
    elif watch is None:
        yield f"nothing shows whether the service comes back from {spike.name}; add a recovery phase after it"
    elif watch.watched_ns <= 0:
        yield unwatched(spike, watch)


class CutLoads:
    """The continuation of a load; `job` is what the workers get."""

    def __init__(
        self,
        job: Job,
        workers: int,
        for_s: float | None,
        result_of: Callable[[Tally], Result],
        begun: Callable[[Stage, str], None],
    ) -> None:
        """`for_s`: how long each rate lasts. `result_of`: the planned part as a result; `begun`: called when
        the load goes on, with what a view then shows. There must be a spike with a baseline.

        The schedule is drawn here, all that will be needed of it: while the load lasts there is no time.

        Raises UsageError without `for_s` for a baseline of so low a rate that it would take more than a day.
        """
        self._result_of = result_of
        self._begun = begun
        self._planned = Timeline.of(job)
        self._count = Schedule(job).count()
        spike = [s for s in spikes_of(self._planned) if s.baseline is not None][-1]
        assert spike.baseline is not None  # as chosen
        like = job.phases[spike.baseline.index]
        self._stretches: list[CutLoadSteps] = []
        phases = list(job.phases)
        at = self._planned.duration_ns
        for share in SHARES:
            rate = share * spike.baseline.mean_rate
            arrivals_ns = WINDOW_ARRIVALS / rate * SECOND if rate > 0 else LONGEST
            window_ns = max(LEAST_WINDOW_NS, round(min(LONGEST, arrivals_ns)))
            seconds = for_s if for_s is not None else max(LEAST_S, WINDOWS * window_ns / SECOND)
            if for_s is None and seconds > MOST_S:
                raise UsageError(
                    f"--cut-load: {format_share(share)} of the baseline's rate brings {WINDOW_ARRIVALS} "
                    "arrivals in over 16 hours; want a higher rate, or --cut-load-for, such as 60s"
                )
            end = at + round(seconds * SECOND)
            stretch = CutLoadSteps(share, rate, at / SECOND, end / SECOND, window_ns / SECOND)
            self._stretches.append(stretch)
            while at < end:  # counted from second to second, as whatever is a phase of its own
                length = min(SECOND, end - at)
                step = replace(
                    like, name=name_of(share), role="baseline", rate=rate, for_ns=length,
                    ramp_ns=0, double_every_ns=0, burst_on_ns=0, burst_off_ns=0, batch=1,
                )  # fmt: skip
                phases.append(step)
                at += length
        self.job = replace(job, phases=tuple(phases), planned_ns=self._planned.duration_ns)
        self._timeline = Timeline.of(self.job)
        self.tally = Tally(self._timeline, [r.name for r in job.requests], workers)
        # Arrivals by segment, beyond the plan.
        self._expected = Schedule(self.job).counts_by_segment(self._planned.duration_ns)
        self._complete = False  # every planned arrival has its outcome
        self._ratio: float | None = None  # the baseline's, if the load goes on

    @property
    def duration_ns(self) -> int:
        return self._timeline.duration_ns

    @property
    def bars(self) -> tuple[Bar, ...]:
        """What goes on after the plan, as views show it."""
        return tuple(Bar(name_of(s.share), s.start_s, s.end_s) for s in self._stretches)

    def take(self, frame: Frame) -> Frame:
        """Count all of a frame; returns what of it belongs to the plan."""
        self.tally.add(frame)
        planned = len(self._planned.segments)
        mine = replace(frame, cells=[cell for cell in frame.cells if cell.segment < planned])
        return replace(mine, local={}, retried=0) if self._complete else mine

    def over(self, planned: Tally, *, lost: bool) -> bool:
        """Whether the load may end now; asked after each frame."""
        if any(worker.telling for worker in self.tally.by_worker.values()):
            return False
        if lost:  # the run is invalid: let the other workers end what was planned, no more
            end_ns = self._planned.duration_ns + self.job.client.timeout_ns
            left = [worker for worker in planned.by_worker.values() if not worker.lost]
            done = all(owed == ended for worker in left for owed, ended in worker.owed.values())
            return done and all(
                self._told_ns(worker) > end_ns for worker in self.tally.by_worker.values() if not worker.lost
            )
        if not self._complete:
            if planned.totals.finished < self._count:
                return False
            self._complete = True
            self._ratio = self._stayed_down(planned)
            if self._ratio is not None:
                rates = ", then ".join(format_share(share) for share in SHARES)
                self._begun(
                    self._stage(), f"not recovered: the load goes on at {rates} of the baseline's rate"
                )
        if self._ratio is None:
            return True
        if not any(worker.running for worker in self.tally.by_worker.values()):
            return False  # it has ended by itself: a stop now would look as if some of it were missing
        return any(
            cut_load_of(stretch, self._ratio).recovered
            for stretch in self.measured(self.duration_ns)
            if self._is_complete(stretch)
        )

    def measured(self, end_ns: int) -> list[CutLoadSteps]:
        """What was run of it, up to `end_ns`; nothing if the service came back within the profile."""
        if self._ratio is None:
            return []
        found = []
        for stretch in self._stretches:
            steps = [s for n in self._segments(stretch) if (s := self._step(n, end_ns)) is not None]
            if steps:
                found.append(replace(stretch, end_s=steps[-1].end_s, steps=steps))
        return found

    def _step(self, segment: int, end_ns: int) -> Step | None:
        """The counts of a segment; None if it was not reached."""
        of = self._timeline.segments[segment]
        books = self.tally.by_segment.get(segment) or Books()
        end = min(of.end_ns, end_ns, max(self._reported_ns(), of.start_ns))
        if end <= of.start_ns:
            return None
        return Step(
            phase=self._timeline.spans[of.phase].name,
            start_s=of.start_ns / SECOND,
            end_s=end / SECOND,
            scheduled=books.scheduled,
            ok=books.ok,
            shed=books.shed,
            errors=books.errors,
            good=books.good,
            attempts=books.attempts,
        )

    def _segments(self, stretch: CutLoadSteps) -> list[int]:
        start, end = round(stretch.start_s * SECOND), round(stretch.end_s * SECOND)
        return [s.index for s in self._timeline.segments if start <= s.start_ns < end]

    def _is_complete(self, stretch: CutLoadSteps) -> bool:
        """Whether every arrival of the stretch, all of it, has its outcome."""
        whole = next(s for s in self._stretches if s.share == stretch.share)
        return self._reported_ns() >= whole.end_s * SECOND and all(
            (self.tally.by_segment.get(segment) or Books()).finished >= self._expected.get(segment, 0)
            for segment in self._segments(whole)
        )

    def _reported_ns(self) -> int:
        """Up to when every worker has reported; what the others did without a lost one is no such load."""
        return min(map(self._told_ns, self.tally.by_worker.values()), default=0)

    def _told_ns(self, worker: Worker) -> int:
        """Up to when all is known of a worker. One ends with its own last arrival, before the load does, and
        has nothing more to tell: what the others send later counts all the same."""
        ended = worker.last is not None and worker.last.final
        return self.duration_ns if ended else worker.reported_ns

    def _stayed_down(self, planned: Tally) -> float | None:
        """The baseline's ratio if the service did not recover from the last spike, else None."""
        overload, _ = judge_overload(Case.of(self._result_of(planned)))
        last = overload.spikes[-1] if overload is not None else None
        return last.baseline_ratio if last is not None and last.recovered is False else None

    def _stage(self) -> Stage:
        """What a view shows from now on, but the name and the target."""
        spans = self._planned.spans
        return Stage(
            name="",
            target="",
            phases=(
                *(Bar(s.name, s.start_ns / SECOND, s.end_ns / SECOND) for s in spans),
                *self.bars,
            ),
            curve=tuple(
                (ns / SECOND, self._timeline.offered_at(ns)) for ns in range(0, self.duration_ns, SECOND // 2)
            ),
        )


def name_of(share: float) -> str:
    return f"{format_share(share)} of baseline"
