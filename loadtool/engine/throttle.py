"""Throttle: clients that hold back by themselves while the service turns most of them away. Times are ns."""

from __future__ import annotations

from loadtool.engine.window import Window
from loadtool.plan.job import ThrottleSpec


class Throttle:
    """Adaptive throttling of the SRE book (ch. 21, "client-side throttling").

    Of the last while it counts the requests that have ended, those that it held back among them, and the
    accepts: requests that had an answer which did not turn them away. What is still under way counts as
    neither, else a healthy service would be spared before its first answer. One more is held back with
    probability

        max(0, (requests − K · accepts) ÷ (requests + 1)),

    so that the service gets about K times what it accepts. All workers together count a request of the 1,
    so that each of n, with an n-th of the rest, takes an n-th.
    """

    def __init__(self, spec: ThrottleSpec, workers: int) -> None:
        self._k = spec.k
        self._one = 1 / workers
        self._requests = Window(spec.window_ns)
        self._accepts = Window(spec.window_ns)

    def probability(self, now: int) -> float:
        """That the next request is held back."""
        requests, accepts = self._requests.total(now), self._accepts.total(now)
        return max(0.0, (requests - self._k * accepts) / (requests + self._one))

    def requested(self, now: int) -> None:
        """A request has ended, or was held back."""
        self._requests.add(now)

    def accepted(self, now: int) -> None:
        """A request was not turned away."""
        self._accepts.add(now)

    def words(self, now: int) -> str:
        """Why a request was held back."""
        requests, accepts = self._requests.total(now), self._accepts.total(now)
        return f"held back by the clients' own throttle: {accepts:,} of the last {requests:,} got in"
