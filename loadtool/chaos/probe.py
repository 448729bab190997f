"""Probes: small questions asked beside the load, whose answers are a series in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import trio

from loadtool.measure.result import Probe

EVERY_S: Final = 0.5
TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET `url`; ok is 2xx."""

    name: str
    url: str


class Prober:
    """Asks each probe every `EVERY_S` of the run's clock; a slow answer lets the next questions wait."""

    def __init__(self, probes: Sequence[HttpProbe]) -> None:
        self.answers: list[Probe] = []
        self._probes = probes

    async def run(self, origin: float) -> None:
        """Ask until cancelled. `origin`: trio's time of the run's start."""
        async with (
            httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as client,
            trio.open_nursery() as nursery,
        ):
            for probe in self._probes:
                nursery.start_soon(self._ask, probe, client, origin)

    async def _ask(self, probe: HttpProbe, client: httpx.AsyncClient, origin: float) -> None:
        number = 0
        while True:
            await trio.sleep_until(origin + number * EVERY_S)
            asked = trio.current_time()
            try:
                answer = await client.get(probe.url)
                ok, detail = answer.is_success, "" if answer.is_success else f"status {answer.status_code}"
            except httpx.HTTPError as e:
                ok, detail = False, str(e) or type(e).__name__
            now = trio.current_time()
            self.answers.append(Probe(probe.name, asked - origin, ok, (now - asked) * 1000, detail))
            number = max(number + 1, int((now - origin) / EVERY_S) + 1)
