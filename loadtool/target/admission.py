"""Who gets to work: every limit of the service in its order, and what those are told who don't."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from loadtool.target.gate import TurnedAway, make_gate
from loadtool.target.http import Response, json_response
from loadtool.target.limiter import make_bucket, make_limit
from loadtool.target.queues import Reason
from loadtool.target.settings import Settings
from loadtool.units import SECOND


class Admission:
    """Rate limit, then concurrency limit, then queue and slots."""

    def __init__(self, settings: Settings) -> None:
        self.turned_away: Counter[Reason] = Counter()
        self._settings = settings
        self._bucket = make_bucket(settings)
        self._limit = make_limit(settings)
        self._gate = make_gate(settings)
        self._jitter = random.Random(settings.seed)

    def stats(self) -> dict[str, Any]:
        return {
            "slots": self._gate.slots,
            "in_flight": self._gate.in_flight,
            "queued": len(self._gate.queue),
            "queue_limit": self._settings.queue,
            "concurrency_limit": None if self._limit is None else self._limit.limit,
            "turned_away": dict(self.turned_away),
        }

    def refusal(self) -> Response | None:
        """The answer to a request that is not let in, at next to no cost; None if it is."""
        now = trio.current_time()
        if self._bucket is not None and (wait_s := self._bucket.take(now)) > 0:
            return self._turn_away("rate limit", 429, wait_s)
        if self._limit is not None and self._inside() >= self._limit.limit:
            return self._turn_away("concurrency limit")
        reason = self._gate.refusal()
        return None if reason is None else self._turn_away(reason)

    async def admit(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """Do the work in a slot, after a wait for it; or the answer that turns it away after all."""
        came = trio.current_time()
        try:
            async with self._gate:
                response = await work()
                if self._limit is not None and response.status < 400:
                    self._limit.observe(trio.current_time() - came, self._inside())
                return response
        except TurnedAway as e:
            return self._turn_away(e.reason)

    def retry_after(self, at_least_s: float = 0.0) -> tuple[tuple[str, str], ...]:
        """The header, if the settings promise one at all."""
        if not self._settings.retry_after_ns:
            return ()
        later_s = max(self._settings.retry_after_ns / SECOND, at_least_s)
        later_s += self._jitter.uniform(0, self._settings.retry_after_jitter_ns / SECOND)
        # Whole seconds, rounded up: an earlier retry would be turned away again.
        return (("Retry-After", str(math.ceil(later_s))),)

    def _inside(self) -> int:
        return self._gate.in_flight + len(self._gate.queue)

    def _turn_away(self, reason: Reason, status: int | None = None, wait_s: float = 0.0) -> Response:
        self.turned_away[reason] += 1
        body = {"error": "the service is busy", "reason": reason}
        return json_response(status or self._settings.shed_status, body, *self.retry_after(wait_s))
