"""The transport `http1`: the reactor, put together."""

from __future__ import annotations

import socket
from collections.abc import Callable

from loadtool.engine.dialler import Dialler
from loadtool.engine.pool import Pool
from loadtool.engine.reactor import Reactor
from loadtool.engine.stamps import kept_on
from loadtool.engine.traffic import Traffic
from loadtool.engine.transports import Gauges, Parts


class Http1Transport:
    """See `Transport`."""

    def __init__(self, parts: Parts, new_socket: Callable[[int, int], socket.socket] = socket.socket) -> None:
        """`new_socket`: makes every socket, of this family and type."""
        job, poller = parts.job, parts.poller
        self._ledger = parts.ledger
        self._dialler = Dialler(
            parts.addresses,
            poller,
            tls=parts.tls,
            server_name=job.endpoint.server_name,
            source=job.client.source,
            new_socket=new_socket,
        )
        self._pool = Pool(
            self._dialler,
            poller,
            limit=parts.connections,
            patience_ns=job.client.patience_ns,
            pace=parts.pace,
            reconnect_at=parts.reconnect_at,
        )
        self._traffic = Traffic(
            pool=self._pool,
            dialler=self._dialler,
            ledger=parts.ledger,
            heads=[r.method == "HEAD" for r in job.requests],
            keep_bodies=[e.needs_body for e in parts.expectations],
            repeatable=[r.repeatable for r in job.requests],
            keepalive=job.client.keepalive,
        )
        self._reactor = Reactor(parts.feed, self._traffic, parts.ledger, poller)
        self._traffic.render_problem = lambda: parts.feed.render_problem

    @property
    def special(self) -> dict[int, Callable[[], None]]:
        return self._traffic.special

    def stop_at(self, stop_ns: int) -> None:
        self._reactor.stop_at = stop_ns

    def tick_at(self, first_ns: int, on_tick: Callable[[int], int]) -> None:
        self._reactor.on_tick, self._reactor.next_tick = on_tick, first_ns

    def before_abort(self, on_stop: Callable[[int], None]) -> None:
        self._reactor.on_stop = on_stop

    async def run(self) -> None:
        with kept_on():
            await self._reactor.run()

    def gauges(self) -> Gauges:
        gauges = Gauges(
            in_flight=self._pool.busy + len(self._ledger.waiting),
            waiting=self._traffic.pending.size,
            connections=self._pool.size,
            local=dict(self._dialler.local),
            retried=self._traffic.resent,
        )
        self._dialler.local.clear()
        self._traffic.resent = 0
        return gauges
