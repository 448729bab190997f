"""Ledger: what becomes of each arrival, written into its cell. Every arrival ends here exactly once.

An arrival may be tried more than once: what is asked for here is told of attempts, and `_tries_again` decides
whether one was the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns
from typing import Final

from loadtool.engine.connection import Arrival
from loadtool.engine.feed import FAR
from loadtool.engine.http1 import Answer
from loadtool.engine.retry import Waiting
from loadtool.engine.retry_after import promised_ns
from loadtool.engine.slowest import Slowest
from loadtool.measure.frame import Example
from loadtool.measure.outcome import (
    ABORTED,
    CHECK,
    H_FAILED,
    H_LAG,
    H_QUEUED,
    H_SERVICE,
    H_SHED,
    H_TTFB,
    M_RETRIES,
    M_SHED_ATTEMPTS,
    M_TOLD,
    OK,
    OUTCOMES,
    SHED,
    STATUS,
    TIMEOUT,
    UNSENT,
)
from loadtool.plan.expect import Expectation

QUOTED: Final = 200  # characters of an answer's body in an example
BEGAN: Final = 40  # characters of what is no answer
TOO_LATE: Final = "the generator got round to it only after its timeout"
RESTED: Final = 5  # a loop at rest for less than this part of the time is at its limit
HALF_SECRET: Final = 3  # characters of one, at the end of what has come, that are hidden


def problem_of(answer: Answer, expectation: Expectation) -> tuple[str, str] | None:
    """The error kind and what is wrong with a whole answer, its body decoded; None if it is as expected."""
    if not expectation.needs_body:
        return expectation.problem(answer.status, b"")
    try:
        body = answer.decoded_body()
    except ValueError as e:
        problem = expectation.problem(answer.status, b"")
        return problem if problem is not None and problem[0] == "status" else ("check", str(e))
    problem = expectation.problem(answer.status, body)
    if problem is None or problem[0] == "status" or not answer.truncated:
        return problem
    why = "which is all that was kept" if answer.starved else "and is too long to be looked through whole"
    return "check", f"{problem[1]} in its first {len(body):,} bytes, {why}"


class Ledger:
    """Classifies what happened and keeps the first example of each error kind. Times are ns."""

    def __init__(
        self,
        *,
        names: Sequence[str],
        expectations: Sequence[Expectation],
        shed: Sequence[int],
        good_within_ns: int,
        start_ns: int,
        secrets: Sequence[str] = (),
        slowest: Slowest | None = None,
        until: int = FAR,
    ) -> None:
        """`slowest`: is told of every arrival that ends, if there is one. `until`: what is due from then on
        is no example.
        """
        self.last_idle = 0  # when the loop last had nothing to do
        self.rested = 0  # for how long it has had nothing to do, all in all
        self.examples: list[Example] = []  # not yet reported
        self.waiting = Waiting()  # arrivals between two attempts: a base ledger makes none
        self._names = names
        self._expectations = list(expectations)  # compiled, an item of a list is no call
        # By request: the statuses of answers that need no further look. Nearly all of them have one.
        self._fine = [expectation.fine for expectation in expectations]
        self._usual = [min(fine, default=0) for fine in self._fine]  # to compare is quicker than to look up
        self._shed = frozenset(shed)
        self._good_within = good_within_ns
        self._start = start_ns
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._longest_secret = len(self._secrets[0].encode()) if self._secrets else 0
        self._noted = [False] * len(OUTCOMES)
        self.slowest = slowest
        self._until = until

    def begin(self, arrival: Arrival, now: int) -> bool:
        """The loop has got round to it. False: it has ended already, and is not to be sent."""
        arrival.launched = now
        cell = arrival.cell
        cell.touched = True
        cell.scheduled += 1
        return True

    def resume(self, arrival: Arrival, now: int) -> None:
        """The loop has got round to its next attempt."""
        arrival.launched = now
        arrival.queue_due = 0
        cell = arrival.cell
        cell.touched = True
        cell.marks[M_RETRIES] += 1

    def next_attempt(self, now: int) -> Arrival | None:
        """The loop gets round to the next attempt that is due and has time left; None if there is none."""
        while (arrival := self.waiting.take(now)) is not None:
            self.resume(arrival, now)
            if arrival.give_up > now:
                break
            self.missed(arrival, now, TOO_LATE)
        return arrival

    def waits(self, arrival: Arrival, first: Arrival) -> None:
        """It begins to wait for a connection, last in a queue that `first` leads; that may be itself."""
        arrival.rested = self.rested
        arrival.queue_due = first.planned()
        arrival.queue_rested = first.rested

    def cut_off(self, arrival: Arrival, now: int) -> None:
        """The run was ended before the loop got round to it, though it was due."""
        Ledger.begin(self, arrival, now)
        self.settle_wait(arrival, now)
        self.aborted(arrival)

    def settle_wait(self, arrival: Arrival, now: int) -> None:
        """Record how long it waited before it was sent, as lag or as queued.

        Waiting for a connection is lag, too, unless the loop `has_rested`; so is all of it, with the time in
        which a connection was opened, if the loop has not been idle for a moment since the arrival was due.
        """
        if arrival.resent:
            return
        cell = arrival.cell
        cell.touched = True
        due, turn = arrival.planned(), arrival.dialled or now
        if self.has_rested(arrival, turn):
            begun = arrival.launched
        else:
            begun = turn = turn if self.last_idle >= due else now
        cell.record(H_LAG, begun - due)
        cell.record(H_QUEUED, turn - begun)

    def has_rested(self, arrival: Arrival, until: int) -> bool:
        """Whether the loop had so much rest while this one waited that it can say that it was the target.

        A generator that does not keep up hardly rests, and one that has to catch up after a stall of the
        target has rested before. So the time counts since the first one of its queue was due, and a fifth of
        it is enough. Who did not queue for others' connections waited for a moment of rest.
        """
        queue_due = arrival.queue_due
        if (arrival.dialled or not queue_due) and self.last_idle < arrival.planned():
            return False
        return not queue_due or (self.rested - arrival.queue_rested) * RESTED >= until - queue_due

    def answered(self, arrival: Arrival, answer: Answer, sent: int, now: int, first: int) -> None:
        """A whole answer has come."""
        cell = arrival.cell
        cell.touched = True
        if now > arrival.give_up:
            self.fail(arrival, TIMEOUT, "the answer was complete only after the timeout")
            return
        service = now - sent
        response = now - arrival.due
        request = arrival.request
        status = answer.status
        fine = status == self._usual[request] or status in self._fine[request]
        problem = None if fine else problem_of(answer, self._expectations[request])
        if problem is None:
            cell.record_ok(service, first - sent, response)
            if response <= self._good_within:
                cell.good += 1
            if self.slowest is not None:
                self.slowest.ended(arrival, response, OK)
            cell.open -= 1
            cell.oks += 1
            return
        cell.record(H_SERVICE, service)
        cell.record(H_TTFB, first - sent)
        kind, detail = problem
        if kind != "status":
            outcome = CHECK
        elif answer.status in self._shed:
            outcome = SHED
            if cell.shed_allowed:
                self._turned_away(arrival)
        else:
            outcome = STATUS
        if self._tries_again(arrival, outcome, answer):
            return
        if outcome == SHED and cell.shed_allowed:
            cell.record(H_SHED, service)
            if service <= self._good_within and promised_ns(answer) is not None:
                cell.marks[M_TOLD] += 1
            if self.slowest is not None:
                self.slowest.ended(arrival, response, SHED)
            cell.open -= 1
            cell.counts[SHED] += 1
            return
        if outcome == SHED:
            outcome = STATUS  # nobody may turn away normal load
        cell.record(H_FAILED, response)
        if not self._noted[outcome]:
            snippet = self._quoted(answer.snippet(QUOTED + self._longest_secret), QUOTED)
            if snippet:
                detail = f"{detail}; the answer: {snippet}"
        self._end(arrival, outcome, detail, now=now)

    def _turned_away(self, arrival: Arrival) -> None:
        """An attempt at it was shed where shedding is allowed."""
        cell = arrival.cell
        cell.marks[M_SHED_ATTEMPTS] += 1
        due = arrival.due - self._start
        if due < cell.first_shed:
            cell.first_shed = due

    def _tries_again(self, arrival: Arrival, outcome: int, answer: Answer | None) -> bool:
        """Whether an attempt that ended so is followed by another one. `answer`: if one came."""
        return False

    def fail(self, arrival: Arrival, outcome: int, detail: str, began: bytes = b"") -> None:
        """An attempt at it ended with an error kind. `began`: what came in place of an answer."""
        if not self._tries_again(arrival, outcome, None):
            self._end(arrival, outcome, detail, began)

    def _end(self, arrival: Arrival, outcome: int, detail: str, began: bytes = b"", *, now: int = 0) -> None:
        """It ended with an error kind. `now`: when, if that is known to have been before this moment."""
        if self.slowest is not None:
            self.slowest.ended(arrival, (now or monotonic_ns()) - arrival.due, outcome)
        cell = arrival.cell
        cell.touched = True
        cell.open -= 1
        cell.counts[outcome] += 1
        if not self._noted[outcome] and arrival.due < self._until:
            self._noted[outcome] = True
            detail = self._masked(detail)
            if began:
                detail = f"{detail}; it began {self._quoted(began.decode('utf-8', 'replace'), BEGAN)!r}"
            due_s = (arrival.due - self._start) / 1e9
            self.examples.append(Example(OUTCOMES[outcome], self._names[arrival.request], due_s, detail))

    def unsent(self, arrival: Arrival, now: int, why: str) -> None:
        """It timed out before its first byte left; a connection that was being opened for it was a try."""
        self.settle_wait(arrival, now)
        if arrival.dialled:
            self.attempted(arrival)
        self.fail(arrival, UNSENT, why)

    def missed(self, arrival: Arrival, now: int, why: str) -> None:
        """It could not leave, and neither the target nor its connections are to blame: no other try helps."""
        self.settle_wait(arrival, now)
        self._end(arrival, UNSENT, why)

    def unreachable(self, arrival: Arrival, now: int, outcome: int, detail: str) -> None:
        """The connection that it was to leave over did not come about: that was a try, too."""
        self.settle_wait(arrival, now)
        self.attempted(arrival)
        self.fail(arrival, outcome, detail)

    def attempted(self, arrival: Arrival) -> None:
        """Count an attempt that failed before its first byte left; others are counted when they leave."""
        if not arrival.resent:
            arrival.cell.attempts += 1
            arrival.cell.touched = True

    def aborted_waiting(self, arrival: Arrival, now: int) -> None:
        """The run was ended while it waited for a connection."""
        self.settle_wait(arrival, now)
        if arrival.dialled:
            self.attempted(arrival)
        self.aborted(arrival)

    def aborted(self, arrival: Arrival) -> None:
        """The run was ended while it was under way."""
        self._end(arrival, ABORTED, "the run was ended")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _quoted(self, text: str, limit: int) -> str:
        """The first characters of what the target said: masked first, as a cut could leave half a secret."""
        text = self._masked(text)
        for secret in self._secrets:
            for n in range(len(secret) - 1, HALF_SECRET - 1, -1):
                if text.endswith(secret[:n]):
                    text = f"{text[:-n]}***"
                    break
        return text[:limit]
