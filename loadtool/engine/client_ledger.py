"""The ledger of clients that try again, or hold back: what follows an attempt that came to nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Final

from loadtool.engine.budget import budget_of
from loadtool.engine.connection import Arrival
from loadtool.engine.feed import FAR
from loadtool.engine.http1 import Answer
from loadtool.engine.ledger import Ledger
from loadtool.engine.retry import Patience
from loadtool.engine.retry_after import promised_ns
from loadtool.engine.slowest import Slowest
from loadtool.engine.throttle import Throttle
from loadtool.measure.outcome import (
    CONNECT,
    DNS,
    M_EXHAUSTED,
    M_KEPT,
    M_PROMISED,
    M_THROTTLED,
    M_WITHHELD,
    OK,
    OUTCOMES,
    SHED,
    TLS,
    UNSENT,
)
from loadtool.plan.expect import Expectation
from loadtool.plan.job import Job
from loadtool.plan.seeding import THROTTLE, draw
from loadtool.plan.trace import Tracer

_NOT_SENT: Final = frozenset((UNSENT, CONNECT, TLS, DNS))  # outcomes of attempts that never left


class ClientLedger(Ledger):
    """See `Ledger`. MARKS tells what is counted besides arrivals and their outcomes."""

    def __init__(
        self,
        job: Job,
        expectations: Sequence[Expectation],
        start_ns: int,
        *,
        worker: int = 0,
        workers: int = 1,
        clock: Callable[[], int] = monotonic_ns,
        tracer: Tracer | None = None,
    ) -> None:
        """`worker` of the `workers` that share the budget; `clock`: ns, the one of all times here."""
        super().__init__(
            names=[r.name for r in job.requests],
            expectations=expectations,
            shed=job.client.shed,
            good_within_ns=job.good_within_ns,
            start_ns=start_ns,
            secrets=job.secrets,
            slowest=slowest_of(job, tracer, start_ns),
            until=planned_until(job, start_ns),
        )
        self._tracer = tracer
        client = job.client
        retries, throttle = client.retries, client.throttle
        self._clock = clock
        self._seed = job.seed
        self._patience = Patience(client, retries, job.seed) if retries is not None else None
        self._on = frozenset(OUTCOMES.index(name) for name in (retries.on if retries is not None else ()))
        self._budget = budget_of(retries.budget if retries is not None else None, worker, workers)
        self._throttle = Throttle(throttle, workers) if throttle is not None else None

    def begin(self, arrival: Arrival, now: int) -> bool:
        super().begin(arrival, now)
        self._budget.arrived(now)
        # What could not be sent in any case is nobody's restraint.
        if self._throttle is None or arrival.give_up <= now or not arrival.data:
            return True
        if not self._holds_back(self._throttle, arrival, now, 0):
            return True
        arrival.cell.marks[M_THROTTLED] += 1
        self.settle_wait(arrival, now)
        self._end(arrival, UNSENT, self._throttle.words(now))
        return False

    def answered(self, arrival: Arrival, answer: Answer, sent: int, now: int, first: int) -> None:
        cell = arrival.cell
        before = cell.oks
        super().answered(arrival, answer, sent, now, first)
        if cell.oks > before:
            self._budget.succeeded()
            if self._throttle is not None:
                self._throttle.requested(now)
                self._throttle.accepted(now)
            self._keep(arrival, OK)

    def _tries_again(self, arrival: Arrival, outcome: int, answer: Answer | None) -> bool:
        now = self._clock()
        if self._throttle is not None:
            self._throttle.requested(now)
            if answer is not None and outcome != SHED:
                self._throttle.accepted(now)
        self._keep(arrival, outcome)
        if self._patience is None or outcome not in self._on:
            return False
        self._budget.failed()
        promised = promised_ns(answer) if answer is not None else None
        retry = self._patience.next_attempt(arrival, now, promised)
        if retry is None:
            return False
        retry.promised = retry.promised and outcome == SHED
        marks = arrival.cell.marks
        if self._throttle is not None and self._holds_back(self._throttle, arrival, now, retry.number):
            marks[M_WITHHELD] += 1
            return False
        if not self._budget.spend(now):
            marks[M_EXHAUSTED] += 1
            return False
        self._patience.begin(arrival, retry)
        if self._tracer is not None:
            arrival.data = self._tracer.stamp_again(arrival.data, arrival.number, retry.number)
        self.waiting.add(arrival)
        return True

    def _holds_back(self, throttle: Throttle, arrival: Arrival, now: int, attempt: int) -> bool:
        chance = throttle.probability(now)
        if not (chance > 0 and draw(self._seed, THROTTLE, arrival.number, attempt) < chance):
            return False  # it counts when it has ended: nobody can tell yet what becomes of it
        throttle.requested(now)
        return True

    def _keep(self, arrival: Arrival, outcome: int) -> None:
        """An attempt has ended: if a shed had promised that it would get in, see whether it did."""
        retry = arrival.retry
        if retry is None or not retry.promised or outcome in _NOT_SENT:
            return
        retry.promised = False
        marks = arrival.cell.marks
        marks[M_PROMISED] += 1
        if outcome != SHED:
            marks[M_KEPT] += 1


def slowest_of(job: Job, tracer: Tracer | None, start_ns: int) -> Slowest | None:
    """What keeps the slowest arrivals of a run that is traced."""
    if tracer is None:
        return None
    return Slowest(tracer, [r.name for r in job.requests], start_ns, planned_until(job, start_ns))


def planned_until(job: Job, start_ns: int) -> int:
    """When the profile's own load ends, on the clock that `start_ns` is of, if more follows it."""
    return start_ns + job.planned_ns if job.planned_ns is not None else FAR


def ledger_of(
    job: Job,
    expectations: Sequence[Expectation],
    start_ns: int,
    worker: int,
    workers: int,
    tracer: Tracer | None = None,
) -> Ledger:
    """One worker's ledger of this job; clients that neither try again nor hold back have a lighter one."""
    if job.client.retries is None and job.client.throttle is None:
        return Ledger(
            names=[r.name for r in job.requests],
            expectations=expectations,
            shed=job.client.shed,
            good_within_ns=job.good_within_ns,
            start_ns=start_ns,
            secrets=job.secrets,
            slowest=slowest_of(job, tracer, start_ns),
            until=planned_until(job, start_ns),
        )
    return ClientLedger(job, expectations, start_ns, worker=worker, workers=workers, tracer=tracer)
