"""Feed: the worker's arrivals, rendered ahead of their due times in a bounded window.

The loop calls `fill()` when it has time to spare, and takes what is prepared from the end of `ready`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from loadtool.engine.connection import FAR as FAR
from loadtool.engine.connection import Arrival
from loadtool.engine.parts import Arrivals
from loadtool.measure.recorder import Cell, Recorder
from loadtool.plan.job import Job
from loadtool.plan.mix import Mix, RenderError
from loadtool.plan.schedule import Batch
from loadtool.plan.trace import Tracer

WINDOW: Final = 4096  # arrivals prepared at the most
FILLED_AT_ONCE: Final = 8  # arrivals; then the answers get their turn

Render = Callable[[int, int, int], bytes]


class Feed(Arrivals):
    """Arrivals of one worker. Times of the schedule are shifted by `start_ns` of the monotonic clock."""

    def __init__(
        self,
        job: Job,
        batches: Iterator[Batch],
        render: Render,
        mix: Mix,
        recorder: Recorder,
        start_ns: int,
        tracer: Tracer | None = None,
    ) -> None:
        # The next one is the last: to take the last of a list is the quickest that compiled code can do.
        self.ready: list[Arrival] = []
        self.render_problem = "it could not be rendered"  # the last one
        self._later: list[Arrival] = []  # prepared as well, in order; due after those that are ready
        self._ended = False  # nothing is left to prepare
        self._batches = batches
        self._render = render
        self._static = [render(i, 0, 0) if mix.is_static(i) else None for i in range(len(job.requests))]
        self._recorder = recorder
        self._tracer = tracer
        self._start = start_ns
        self._slice_ns = job.slice_ns
        self._patience = job.client.patience_ns
        self._cells: list[Cell | None] = [None] * len(job.requests)
        self._batch: Batch | None = None
        self._at = 0
        self._slice_end = 0  # of the last arrival prepared, like `slice`
        self._segment = 0
        self.slice = 0  # of the last arrival prepared: no later one lies in an earlier slice

    def wants(self) -> bool:
        """Whether there is room and something left to prepare."""
        return not self._ended and len(self.ready) + len(self._later) < WINDOW

    def has_next(self) -> bool:
        """Whether an arrival is left; the next one then is the last in `ready`, made now if need be."""
        while not self.ready:
            if not self._later:
                if self._ended:
                    return False
                self.fill(FILLED_AT_ONCE)
            self.ready, self._later = self._later, self.ready
            self.ready.reverse()
        return True

    def fill(self, count: int) -> None:
        """Prepare up to `count` more arrivals."""
        cells, later, start, patience = self._cells, self._later, self._start, self._patience
        for _ in range(count):
            batch = self._batch
            at = self._at
            if batch is None or at == len(batch.due):
                batch = self._batch = next(self._batches, None)
                self._at = 0
                if batch is None:
                    self._ended = True
                    return
                if not batch.due:
                    continue
                at = 0
            self._at = at + 1
            due = batch.due[at]
            request = batch.request[at]
            segment = batch.segment[at]
            if due >= self._slice_end or segment != self._segment:
                self._enter(due, segment)
                cells = self._cells
            cell = cells[request]
            if cell is None:
                cell = cells[request] = self._recorder.cell(self.slice, segment, request)
            number = batch.first + at * batch.step
            data = self._static[request]
            if data is None:
                try:
                    data = self._render(request, number, batch.ordinal[at])
                except RenderError as e:
                    # Counted when it is due, like any other; an arrival without data can't be sent.
                    self.render_problem = str(e)
                    data = b""
            if self._tracer is not None and data:
                data = self._tracer.stamp(data, number)
            cell.open += 1
            due += start
            later.append(Arrival(due, due + patience, request, cell, data, number))

    def _enter(self, due: int, segment: int) -> None:
        """From this due time on, arrivals lie in another slice or segment than those before."""
        self.slice = due // self._slice_ns
        self._slice_end = (self.slice + 1) * self._slice_ns
        self._segment = segment
        self._cells = [None] * len(self._cells)
