"""What retries can do at the worst, by arithmetic on the client's settings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from loadtool.plan.backoff import extremes
from loadtool.plan.job import BudgetSpec, ClientSpec
from loadtool.plan.peak import peak_rate, peak_within
from loadtool.plan.timeline import Timeline
from loadtool.units import format_duration, format_rate, format_share


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


def connections_needed(timeline: Timeline, client: ClientSpec, batch: int) -> tuple[int, int]:
    """The most connections in use at a time if every attempt takes its whole timeout, and when, in ns.

    Little's law: the arrivals of one timeout; with retries as many more as those may be, but no more than the
    arrivals that can be under way.
    """
    needed, at_ns = peak_within(timeline, client.timeout_ns, batch)
    if client.retries is None:
        return needed, at_ns
    worst = amplification(client, peak_rate(timeline)[0]).worst
    under_way, _ = peak_within(timeline, longest_ns(client), batch)
    return max(needed, min(ceil(needed * worst), under_way)), at_ns


def retries_text(client: ClientSpec, rate: float) -> str:
    """What retries are, and make of this rate of arrivals at the worst; "" if there are none."""
    retries = client.retries
    if retries is None:
        return ""
    delays = f", {format_duration(retries.base_ns)} to {format_duration(retries.cap_ns)}"
    told = f"{retries.policy}{'' if retries.policy == 'immediate' else delays}, at most {retries.max} each"
    found = amplification(client, rate)
    worst = f"{told}, {_budget(retries.budget)}; at the worst {found.worst:.3g}x, {_rate(found.worst * rate)}"
    if found.budgeted is None:
        return worst
    return f"{worst}; without the budget {found.unbounded:.3g}x, {_rate(found.unbounded * rate)}"


def _budget(budget: BudgetSpec | None) -> str:
    if budget is None:
        return "no budget"
    if budget.tokens:
        return f"budget {budget.tokens:g} tokens"
    least = f" and {format_rate(budget.min_per_s)}" if budget.min_per_s else ""
    return f"budget {format_share(budget.share)}{least}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.4g}/s" if per_s < 10_000 else f"{per_s:,.0f}/s"


def throttle_text(client: ClientSpec) -> str:
    """How clients hold back; "" if they don't."""
    throttle = client.throttle
    if throttle is None:
        return ""
    window = format_duration(throttle.window_ns)
    return f"adaptive, past {throttle.k:g} requests for each that got in, counted over {window}"
