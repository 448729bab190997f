"""What retries can do at the worst, by arithmetic on the client's settings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from loadtool.plan.backoff import extremes
from loadtool.plan.job import ClientSpec


def longest_ns(client: ClientSpec) -> int:
    """How long an arrival may be under way: its deadline, else what its attempts can take.

    Those are 1 + max timeouts and the longest backoffs between them. A Retry-After does not lengthen it.
    """
    retries = client.retries
    if client.deadline_ns is not None:
        return client.deadline_ns
    if retries is None:
        return client.timeout_ns
    backoffs = extremes(retries.policy, retries.base_ns, retries.cap_ns, retries.max, 1.0)
    return (1 + retries.max) * client.timeout_ns + sum(backoffs)


def most_attempts(client: ClientSpec) -> int:
    """Attempts at an arrival that fit before its deadline, if each fails at once and no wait is long."""
    retries = client.retries
    if retries is None:
        return 1
    shortest = extremes(retries.policy, retries.base_ns, retries.cap_ns, retries.max, 0.0)
    return 1 + sum(begun < longest_ns(client) for begun in accumulate(shortest))


@dataclass(frozen=True, slots=True)
class Amplification:
    """Attempts ÷ arrivals while every attempt fails, without the budget and with it, if there is one."""

    unbounded: float
    budgeted: float | None

    @property
    def worst(self) -> float:
        return self.unbounded if self.budgeted is None else self.budgeted


def amplification(client: ClientSpec, rate: float) -> Amplification:
    """What retries make of this rate of arrivals, in the long run.

    A share allows rate · share + min retries a second. A token bucket allows none once it is half empty, so
    what it allows in the long run is what its successes pay for: at most `ratio` retries for each.
    """
    most = float(most_attempts(client))
    budget = client.retries.budget if client.retries is not None else None
    if budget is None:
        return Amplification(most, None)
    if budget.tokens:
        return Amplification(most, min(most, 1 + budget.ratio))
    spare = budget.min_per_s / rate if rate > 0 else most
    return Amplification(most, min(most, 1 + budget.share + spare))
