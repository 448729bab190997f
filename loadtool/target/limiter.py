"""Limits before the gate: so many requests per second, and as many at a time as the service proves to bear.

Both are pure: time comes in as seconds of any clock.
"""

from __future__ import annotations

import math

from loadtool.target.settings import Settings


class TokenBucket:
    """At most `rate` requests per second in the long run, and `burst` at once after a quiet time."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> float:
        """Take a token. Returns 0, or if there is none the seconds until there will be one."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        # Sums of floats fall short of a whole token by a hair; one that is due counts.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class GradientLimit:
    """A limit on requests in the service, waiting ones included, that finds its own height.

    Waiting shows as latency. So the limit shrinks in proportion once answers take longer than `_TOLERANCE`
    times the shortest known, and grows by `_PROBE` while they do not, to where the two are in balance:

        limit = _TOLERANCE × slots + _PROBE

    however long the queue might get. It cannot tell waiting from a store that has become slow, and then turns
    away more than it needs to: that is a lesson too. As the gradient limit of Netflix's concurrency-limits.
    """

    def __init__(self, initial: int) -> None:
        self._limit = float(initial)
        self._shortest_s = math.inf

    @property
    def limit(self) -> int:
        """Requests that may be in the service at the same time."""
        return int(self._limit)

    def observe(self, latency_s: float, in_service: int) -> None:
        """Learn from an answer: how long it took since the request came, and how many were in the service."""
        # Forgotten slowly, for a service may become slower for good.
        self._shortest_s = min(latency_s, self._shortest_s * _FORGET)
        if in_service < self._limit / 2:
            return  # it was not the limit that held it back, so nothing is learned about it
        gradient = min(1.0, max(0.5, _TOLERANCE * self._shortest_s / max(latency_s, 1e-9)))
        aim = self._limit * gradient + _PROBE
        self._limit = min(_HIGHEST, max(_LOWEST, self._limit + (aim - self._limit) * _SMOOTHING))


_TOLERANCE = 1.5
_PROBE = 4  # requests
_FORGET = 1.0001  # an answer: by half in 4,000
_SMOOTHING = 0.2
_LOWEST, _HIGHEST = 4, 10_000


def make_bucket(settings: Settings) -> TokenBucket | None:
    """The rate limit that the settings ask for, if any."""
    rate = settings.rate_limit
    return None if rate is None else TokenBucket(rate, settings.rate_burst)


def make_limit(settings: Settings) -> GradientLimit | None:
    """The limit on concurrency that the settings ask for, if any."""
    return GradientLimit(settings.slots) if settings.concurrency == "adaptive" else None
