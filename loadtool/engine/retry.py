"""Retries: when an arrival that came to nothing is tried again, and who waits for that. Times are ns.

The delays are rows of `plan/backoff.py`. Jitter is drawn for each arrival and retry by itself, so the same
profile and seed give the same delays, whatever the number of workers.
"""

from __future__ import annotations

import heapq

from loadtool.engine.connection import Arrival, Retry
from loadtool.engine.feed import FAR
from loadtool.plan.backoff import POLICIES
from loadtool.plan.job import ClientSpec, RetrySpec
from loadtool.plan.retries import longest_ns
from loadtool.plan.seeding import BACKOFF, draw


class Waiting:
    """Arrivals between two attempts, in the order in which the next ones are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Arrival]] = []
        self._key = 0  # those that are due at the same instant leave in the order in which they came

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, arrival: Arrival) -> None:
        self._key += 1
        heapq.heappush(self._heap, (arrival.planned(), self._key, arrival))

    def next_due(self) -> int:
        """When the first one is due."""
        return self._heap[0][0] if self._heap else FAR

    def take(self, now: int) -> Arrival | None:
        """The next one that is due."""
        if not self._heap or self._heap[0][0] > now:
            return None
        return heapq.heappop(self._heap)[2]

    def drain(self, most: int) -> list[Arrival]:
        """So many of them at most, whichever, as the run is over."""
        arrivals = [entry[2] for entry in self._heap[-most:]]
        del self._heap[-most:]  # what is before the end of a heap is one
        return arrivals


class Patience:
    """How often, and for how long, the clients try."""

    def __init__(self, client: ClientSpec, spec: RetrySpec, seed: int) -> None:
        self._delay = POLICIES[spec.policy]
        self._spec = spec
        self._seed = seed
        self._timeout = client.timeout_ns
        self._longest = longest_ns(client)

    def next_attempt(self, arrival: Arrival, now: int, promised: int | None) -> Retry | None:
        """The attempt that would follow one that ended now; None if that was the last one.

        `promised`: the delay that a Retry-After asked for. A retry that could not start before the arrival's
        deadline is none.
        """
        spec, last = self._spec, arrival.retry
        retry = Retry()
        retry.number = 1 if last is None else last.number + 1
        if retry.number > spec.max:
            return None
        before = spec.base_ns if last is None else last.delay
        chance = draw(self._seed, BACKOFF, arrival.number, retry.number)
        retry.delay = self._delay(spec.base_ns, spec.cap_ns, retry.number, before, chance)
        wait = retry.delay
        if promised is not None:
            if spec.obey:
                wait = max(wait, promised)
            retry.promised = retry.number == 1 and wait >= promised
        retry.due = now + wait
        return retry if retry.due < arrival.due + self._longest else None

    def begin(self, arrival: Arrival, retry: Retry) -> None:
        """The arrival waits for this attempt from now on, with a timeout of its own."""
        arrival.retry = retry
        arrival.give_up = min(retry.due + self._timeout, arrival.due + self._longest)
        arrival.dialled = 0
        arrival.resent = False
        arrival.refused = 0
