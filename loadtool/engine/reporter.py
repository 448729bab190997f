"""Reporter: tells the coordinator what the recorder holds, once a slice, in pieces that hold nobody up.

At 70,000 requests/s a second's report takes a worker 4 ms and the coordinator as long, which may share its
core. Told at once, an arrival due in that time is late by it; so it goes in frames of some values each, and
the loop sends and receives between them. A loop at nine tenths of its core takes ten times as long as a stall
to catch up with it: so a frame that took long is followed by a longer time without one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from loadtool.engine.feed import Feed
from loadtool.engine.ledger import Ledger
from loadtool.engine.pipes import Reports
from loadtool.engine.transports import Gauges
from loadtool.measure.frame import Frame, encode
from loadtool.measure.recorder import PARTS, Cell, Recorder

TICK_NS: Final = 1_000_000_000
PIECE_VALUES: Final = 600  # of a frame, if more is to follow: half a millisecond of work
APART_NS: Final = 2_000_000  # from one frame of a report to the next one, at least
RESTS: Final = 10  # times what a frame took, if that is longer
HURRY_NS: Final = TICK_NS // 2  # once a report has been under way for so long, APART_NS is all there is


class Reporter:
    """Makes the frames of one worker. Times are ns of the monotonic clock."""

    def __init__(
        self,
        worker: int,
        start_ns: int,
        slice_ns: int,
        end_ns: int,
        *,
        recorder: Recorder,
        feed: Feed,
        ledger: Ledger,
        gauges: Callable[[], Gauges],
        warnings: list[str],
        reports: Reports,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`end_ns`: of what was planned, since the start: it is told how it stands then, whatever follows.

        `gauges`: how the transport stands; what it counts begins anew. `warnings`: emptied when told.
        """
        self._worker = worker
        self._start = start_ns
        self._slice = slice_ns
        self._end = end_ns
        self._recorder = recorder
        self._feed = feed
        self._ledger = ledger
        self._gauges = gauges
        self._warnings = warnings
        self._reports = reports
        self._clock = clock
        self._sequence = 0
        self._stood = -1  # since the start: when it was last told how it stands
        self._report: Frame | None = None  # the one under way: what its frames have in common
        self._parts: deque[tuple[Cell, int]] = deque()  # of its cells, not yet told

    @property
    def first_ns(self) -> int:
        """When `tick` is to be called first."""
        return self._next(self._start + TICK_NS)

    def tick(self, now: int) -> int:
        """Send the next frame; returns when the one after it is to be sent."""
        report = self._report
        if report is not None and self._stood < self._end <= now - self._start:
            self._tell_in_between(now)
        if report is None:
            report = self._report = self._begin(now)
            self._parts.extend(
                (cell, part) for cell in self._recorder.changed() for part in range(len(PARTS))
            )
        report.cells = []
        values = 0
        while self._parts and values < PIECE_VALUES:
            cell, part = self._parts.popleft()
            delta = cell.part(part)
            if part == 0 or delta.values:  # the others have nothing but values
                report.cells.append(delta)
            values += sum(len(sparse.counts) for sparse in delta.values.values())
        report.more = bool(self._parts)
        self._send(report)
        if report.more:
            ended = self._clock()
            hurries = now - self._start - report.elapsed_ns >= HURRY_NS
            return self._next(ended + (APART_NS if hurries else max(APART_NS, (ended - now) * RESTS)))
        self._report = None
        # Nothing will be added to cells of slices that are over and whose arrivals are all prepared.
        self._recorder.forget(min(self._feed.slice, report.elapsed_ns // self._slice))
        return self._next(self._start + (report.elapsed_ns // TICK_NS + 1) * TICK_NS)

    def stop(self, now: int) -> None:
        """The load has been told to end: send how it stands, before what is under way is aborted."""
        self._tell_in_between(now, stopped=True)

    def end(self, now: int) -> None:
        """Send all that is left as the last frame, and wait until it is written."""
        frame = self._begin(now)
        frame.cells = [cell.part(part) for cell, part in self._parts]
        frame.cells += self._recorder.deltas()
        frame.final = True
        if self._ledger.slowest is not None:
            frame.slowest = self._ledger.slowest.told()
        self._send(frame)
        self._reports.send_last()

    def _next(self, due: int) -> int:
        """When to send what is due then: the end of what was planned is told when it comes."""
        return min(due, self._start + self._end) if self._stood < self._end else due

    def _tell_in_between(self, now: int, *, stopped: bool = False) -> None:
        """Send how it stands, without any cells: those of the report under way, and others, follow."""
        frame = self._begin(now)
        frame.more, frame.stopped = True, stopped
        self._send(frame)

    def _begin(self, now: int) -> Frame:
        """A frame without cells, that tells all else since the last report."""
        self._stood = now - self._start
        gauges = self._gauges()
        frame = Frame(
            worker=self._worker,
            sequence=0,
            elapsed_ns=now - self._start,
            cells=[],
            in_flight=gauges.in_flight,
            waiting=gauges.waiting,
            connections=gauges.connections,
            cpu_ns=time.process_time_ns(),
            local=gauges.local,
            retried=gauges.retried,
            examples=self._ledger.examples,
            warnings=[*self._warnings],
        )
        self._ledger.examples = []
        self._warnings.clear()
        return frame

    def _send(self, frame: Frame) -> None:
        frame.sequence = self._sequence
        self._sequence += 1
        self._reports.send(encode(frame))
        # Told once, whatever follows.
        frame.local, frame.retried, frame.examples, frame.warnings = {}, 0, [], []
