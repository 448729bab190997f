"""Tally: the coordinator's running sum of the workers' frames.

Arrivals are kept four ways: by worker and cell (what is still owed), by stretch and request (phases,
requests, faults), by slice of due (the series), by segment (the steps of a spike and its recovery).
`conservation` proves that they agree and nothing is missing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtool.measure.books import Books, in_ms
from loadtool.measure.frame import CellDelta, Example, Frame
from loadtool.measure.groups import Group, Groups
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import (
    CHECK,
    CLASSES,
    H_FAILED,
    H_LAG,
    H_OK,
    H_SHED,
    LOST,
    MARKS,
    OK,
    OUTCOMES,
    SHED,
    STATUS,
)
from loadtool.measure.population import CellKey, Population
from loadtool.measure.recent import SECOND, Recent
from loadtool.measure.slow_arrival import SLOWEST, SlowArrival
from loadtool.measure.snapshot import PhaseNow, Snapshot
from loadtool.plan.spikes import THIRDS, spikes_of
from loadtool.plan.timeline import Stretch, Timeline

CellIndex = tuple[int, int, int]  # slice of due, segment, request

_SERIES_CLASSES: Final = (H_OK, H_FAILED, H_LAG)
_REST_AFTER: Final = 5  # slices without anything added, after which the values of one are put away
_STALLED_AFTER: Final = 2  # seconds without a frame, after which the live view goes on without a worker
# Histogram classes that hold exactly one value for each arrival with one of these outcomes.
ONE_EACH: Final = ((H_OK, (OK,)), (H_SHED, (SHED,)), (H_FAILED, (STATUS, CHECK)))


@dataclass(slots=True)
class Worker:
    """What one worker has reported."""

    owed: dict[CellIndex, list[int]] = field(default_factory=dict)  # [scheduled, finished]
    first: Frame | None = None
    last: Frame | None = None
    reported_ns: int = 0  # of the run's clock: everything up to then has been told
    gauged: int = 0  # the first slice of which it is not known how many were in flight at its end
    lost: bool = False

    @property
    def telling(self) -> bool:
        """It is in the middle of a report."""
        return not self.lost and self.last is not None and self.last.more

    @property
    def running(self) -> bool:
        return not self.lost and not (self.last is not None and self.last.final)


class Tally:
    def __init__(self, timeline: Timeline, request_names: Sequence[str], workers: int = 0) -> None:
        """`workers`: how many are expected; those that report are counted in any case."""
        self.timeline = timeline
        self.request_names = tuple(request_names)
        self._requests = frozenset(request_names)
        self.totals = Books()  # counts only
        self._alike = _alike(timeline)
        self.by_stretch: dict[tuple[int, int], Books] = {}  # by the first stretch of those alike, and request
        self.by_segment: dict[int, Books] = {}  # counts only
        self.first_sheds: dict[int, int] = {}  # by segment: when the first one was due, in ns
        self.by_third: dict[tuple[int, int], Histogram] = {}  # ok response times by spike and third of it
        self.by_slice: dict[int, Books] = {}
        self.in_flight_by_slice: dict[int, dict[int, int]] = {}  # slice -> worker -> at its end
        self.local: dict[str, int] = {}  # local resources that ran out
        self.retried = 0
        self.warnings: list[str] = []  # of all workers, each once
        self._examples: dict[str, Example] = {}
        self._slowest: list[SlowArrival] = []
        self.by_worker: dict[int, Worker] = {index: Worker() for index in range(workers)}
        self._recent = Recent(timeline.slice_ns)
        self._awake: dict[int, int] = {}  # slices whose values are not at rest -> when something was added
        self._slice = 0  # when that is: the slice of the last frame
        self._phases: dict[str, PhaseNow] = {}
        self._thirds = dict(_thirds(timeline))

    def add(self, frame: Frame) -> None:
        """Add a frame. Raises ValueError for one that cannot be: out of order, or of another run."""
        worker = self.by_worker.setdefault(frame.worker, Worker())
        problem = self._problem(worker, frame)
        if problem:
            raise ValueError(f"frame {frame.sequence} of worker {frame.worker}: {problem}")
        bin_ = self._recent.bin_of(worker.reported_ns, frame.elapsed_ns)
        slice_ = self._slice = self._recent.slice_of(bin_)
        for delta in frame.cells:
            self._count(worker, delta)
            self._recent.add(bin_, delta)
        self._gauge(worker, frame)
        for name, count in frame.local.items():
            self.local[name] = self.local.get(name, 0) + count
        self.retried += frame.retried
        self.warnings += [text for text in frame.warnings if text not in self.warnings]
        for example in frame.examples:
            known = self._examples.get(example.kind)
            if known is None or example.due_s < known.due_s:
                self._examples[example.kind] = example
        self._slowest += frame.slowest
        if not frame.stopped:  # which the final one follows too soon to tell how busy it was
            worker.first = worker.first or frame
        worker.last = frame
        if not frame.more:
            worker.reported_ns = frame.elapsed_ns
        self._rest(slice_ - _REST_AFTER)

    def _gauge(self, worker: Worker, frame: Frame) -> None:
        """How many were in flight at the end of each slice, by the first frame that was made then or later.

        The last one ends with the schedule. Where a stop came before the end, it is how many there were then:
        what follows is aborted.
        """
        width, end_ns = self.timeline.slice_ns, self.timeline.duration_ns
        while worker.gauged < self.timeline.slices and (
            frame.stopped or frame.elapsed_ns >= min((worker.gauged + 1) * width, end_ns)
        ):
            self.in_flight_by_slice.setdefault(worker.gauged, {})[frame.worker] = frame.in_flight
            worker.gauged += 1

    def give_up(self, worker: int) -> None:
        """A worker died: it is not waited for any more. What it owes is for `lose` to say."""
        self.by_worker.setdefault(worker, Worker()).lost = True

    def lose(self, worker: int, due: Mapping[CellIndex, int]) -> int:
        """A worker died: whatever it owed has become `lost`. Returns how many arrivals that are.

        `due` holds its arrivals due before the cut (all of the run's, unless the run ends early) by slice,
        segment and request. May be called again with a later cut. Raises ValueError for a cell that isn't.
        """
        books = self.by_worker.setdefault(worker, Worker())
        books.lost = True
        lost = 0
        for cell in sorted(due.keys() | books.owed.keys()):
            problem = self._misplaced(cell)
            if problem:
                raise ValueError(f"arrivals of the lost worker {worker}: {problem}")
            scheduled, finished = books.owed.get(cell, (0, 0))
            owed = max(due.get(cell, 0), scheduled)
            if owed > finished:
                delta = CellDelta(*cell, scheduled=owed - scheduled)
                delta.counts[LOST] = owed - finished
                lost += owed - finished
                self._count(books, delta)
        return lost

    def _count(self, worker: Worker, delta: CellDelta) -> None:
        owed = worker.owed.setdefault((delta.slice, delta.segment, delta.request), [0, 0])
        owed[0] += delta.scheduled
        owed[1] += sum(delta.counts)
        segment = self.timeline.segments[delta.segment]
        self.totals.add(delta, classes=())
        stretch = self._alike[segment.stretch]
        self.by_stretch.setdefault((stretch, delta.request), Books()).add(delta)
        self.by_slice.setdefault(delta.slice, Books()).add(delta, _SERIES_CLASSES)
        self.by_segment.setdefault(delta.segment, Books()).add(delta, classes=())
        if delta.first_shed_ns is not None:
            known = self.first_sheds.get(delta.segment, delta.first_shed_ns)
            self.first_sheds[delta.segment] = min(known, delta.first_shed_ns)
        if delta.segment in self._thirds and H_OK in delta.values:
            self.by_third.setdefault(self._thirds[delta.segment], Histogram()).add(delta.values[H_OK])
        self._awake[delta.slice] = self._slice
        self._phases.pop(self.timeline.spans[segment.phase].name, None)

    def _rest(self, before: int) -> None:
        for slice_ in [s for s, touched in self._awake.items() if touched < before]:
            self.by_slice[slice_].rest()
            del self._awake[slice_]

    def _problem(self, worker: Worker, frame: Frame) -> str:
        """Why this frame cannot be; empty if it can."""
        if worker.lost:
            return "the worker is counted as lost"
        if worker.last is not None:
            if worker.last.final:
                return "comes after the final one"
            if frame.sequence != worker.last.sequence + 1:
                return f"comes after frame {worker.last.sequence}"
        for delta in frame.cells:
            problem = self._misplaced((delta.slice, delta.segment, delta.request))
            if problem:
                return problem
            if (len(delta.counts), len(delta.marks)) != (len(OUTCOMES), len(MARKS)) or not all(
                0 <= c < len(CLASSES) for c in delta.values
            ):
                return "unknown outcomes or classes"
        return ""

    def _misplaced(self, cell: CellIndex) -> str:
        sizes = (self.timeline.slices, len(self.timeline.segments), len(self.request_names))
        for name, index, size in zip(("slice", "segment", "request"), cell, sizes, strict=True):
            if not 0 <= index < size:
                return f"{name} {index} of {size}"
        return ""

    @property
    def examples(self) -> list[Example]:
        """The earliest example of each error kind, in the order of OUTCOMES."""
        return sorted(self._examples.values(), key=lambda e: OUTCOMES.index(e.kind))

    @property
    def slowest(self) -> list[SlowArrival]:
        """The slowest arrivals of all workers, the slowest first."""
        return sorted(self._slowest, key=lambda s: (-s.ms, s.due_s))[:SLOWEST]

    @property
    def workers(self) -> int:
        return len(self.by_worker)

    @property
    def workers_lost(self) -> int:
        return sum(w.lost for w in self.by_worker.values())

    @property
    def cpu_share(self) -> float:
        """CPU time of the busiest worker ÷ the time from its first frame to its last, so that starting the
        process is not counted; 0 if none has sent two."""
        shares = [0.0]
        for worker in self.by_worker.values():
            first, last = worker.first, worker.last
            if first is not None and last is not None and last.elapsed_ns > first.elapsed_ns:
                shares.append((last.cpu_ns - first.cpu_ns) / (last.elapsed_ns - first.elapsed_ns))
        return max(shares)

    def conservation(self, planned: int | None = None) -> list[str]:
        """What does not add up, in words; empty when scheduled = ok + shed + errors everywhere.

        It holds once every worker has sent its final frame or was declared lost, not while a run lasts.
        `planned`: how many arrivals the schedule has, for a run that was not cut short (`Schedule.count`).
        """
        found = [*self._unbalanced_cells(), *self._unbalanced_values(), *self._unbalanced_sums()]
        if planned is not None and planned != self.totals.scheduled:
            found.append(f"{planned} arrivals were planned, {self.totals.scheduled} were scheduled")
        return found

    def _unbalanced_cells(self) -> Iterator[str]:
        for index, worker in sorted(self.by_worker.items()):
            for (slice_, segment, request), (scheduled, finished) in sorted(worker.owed.items()):
                if scheduled != finished:
                    phase = self.timeline.segments[segment].phase
                    place = f"worker {index}, slice {slice_}, {self._place(phase, request)}"
                    yield f"{place}: {scheduled} scheduled, {finished} ended"

    def _unbalanced_values(self) -> Iterator[str]:
        for (stretch, request), books in sorted(self.by_stretch.items()):
            place = self._place(self.timeline.stretches[stretch].phase, request)
            for code, outcomes in ONE_EACH:
                ended, found = sum(books.counts[o] for o in outcomes), books.histogram(code).total
                if ended != found:
                    yield f"{place}: {ended} ended {CLASSES[code]}, {found} timed"

    def _unbalanced_sums(self) -> Iterator[str]:
        owed = [cell for worker in self.by_worker.values() for cell in worker.owed.values()]
        sums = {
            "in total": (self.totals.scheduled, self.totals.finished),
            "over workers": (sum(c[0] for c in owed), sum(c[1] for c in owed)),
            "over slices": _sums(self.by_slice.values()),
            "over phases": _sums(self.by_stretch.values()),
            "over steps": _sums(self.by_segment.values()),
        }
        if len(set(sums.values())) > 1:
            yield "; ".join(f"{place} {s} scheduled, {f} ended" for place, (s, f) in sums.items())

    def _place(self, phase: int, request: int) -> str:
        return f"phase {self.timeline.spans[phase].name}, request {self.request_names[request]}"

    def populations(self, end_ns: int) -> dict[CellKey, Population]:
        """The cells of what was run up to `end_ns`, in the order of the schedule.

        Stretches that were not reached are left out. The histograms are shared, not copied: read only.
        """
        return {
            CellKey(group.phase, group.faults, name): group.filled.get(name)
            or Population(seconds=group.seconds)
            for group in self.groups(end_ns).all
            for name in self.request_names
        }

    def groups(self, end_ns: int, copied: Container[int] | None = None) -> Groups:
        """The same cells, grouped. With `copied` they have histograms of these classes, of their own."""
        stretches = self.timeline.stretches
        books_of: dict[int, list[tuple[str, Books]]] = {}  # with the request, by the first of those alike
        for (first, request), books in self.by_stretch.items():
            books_of.setdefault(first, []).append((self.request_names[request], books))
        ns: dict[int, int] = {}  # how long
        for stretch, first in zip(stretches, self._alike, strict=True):
            length = min(stretch.end_ns, end_ns) - stretch.start_ns
            if length > 0 or first in books_of:
                ns[first] = ns.get(first, 0) + max(length, 0)
        groups = []
        for first, total_ns in ns.items():
            phase, faults = _place_of(self.timeline, stretches[first])
            group = Group(phase, faults, total_ns / SECOND, self._requests, {})
            groups.append(group)
            for name, books in books_of.get(first, ()):
                population = group.filled[name] = Population(seconds=group.seconds)
                population.add(books, classes=copied or ())
                if copied is None:
                    population.values = books.awake()
        return Groups(groups)

    def snapshot(self, elapsed_ns: int) -> Snapshot:
        """What is known at this time of the run's clock."""
        current = [w.last for w in self.by_worker.values() if w.last is not None and not w.lost]
        running = [w.reported_ns for w in self.by_worker.values() if w.running]
        reported_ns = min(running, default=max((f.elapsed_ns for f in current), default=0))
        stalled_ns = elapsed_ns - _STALLED_AFTER * self._recent.bin_ns
        full = self._recent.full(max(reported_ns, min(stalled_ns, self.timeline.duration_ns)))
        now, seconds = self._recent.now(full)
        seconds = seconds or 1.0  # no full bin yet: nothing over any time is zero
        return Snapshot(
            elapsed_s=elapsed_ns / SECOND,
            scheduled=self.totals.scheduled,
            good=self.totals.good,
            attempts=self.totals.attempts,
            outcomes=dict(zip(OUTCOMES, self.totals.counts, strict=True)),
            offered_per_s=now.scheduled / seconds,
            ok_per_s=now.ok / seconds,
            shed_per_s=now.shed / seconds,
            errors_per_s=now.failed / seconds,
            p50_ms=now.latency_ms(0.5),
            p99_ms=now.latency_ms(0.99),
            lag_p99_ms=now.quantile_ms(H_LAG, 0.99),
            phases=tuple(map(self._phase_now, dict.fromkeys(s.name for s in self.timeline.spans))),
            in_flight=sum(f.in_flight for f in current),
            waiting=sum(f.waiting for f in current),
            connections=sum(f.connections for f in current),
            recent=self._recent.points(full),
            workers=self.workers,
            workers_alive=self.workers - self.workers_lost,
            local=dict(self.local),
            client=self.totals.client,
        )

    def _phase_now(self, name: str) -> PhaseNow:
        """A phase's figures, of all parts of that name; worked out anew only after frames have touched it."""
        if name not in self._phases:
            spans, books = self.timeline.spans, Books()
            for (stretch, _), cell in self.by_stretch.items():
                if spans[self.timeline.stretches[stretch].phase].name == name:
                    books.add(cell, (H_OK, H_LAG))
            self._phases[name] = PhaseNow(
                name=name,
                role=next(span.role for span in spans if span.name == name),
                scheduled=books.scheduled,
                ok=books.ok,
                shed=books.shed,
                errors=books.failed,
                p50_ms=books.latency_ms(0.5),
                p99_ms=books.latency_ms(0.99),
                lag_p99_ms=in_ms(books.histogram(H_LAG).quantile(0.99)),
                books=books,
            )
        return self._phases[name]


def _place_of(timeline: Timeline, stretch: Stretch) -> tuple[str, tuple[str, ...]]:
    """The phase of a stretch, and the faults that are planned active in it, by their names."""
    return timeline.spans[stretch.phase].name, tuple(timeline.faults[i].name for i in stretch.faults)


def _alike(timeline: Timeline) -> list[int]:
    """For each stretch the first one of the same phase and faults: a fault that comes often makes many."""
    first: dict[tuple[str, tuple[str, ...]], int] = {}
    return [first.setdefault(_place_of(timeline, s), s.index) for s in timeline.stretches]


def _thirds(timeline: Timeline) -> Iterator[tuple[int, tuple[int, int]]]:
    """Segments of the first and the last third of each spike that has a baseline, with spike and third."""
    for number, spike in enumerate(spikes_of(timeline)):
        if spike.blocks:
            for third in (0, THIRDS - 1):
                start, end = spike.third(third)
                for segment in timeline.segments:
                    if start <= segment.start_ns < end:
                        yield segment.index, (number, third)


def _sums(books: Iterable[Books]) -> tuple[int, int]:
    both = [(b.scheduled, b.finished) for b in books]
    return sum(b[0] for b in both), sum(b[1] for b in both)
