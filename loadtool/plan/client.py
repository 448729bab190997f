"""Client of a job: how requests are sent, from the profile's `client:`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtool.plan.endpoint import proxy_of
from loadtool.plan.job import BudgetSpec, ClientSpec, RetrySpec, ThrottleSpec, TlsSpec
from loadtool.profile.moment import run_length
from loadtool.units import MINUTE, SECOND

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded
    from loadtool.profile.model import Budget, Retries, Throttle


# Retries a second beside a share. Finagle has 10/s, for processes that make thousands of requests a second:
# at the rates of most load tests it would let through more than the share does.
MIN_PER_S: Final = 1.0
TOKEN_RATIO: Final = 0.1
# The book's two minutes suit outages of an hour; a run shows in seconds what then takes minutes.
SHORTEST_WINDOW: Final = SECOND
LONGEST_WINDOW: Final = 2 * MINUTE


def client_of(loaded: Loaded) -> ClientSpec:
    """The client that a checked profile describes."""
    profile, client, files = loaded.profile, loaded.profile.client, loaded.certificates
    moments = {moment.since_start(profile.phases) for moment in loaded.reconnects}
    return ClientSpec(
        timeout_ns=client.timeout,
        deadline_ns=client.deadline,
        connections=client.connections.max,
        keepalive=client.keepalive,
        shed=client.shed,
        dials_per_s=client.connections.per_second,
        reconnect_ns=tuple(sorted(moments)),
        source=client.source,
        http2=client.http2,
        proxy=proxy_of(client.proxy) if client.proxy is not None else None,
        retries=_retries(client.retries),
        throttle=_throttle(client.throttle, run_length(profile.phases)),
        trace=client.trace,
        tls=TlsSpec(client.tls is None or client.tls.verify, files.ca, files.cert, files.key),
    )


def _retries(retries: Retries | None) -> RetrySpec | None:
    if retries is None or retries.policy == "none":
        return None
    return RetrySpec(
        policy=retries.policy,
        max=retries.max,
        base_ns=retries.base,
        cap_ns=retries.cap,
        on=retries.on,
        obey=retries.retry_after == "obey",
        budget=_budget(retries.budget),
    )


def _budget(budget: Budget | None) -> BudgetSpec | None:
    if budget is None:
        return None
    if budget.tokens is not None:
        ratio = TOKEN_RATIO if budget.ratio is None else budget.ratio
        return BudgetSpec(tokens=float(budget.tokens), ratio=ratio)
    assert budget.share is not None  # exactly one of the two is there
    return BudgetSpec(share=budget.share, min_per_s=MIN_PER_S if budget.min is None else budget.min)


def _throttle(throttle: Throttle | None, run_ns: int) -> ThrottleSpec | None:
    if throttle is None or throttle.policy == "none":
        return None
    scaled = min(max(run_ns // 10, SHORTEST_WINDOW), LONGEST_WINDOW)
    return ThrottleSpec(throttle.k, scaled if throttle.window is None else throttle.window)
