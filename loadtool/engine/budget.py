"""Budgets: how many retries there may be in all, so that they can't multiply the load. Times are ns.

A budget is a total of the run: each of n workers, which has an n-th of the arrivals, has an n-th of what does
not depend on them. Retries are whole, so n workers may allow a few less than one, never more.
"""

from __future__ import annotations

from typing import Final

from loadtool.engine.window import Window
from loadtool.plan.job import BudgetSpec

WINDOW_NS: Final = 10_000_000_000
_WINDOW_S: Final = WINDOW_NS // 1_000_000_000
_FLOAT_ERROR: Final = 1e-9


class Budget:
    """The one of clients that have none: everything may be tried again."""

    def arrived(self, now: int) -> None:
        """An arrival has begun."""

    def succeeded(self) -> None:
        """An attempt was ok."""

    def failed(self) -> None:
        """An attempt ended in a way that is tried again, whether or not this one is."""

    def spend(self, now: int) -> bool:
        """Whether one retry is allowed; it is then counted as begun."""
        return True


class ShareBudget(Budget):
    """A share of the arrivals, as the SRE book (ch. 21, "per-client retry budget") and Finagle have it.

    A retry is allowed while, over the last ten seconds, with it,

        retries ≤ share · arrivals + min · 10 s.

    This is Finagle's `RetryBudget(ttl = 10 s, minRetriesPerSec = min, percentCanRetry = share)`: deposits and
    withdrawals both expire after its ttl, in tenths of it. The book's has no minimum.
    """

    def __init__(self, share: float, min_per_s: float, workers: int) -> None:
        """`min_per_s` of the whole run."""
        self._share = share
        self._reserve = min_per_s * _WINDOW_S / workers
        self._arrivals = Window(WINDOW_NS)
        self._retries = Window(WINDOW_NS)

    def arrived(self, now: int) -> None:
        self._arrivals.add(now)

    def spend(self, now: int) -> bool:
        allowed = self._share * self._arrivals.total(now) + self._reserve
        if self._retries.total(now) + 1 > allowed + _FLOAT_ERROR:
            return False
        self._retries.add(now)
        return True


class TokenBudget(Budget):
    """A bucket of tokens, as gRPC has it (proposal A6, "throttling retry attempts and hedged RPCs").

    It begins full. A failed attempt takes 1, a success puts `ratio` back, up to the brim. A retry is allowed
    while more than half of the tokens are left, once the failure that it follows has taken its own.
    """

    def __init__(self, tokens: float, ratio: float, workers: int) -> None:
        """`tokens` of the whole run."""
        self._brim = tokens / workers
        self._tokens = self._brim
        self._ratio = ratio

    def succeeded(self) -> None:
        self._tokens = min(self._brim, self._tokens + self._ratio)

    def failed(self) -> None:
        self._tokens = max(0.0, self._tokens - 1.0)

    def spend(self, now: int) -> bool:
        return self._tokens > self._brim / 2 + _FLOAT_ERROR


def budget_of(spec: BudgetSpec | None, workers: int) -> Budget:
    """One worker's share of the budget."""
    if spec is None:
        return Budget()
    if spec.tokens:
        return TokenBudget(spec.tokens, spec.ratio, workers)
    return ShareBudget(spec.share, spec.min_per_s, workers)
