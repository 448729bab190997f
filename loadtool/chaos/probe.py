"""Probes: small questions asked before, beside and after the load, whose answers are in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import httpx
import trio

from loadtool.errors import SetupError
from loadtool.measure.result import Probe

EVERY_S: Final = 0.5
TIMEOUT_S: Final = 5.0


class Question(Protocol):
    """What a probe asks. A new kind is one class."""

    @property
    def name(self) -> str: ...

    async def ask(self, client: httpx.AsyncClient) -> str:
        """What is wrong, "" if nothing is. May take as long as it takes: the prober has a deadline."""
        ...


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET `url`; ok is 2xx."""

    name: str
    url: str

    async def ask(self, client: httpx.AsyncClient) -> str:
        try:
            answer = await client.get(self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            return str(e) or type(e).__name__
        return "" if answer.is_success else f"status {answer.status_code}"


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connect to `host`:`port`; ok is a connection."""

    name: str
    host: str
    port: int

    async def ask(self, client: httpx.AsyncClient) -> str:
        try:
            stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError as e:
            return str(e)
        await stream.aclose()
        return ""


class Prober:
    """Asks each probe before the run, every `EVERY_S` of the run's clock, and after it."""

    def __init__(self, probes: Sequence[Question]) -> None:
        self.answers: list[Probe] = []
        self._probes = probes

    async def require_steady(self) -> None:
        """Ask each once. Raises SetupError, with all that is wrong, if the service is not steady."""
        async with _client() as client:
            answers = await self._ask_all(client, trio.current_time())
        wrong = [f"{a.name} ({a.detail})" for a in answers if not a.ok]
        if wrong:
            raise SetupError(f"steady_state: the service is not steady before the load: {', '.join(wrong)}")

    async def run(self, origin: float) -> None:
        """Ask until cancelled. `origin`: trio's time of the run's start."""
        async with _client() as client, trio.open_nursery() as nursery:
            for probe in self._probes:
                nursery.start_soon(self._series, probe, client, origin)

    async def finish(self, origin: float) -> list[Probe]:
        """Ask each once more, when load and faults are over: did it come back?"""
        async with _client() as client:
            answers = await self._ask_all(client, origin)
        self.answers += answers
        return answers

    async def _ask_all(self, client: httpx.AsyncClient, origin: float) -> list[Probe]:
        answers: dict[int, Probe] = {}

        async def ask(index: int, probe: Question) -> None:
            answers[index] = await _ask(probe, client, origin)

        async with trio.open_nursery() as nursery:
            for index, probe in enumerate(self._probes):
                nursery.start_soon(ask, index, probe)
        return [answers[i] for i in sorted(answers)]

    async def _series(self, probe: Question, client: httpx.AsyncClient, origin: float) -> None:
        """A slow answer lets the next questions wait; those that are overdue then are left out."""
        number = 0
        while True:
            await trio.sleep_until(origin + number * EVERY_S)
            self.answers.append(await _ask(probe, client, origin))
            number = max(number + 1, int((trio.current_time() - origin) / EVERY_S) + 1)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S)


async def _ask(probe: Question, client: httpx.AsyncClient, origin: float) -> Probe:
    asked = trio.current_time()
    wrong = f"no answer within {TIMEOUT_S:g} s"
    with trio.move_on_after(TIMEOUT_S):
        wrong = await probe.ask(client)
    ms = (trio.current_time() - asked) * 1000
    return Probe(probe.name, asked - origin, not wrong, ms, wrong)
