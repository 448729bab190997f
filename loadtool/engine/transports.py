"""Transports: how a worker's arrivals reach the target. One file and one row of `TRANSPORTS` each.

All of them keep the same books (Ledger, cells) and know the same outcomes; what they differ in is what they
speak and how many requests a second they can send.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from loadtool.engine.addresses import Addresses
from loadtool.engine.feed import Feed
from loadtool.engine.ledger import Ledger
from loadtool.engine.pace import Pace
from loadtool.engine.poller import Poller
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ClientSpec, Endpoint, Job
from loadtool.plan.message import Message

if TYPE_CHECKING:
    from loadtool.engine.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker gives its transport. Totals of the run are this worker's share of them.

    `addresses`: where connections go; `pace`: how fast. `reconnect_at`: ns of the monotonic clock.
    """

    job: Job
    addresses: Addresses
    feed: Feed
    ledger: Ledger
    poller: Poller
    expectations: Sequence[Expectation]
    tls: ssl.SSLContext | None
    connections: int
    pace: Pace
    reconnect_at: Sequence[int]


@dataclass(frozen=True, slots=True)
class Gauges:
    """For a frame: how it stands, and what was counted since the last call."""

    in_flight: int
    waiting: int
    connections: int
    local: dict[str, int]
    retried: int


class Transport(Protocol):
    """Sends the arrivals of a feed, each when it is due. Times are ns of the monotonic clock."""

    @property
    def special(self) -> dict[int, Callable[[], None]]:
        """What to do when a pipe of the worker, which is in the poller, is ready; by descriptor."""
        ...

    def stop_at(self, stop_ns: int) -> None:
        """Arrivals due from then on are not of the run; the others are aborted then."""

    def tick_at(self, first_ns: int, on_tick: Callable[[int], int]) -> None:
        """Call `on_tick` with the time, at `first_ns` and then whenever the last call said."""

    def before_abort(self, on_stop: Callable[[int], None]) -> None:
        """Call `on_stop` with the time when the stop has come, before anything is aborted."""

    async def run(self) -> None:
        """Until every arrival is done, or the stop has come. Raises what a `special` raises."""

    def gauges(self) -> Gauges:
        """How it stands. What it counts begins anew."""
        ...


Maker = Callable[[Parts], Transport]


def _http1() -> Maker:
    from loadtool.engine.http1_transport import Http1Transport

    return Http1Transport


def _httpx() -> Maker:
    from loadtool.engine.httpx_transport import HttpxTransport

    return HttpxTransport


# By the profile's `transport`: what makes one. A row imports what it needs, which may take half a second:
# to be asked for before the start.
TRANSPORTS: Final[Mapping[str, Callable[[], Maker]]] = {
    "http1": _http1,
    "httpx": _httpx,
}


class Once(Protocol):
    """One message on a connection of its own, for a person to read; see `exchange.exchange`."""

    async def __call__(
        self,
        message: Message,
        endpoint: Endpoint,
        client: ClientSpec,
        expectation: Expectation,
        tls: ssl.SSLContext | None = None,
    ) -> Exchange: ...


def _http1_once() -> Once:
    from loadtool.engine.exchange import exchange

    return exchange


def _httpx_once() -> Once:
    from loadtool.engine.httpx_once import exchange

    return exchange


# The same for `loadtool try`.
ONCE: Final[Mapping[str, Callable[[], Once]]] = {
    "http1": _http1_once,
    "httpx": _httpx_once,
}
