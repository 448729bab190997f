"""Opening for the transport `httpx`: arrivals that wait for a link, and the connections opened for them.

They wait in the order in which they give up, which is that of their due times, and nobody overtakes.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from time import monotonic_ns as clock
from typing import Final

import trio

from loadtool.engine.connection import Arrival
from loadtool.engine.dialler import Dialler, Failure
from loadtool.engine.failures import LOCAL
from loadtool.engine.httpx_link import Link
from loadtool.engine.httpx_links import Links
from loadtool.engine.httpx_network import Network
from loadtool.engine.httpx_stream import Stream, Unreachable
from loadtool.engine.ledger import Ledger
from loadtool.engine.pending import Pending

LAUNCHES_A_TURN: Final = 64  # then the tasks get their turn


class HttpxOpening(ABC):
    """Who waits for a link, and what becomes of connections that are being opened."""

    def __init__(
        self,
        dialler: Dialler,
        network: Network,
        links: Links,
        ledger: Ledger,
        spare_tls: ssl.SSLContext | None,
        patience_ns: int,
    ) -> None:
        """`spare_tls`: of a connection that is for whoever needs one first. `patience_ns`: as in `Pool`."""
        self._dialler = dialler
        self._network = network
        self._links = links
        self._ledger = ledger
        self._spare_tls = spare_tls
        self._patience_s = patience_ns / 1e9
        self._pending = Pending()
        self._tunnelled = network.proxied and links.url.scheme == "https"
        self._nursery: trio.Nursery | None = None

    @abstractmethod
    def _begin(self, link: Link, now: int) -> None:
        """Send the one that has waited longest over this link."""

    @abstractmethod
    def _next(self, now: int) -> None:
        """Something has ended."""

    def _resume(self, now: int) -> None:
        """Begin the next attempts that are due."""
        ledger = self._ledger
        for _ in range(LAUNCHES_A_TURN):
            arrival = ledger.next_attempt(now)
            if arrival is None:
                return
            self._pending.insert(arrival)
            ledger.waits(arrival, self._pending.at(0))

    def _expire_pending(self, now: int) -> None:
        while self._pending.size and self._pending.at(0).give_up <= now:
            arrival = self._pending.take()
            self._ledger.unsent(arrival, now, self._why_unsent(arrival))

    def _serve_pending(self, now: int) -> None:
        """Give links to those that have waited longest; for each of the others, open a connection."""
        assert self._nursery is not None
        pending, links = self._pending, self._links
        while pending.size and (link := links.take()) is not None:
            self._begin(link, now)
        while links.dialling < pending.size and links.may_dial(now):
            arrival = pending.at(links.dialling - 1)
            arrival.dialled = arrival.dialled or now
            self._nursery.start_soon(self._dial, arrival)

    async def _dial(self, arrival: Arrival | None) -> None:
        """Open a connection. It goes to whoever has waited longest, and so does its failure.

        `arrival`: the one it was opened for.
        """
        stream: Stream | None = None
        failure: Failure | None = None
        with trio.move_on_after(self._patience_s):  # those who wait for it have timeouts of their own
            try:
                stream = await self._network.open(self._spare_tls, self._stage_over)
            except Unreachable as e:
                failure = e.failure
        self._links.dialling -= 1
        now = clock()
        self._expire_pending(now)
        if stream is not None:
            if self._pending.size:
                self._begin(self._links.over(stream), now)
            else:
                self._links.keep(stream)
        elif failure is not None and failure.local:
            # It waits on. A target that had no room was tried all the same, as if the kernel waited for it.
            if arrival is not None and failure.outcome == LOCAL:
                arrival.dialled = 0
        elif failure is not None and self._pending.size:
            unlucky = self._pending.take()
            self._ledger.unreachable(unlucky, now, failure.outcome, failure.detail)
        self._next(now)

    def _stage_over(self, code: int, length: int) -> None:
        if self._pending.size and not self._tunnelled:  # else what goes over it first has to hear the proxy
            cell = self._pending.at(0).cell
            cell.touched = True
            cell.record(code, length)

    def _why_unsent(self, arrival: Arrival) -> str:
        if arrival.dialled:
            return self._dialler.why_not_ready()
        if self._dialler.lacking:
            return f"this machine could open no connection: {self._dialler.lacking}"
        return "no connection was free before the timeout"
