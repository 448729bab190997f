"""Probes: small questions asked before, beside and after the load, whose answers are in the report."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import httpx
import trio

from loadtool.errors import SetupError
from loadtool.measure.result import Probe
from loadtool.units import MILLISECOND, SECOND, format_duration

EVERY_S: Final = 0.5
TIMEOUT_S: Final = 5.0

Transport = Callable[[], httpx.AsyncBaseTransport]


# A connection for each question: one that the service closes while nobody asks would count against it.
FRESH: Final = httpx.Limits(max_keepalive_connections=0)


class Clients:
    """The HTTP clients of one prober, each made when it is first needed.

    `target` makes the transport by which the target is reached; without, it is like any other host.
    """

    def __init__(self, stack: AsyncExitStack, target: Transport | None = None) -> None:
        self._stack = stack
        self._target = target
        self._made: dict[str, httpx.AsyncClient] = {}

    def of(self, url: str, *, target: bool) -> httpx.AsyncClient:
        kind = "target" if target and self._target else url.partition(":")[0].lower()
        if kind not in self._made:
            self._made[kind] = self._client(kind)
            self._stack.push_async_callback(self._made[kind].aclose)
        return self._made[kind]

    def _client(self, kind: str) -> httpx.AsyncClient:
        if kind == "target" and self._target is not None:
            return httpx.AsyncClient(trust_env=False, timeout=None, transport=self._target())
        # Loading the system's certificates takes 20 ms, and plain HTTP does without.
        verify = True if kind == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncClient(trust_env=False, timeout=None, verify=verify, limits=FRESH)


class Question(Protocol):
    """What a probe asks. A new kind is one class."""

    @property
    def name(self) -> str: ...

    @property
    def within_ns(self) -> int | None:
        """A later answer is a failure; None: any within `TIMEOUT_S` will do."""
        ...

    @property
    def every_s(self) -> float:
        """From one question to the next."""
        ...

    def prepare(self, clients: Clients) -> None:
        """Make what it asks by, which may take longer than the answer."""
        ...

    async def ask(self, clients: Clients) -> str | float:
        """What is wrong, "" if nothing is; or the value that was read.

        May take as long as it takes: the prober has a deadline.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET `url`; ok is one of `status`, or 2xx. `target`: it is the target's, and reached as the load is."""

    name: str
    url: str
    status: tuple[int, ...] = ()
    within_ns: int | None = None
    target: bool = False
    every_s: float = EVERY_S

    def prepare(self, clients: Clients) -> None:
        clients.of(self.url, target=self.target)

    async def ask(self, clients: Clients) -> str:
        try:
            answer = await clients.of(self.url, target=self.target).get(self.url)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            return str(e) or type(e).__name__
        well = answer.status_code in self.status if self.status else answer.is_success
        return "" if well else f"status {answer.status_code}"


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Connect to `host`:`port`; ok is a connection."""

    name: str
    host: str
    port: int
    within_ns: int | None = None
    every_s: float = EVERY_S

    def prepare(self, clients: Clients) -> None:
        pass  # it needs no client

    async def ask(self, clients: Clients) -> str:
        try:
            stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError as e:
            return str(e)
        await stream.aclose()
        return ""


class Prober:
    """Asks each probe before the run, every `every_s` of the run's clock, and after it."""

    def __init__(self, probes: Sequence[Question], target: Transport | None = None) -> None:
        """`target` makes the transport by which the target is reached."""
        self.answers: list[Probe] = []
        self._probes = probes
        self._target = target

    async def require_steady(self) -> None:
        """Ask each once. Raises SetupError, with all that is wrong, if the service is not steady."""
        async with self._clients() as clients:
            answers = await self._ask_all(clients, trio.current_time())
        wrong = [f"{a.name} ({a.detail})" for a in answers if not a.ok]
        if wrong:
            raise SetupError(f"steady_state: the service is not steady before the load: {', '.join(wrong)}")

    async def run(self, origin: float) -> None:
        """Ask until cancelled. `origin`: trio's time of the run's start."""
        async with self._clients() as clients, trio.open_nursery() as nursery:
            for probe in self._probes:
                nursery.start_soon(self._series, probe, clients, origin)

    async def finish(self, origin: float) -> list[Probe]:
        """Ask each once more, when load and faults are over: did it come back?"""
        async with self._clients() as clients:
            answers = await self._ask_all(clients, origin, after=True)
        self.answers += answers
        return answers

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[Clients]:
        async with AsyncExitStack() as stack:
            clients = Clients(stack, self._target)
            for probe in self._probes:
                probe.prepare(clients)
            yield clients

    async def _ask_all(self, clients: Clients, origin: float, *, after: bool = False) -> list[Probe]:
        answers: dict[int, Probe] = {}

        async def ask(index: int, probe: Question) -> None:
            answers[index] = await _ask(probe, clients, origin, after=after)

        async with trio.open_nursery() as nursery:
            for index, probe in enumerate(self._probes):
                nursery.start_soon(ask, index, probe)
        return [answers[i] for i in sorted(answers)]

    async def _series(self, probe: Question, clients: Clients, origin: float) -> None:
        """A slow answer lets the next questions wait; those that are overdue then are left out."""
        number = 0
        while True:
            await trio.sleep_until(origin + number * probe.every_s)
            asked = trio.current_time()
            try:
                answer = await _ask(probe, clients, origin)
            except trio.Cancelled:
                waited_s = trio.current_time() - asked
                if probe.within_ns is not None and waited_s > probe.within_ns / SECOND:
                    wrong = f"no answer within {format_duration(probe.within_ns)}"
                    self.answers.append(Probe(probe.name, asked - origin, False, waited_s * 1000, wrong))
                raise
            self.answers.append(answer)
            number = max(number + 1, int((trio.current_time() - origin) / probe.every_s) + 1)


async def _ask(probe: Question, clients: Clients, origin: float, *, after: bool = False) -> Probe:
    within = probe.within_ns
    patience_s = max(TIMEOUT_S, (within or 0) / SECOND)
    asked = trio.current_time()
    said: str | float = f"no answer within {patience_s:g} s"
    with trio.move_on_after(patience_s):
        said = await probe.ask(clients)
    wrong, value = (said, None) if isinstance(said, str) else ("", said)
    ms = (trio.current_time() - asked) * 1000
    if within is not None and not wrong and ms > within / MILLISECOND:
        wrong = f"took {ms:.0f} ms, over {format_duration(within)}"
    return Probe(probe.name, asked - origin, not wrong, ms, wrong, after, value)
