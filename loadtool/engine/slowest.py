"""Slowest: the arrivals of a worker that took longest, kept while it runs and told at its end."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

from loadtool.engine.connection import Arrival
from loadtool.engine.feed import FAR
from loadtool.measure.outcome import ABORTED, CONNECT, DNS, OUTCOMES, TLS, UNSENT
from loadtool.measure.slow_arrival import SLOWEST, SlowArrival
from loadtool.plan.trace import Tracer

NOT_SENT: Final = frozenset((UNSENT, CONNECT, TLS, DNS))


class Slowest:
    """A small heap. Those that never left, or that the run's end cut off, are in no trace and not here."""

    def __init__(
        self, tracer: Tracer, names: Sequence[str], start_ns: int, until: int = FAR, most: int = SLOWEST
    ) -> None:
        """`until`: what is due from then on is not among them."""
        self.floor = -1  # ns: what does not take longer than this need not be told
        self._tracer = tracer
        self._names = names
        self._start = start_ns
        self._until = until
        self._most = most
        self._heap: list[tuple[int, int, int, int, int]] = []

    def ended(self, arrival: Arrival, response: int, outcome: int) -> None:
        """It has ended `response` ns after it was due."""
        if response <= self.floor or outcome == ABORTED or (outcome in NOT_SENT and arrival.retry is None):
            return
        if arrival.due >= self._until:
            return
        # Of those that took as long, the first ones stay: a bigger number is a smaller entry.
        entry = (response, -arrival.number, arrival.due, arrival.request, outcome)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)
        if len(self._heap) == self._most:
            self.floor = self._heap[0][0]

    def told(self) -> list[SlowArrival]:
        """All of them, the slowest first."""
        return [
            SlowArrival(
                trace=self._tracer.trace_id(-number),
                request=self._names[request],
                due_s=(due - self._start) / 1e9,
                ms=response / 1e6,
                outcome=OUTCOMES[outcome],
            )
            for response, number, due, request, outcome in sorted(self._heap, reverse=True)
        ]
