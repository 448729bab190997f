"""Budgets: how many retries there may be in all, so that they can't multiply the load. Times are ns.

A budget is a total of the run. Retries are whole: what one worker alone would allow is dealt out to n of
them one by one, so that even a total below n is there to be used, by the first ones. A worker has every n-th
arrival, so it knows how many the run has had at least. Together they may allow a few less than one, never
more.
"""

from __future__ import annotations

from math import ceil, floor
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

    def __init__(self, share: float, min_per_s: float, worker: int = 0, workers: int = 1) -> None:
        """`min_per_s` of the whole run."""
        self._share = share
        self._reserve = min_per_s * _WINDOW_S
        self._worker = worker
        self._workers = workers
        self._arrivals = Window(WINDOW_NS)
        self._retries = Window(WINDOW_NS)

    def arrived(self, now: int) -> None:
        self._arrivals.add(now)

    def spend(self, now: int) -> bool:
        mine = self._arrivals.total(now)
        arrivals = (mine - 1) * self._workers + 1 if mine else 0
        allowed = floor(self._share * arrivals + self._reserve + _FLOAT_ERROR)
        if self._retries.total(now) >= _dealt(allowed, self._worker, self._workers):
            return False
        self._retries.add(now)
        return True


class TokenBudget(Budget):
    """A bucket of tokens, as gRPC has it (proposal A6, "throttling retry attempts and hedged RPCs").

    It begins full. A failed attempt takes 1, a success puts `ratio` back, up to the brim. A retry is allowed
    while more than half of the tokens are left, once the failure that it follows has taken its own.

    Counted here is what is left above that half. What a full bucket allows is dealt out; the lower half, out
    of which successes have to lift it again, is split evenly.
    """

    def __init__(self, tokens: float, ratio: float, worker: int = 0, workers: int = 1) -> None:
        """`tokens` of the whole run."""
        half = tokens / 2
        retries = ceil(half) - 1
        self._bottom = -half / workers
        self._brim = _dealt(retries, worker, workers) + half - retries
        self._spare = self._brim
        self._ratio = ratio

    def succeeded(self) -> None:
        self._spare = min(self._brim, self._spare + self._ratio)

    def failed(self) -> None:
        self._spare = max(self._bottom, self._spare - 1.0)

    def spend(self, now: int) -> bool:
        return self._spare > _FLOAT_ERROR


def _dealt(whole: int, worker: int, workers: int) -> int:
    """What one worker gets of these, if they are dealt out one by one."""
    return (whole + workers - 1 - worker) // workers


def budget_of(spec: BudgetSpec | None, worker: int, workers: int) -> Budget:
    """One worker's share of the budget."""
    if spec is None:
        return Budget()
    if spec.tokens:
        return TokenBudget(spec.tokens, spec.ratio, worker, workers)
    return ShareBudget(spec.share, spec.min_per_s, worker, workers)
