"""The transport `httpx`: HTTP/2, HTTP proxies, and HTTP/1.1 as httpx speaks it. A trio task for each arrival.

It keeps the reactor's promises at a fraction of its rate: arrivals leave when they are due, whatever the
target does; expiry closes the connection, or resets the stream of HTTP/2; who waited for whom is told apart.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic_ns as clock
from typing import Final

import trio

from loadtool.engine.aborting import abort_some, cut_off_some
from loadtool.engine.connection import Arrival
from loadtool.engine.dialler import Dialler
from loadtool.engine.failures import LOCAL, NOT_NOW
from loadtool.engine.feed import FAR, FILLED_AT_ONCE
from loadtool.engine.httpx_exchange import Exchange
from loadtool.engine.httpx_failures import REFUSED, began, blame, concerns_one_stream
from loadtool.engine.httpx_link import Link
from loadtool.engine.httpx_links import Links
from loadtool.engine.httpx_network import Network
from loadtool.engine.httpx_opening import LAUNCHES_A_TURN, HttpxOpening
from loadtool.engine.httpx_stream import Unreachable
from loadtool.engine.idleness import Idleness
from loadtool.engine.ledger import TOO_LATE
from loadtool.engine.transports import Gauges, Parts
from loadtool.measure.outcome import RESET, TIMEOUT, TLS, UNSENT

SILENCE_NS: Final = 100_000_000
LEAVING: Final = 3  # new connections that may refuse a request before that is how it ended
_NOT_SENT: Final = "the timeout expired before its first byte left"
_CLOSED: Final = frozenset((RESET, TLS))  # how a connection ends that the server closed


class HttpxTransport(HttpxOpening):
    """See `Transport`."""

    def __init__(self, parts: Parts, new_socket: Callable[[int, int], socket.socket] = socket.socket) -> None:
        """`new_socket`: makes every socket, of this family and type."""
        job = parts.job
        self.special: dict[int, Callable[[], None]] = {}
        proxied = job.client.proxy is not None
        dialler = Dialler(parts.addresses, parts.poller, source=job.client.source, new_socket=new_socket)
        network = Network(
            parts.addresses,
            dialler,
            server_name=job.endpoint.server_name,
            http2=job.client.http2,
            proxied=proxied,
        )
        links = Links(
            network,
            job.endpoint,
            job.client,
            parts.tls,
            limit=parts.connections,
            pace=parts.pace,
            reconnect_at=parts.reconnect_at,
        )
        # After so long a silence nobody is there; a request that left in time has waited longer at its end.
        self._silence_ns = min(SILENCE_NS, job.client.timeout_ns // 2)
        spare_tls = parts.tls if not proxied else None  # a proxy is asked in plain
        super().__init__(dialler, network, links, parts.ledger, spare_tls, job.client.patience_ns)
        self._feed = parts.feed
        self._poller = parts.poller
        self._proxied = proxied
        self._heads = [r.method == "HEAD" for r in job.requests]
        self._repeatable = [r.repeatable for r in job.requests]
        self._keep_bodies = [e.needs_body for e in parts.expectations]
        self._live: set[Exchange] = set()
        self._retried = 0
        self._stop = FAR
        self._tick = FAR
        self._wake = FAR  # until when the loop waits, if nothing happens
        self._on_tick: Callable[[int], int] = _never
        self._on_stop: Callable[[int], None] = _ignore
        self._offset_s = 0.0  # of trio's clock to the monotonic one

    def stop_at(self, stop_ns: int) -> None:
        self._stop = stop_ns

    def tick_at(self, first_ns: int, on_tick: Callable[[int], int]) -> None:
        self._tick, self._on_tick = first_ns, on_tick

    def before_abort(self, on_stop: Callable[[int], None]) -> None:
        self._on_stop = on_stop

    def gauges(self) -> Gauges:
        sent = sum(exchange.sent > 0 for exchange in self._live)
        gauges = Gauges(
            in_flight=sent + len(self._ledger.waiting),
            waiting=self._pending.size + len(self._live) - sent,
            connections=len(self._links) + self._links.dialling,
            local=dict(self._dialler.local),
            retried=self._retried,
        )
        self._dialler.local.clear()
        self._retried = 0
        return gauges

    async def run(self) -> None:
        self._offset_s = trio.current_time() - clock() / 1e9
        idleness = Idleness(self._ledger)
        trio.lowlevel.add_instrument(idleness)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._loop()
                nursery.cancel_scope.cancel()
        finally:
            trio.lowlevel.remove_instrument(idleness)
            self._links.close()

    # The loop

    async def _loop(self) -> None:
        feed, poller = self._feed, self._poller
        while True:
            self._launch_due()
            self._heed_pipes()
            now = clock()
            self._upkeep(now)
            if now >= self._stop:
                self._abort(now)
                return
            if self._finished():
                return
            wake = self._wake = self._next_event()
            if wake <= now:
                await trio.lowlevel.checkpoint()
            elif feed.wants():
                feed.fill(FILLED_AT_ONCE)
                await trio.lowlevel.checkpoint()
            else:
                poller.arm(wake)
                await trio.lowlevel.wait_readable(poller.fileno())

    def _heed_pipes(self) -> None:
        for fd, _ in self._poller.poll():
            handler = self.special.get(fd)
            if handler is not None:  # else an earlier one has done with it
                handler()

    def _launch_due(self) -> None:
        feed = self._feed
        for _ in range(LAUNCHES_A_TURN):
            if not feed.has_next():
                return
            due, now = feed.ready[-1].due, clock()
            if due > now or due >= self._stop:
                return
            self._launch(feed.ready.pop(), now)

    def _launch(self, arrival: Arrival, now: int) -> None:
        ledger = self._ledger
        if not ledger.begin(arrival, now):
            return
        if arrival.give_up <= now:
            ledger.missed(arrival, now, TOO_LATE)
            return
        if not arrival.data:
            self._dialler.ran_out_of("RENDER")
            ledger.missed(arrival, now, self._feed.render_problem)
            return
        self._pending.append(arrival)
        ledger.waits(arrival, self._pending.at(0))
        self._serve_pending(now)

    def _upkeep(self, now: int) -> None:
        self._expire_pending(now)
        self._resume(now)
        assert self._nursery is not None
        for _ in range(self._links.reconnect(now)):
            self._nursery.start_soon(self._dial, None)
        self._serve_pending(now)
        if now >= self._tick:
            self._links.sweep()
        self._tick_if_due(now)

    def _tick_if_due(self, now: int) -> None:
        if now >= self._tick:
            self._tick = self._on_tick(now)

    def _begin(self, link: Link, now: int) -> None:
        """Send the one that has waited longest over this link."""
        assert self._nursery is not None
        exchange = self._exchange(self._pending.take(), link, now)
        self._live.add(exchange)
        self._nursery.start_soon(self._serve, exchange)

    def _next(self, now: int) -> None:
        """Something has ended."""
        self._expire_pending(now)  # nothing is begun for those whose time is up
        self._serve_pending(now)
        if self._finished() or self._next_event() < self._wake:
            self._poller.arm(now)  # the loop waits for something that will not come, or not soon enough

    def _next_event(self) -> int:
        feed, pending = self._feed, self._pending
        wake = min(
            self._tick,
            self._stop,
            self._ledger.waiting.next_due(),
            self._links.next_event(waiting=self._links.dialling < pending.size),
        )
        if feed.has_next():
            wake = min(wake, feed.ready[-1].due)
        return min(wake, pending.at(0).give_up) if pending.size else wake

    def _finished(self) -> bool:
        under_way = self._pending.size or self._live or self._ledger.waiting
        return not under_way and not self._feed.has_next()

    def _abort(self, now: int) -> None:
        """The run is over: whatever is under way is aborted. In between, only the pipes have a say."""
        ledger = self._ledger
        self._on_stop(now)
        for exchange in self._live:
            if not exchange.over:
                exchange.over = True
                if exchange.sent:
                    ledger.aborted(exchange.arrival)
                else:
                    ledger.aborted_waiting(exchange.arrival, now)
        while abort_some(self._pending, ledger, now) or cut_off_some(self._feed, ledger, self._stop, now):
            self._heed_pipes()
            self._tick_if_due(clock())

    # One arrival

    def _exchange(self, arrival: Arrival, link: Link, now: int, *, second: bool = False) -> Exchange:
        return Exchange(
            arrival,
            link,
            now,
            ledger=self._ledger,
            url=self._links.url,
            proxied=self._proxied,
            later=self._flush,
            second=second,
        )

    def _flush(self, link: Link) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(link.flush)

    async def _serve(self, exchange: Exchange) -> None:
        """An arrival's task: an exchange, and once more if its connection had just been closed."""
        again: Exchange | None = exchange
        while again is not None:
            self._live.add(again)
            again = await self._try(again)
        self._next(clock())

    async def _try(self, exchange: Exchange) -> Exchange | None:
        """Run one exchange and put it into the books; returns the next try, if there is to be one."""
        arrival, link = exchange.arrival, exchange.link
        again: Exchange | None = None
        try:
            with trio.CancelScope(deadline=arrival.give_up / 1e9 + self._offset_s):
                try:
                    await exchange.run(
                        no_body=self._heads[arrival.request], keep_body=self._keep_bodies[arrival.request]
                    )
                except Exception as e:
                    if not exchange.over:
                        again = self._failed(exchange, e)
            if not exchange.over and again is None:
                self._ended(exchange)
        finally:
            exchange.answer.close()
            self._live.discard(exchange)
            self._links.put_back(link)
        return again

    def _ended(self, exchange: Exchange) -> None:
        """The answer is there, or its time is up."""
        exchange.over = True
        arrival, link, answer = exchange.arrival, exchange.link, exchange.answer
        if exchange.done:
            if answer.starved:
                self._dialler.ran_out_of("ENOMEM")
                self._ledger.fail(arrival, TIMEOUT, "this machine had no room for the answer's body")
            else:
                self._ledger.answered(arrival, answer, exchange.sent, exchange.done, exchange.first)
            link.served += 1
            if link.served == 1 and link.stream is not None:
                link.stream.remember_session()
            return
        now = clock()
        if not link.http2 or link.stream is None or link.silent_for(now) >= self._silence_ns:
            link.spent = True
        if not exchange.sent:
            self._ledger.unsent(arrival, now, self._why_unsent(arrival))
        elif exchange.unsent:
            self._ledger.fail(arrival, UNSENT, _NOT_SENT)
        elif exchange.scene.started:
            self._ledger.fail(arrival, TIMEOUT, "the answer was incomplete when the timeout expired")
        else:
            self._ledger.fail(arrival, TIMEOUT, "no answer when the timeout expired")

    def _failed(self, exchange: Exchange, error: Exception) -> Exchange | None:
        """Returns the next try, if there is to be one; None once it is in the books, or waits again."""
        arrival, link, scene = exchange.arrival, exchange.link, exchange.scene
        failure = blame(error, scene)
        if isinstance(error, MemoryError):
            self._dialler.ran_out(error)
        one_stream = concerns_one_stream(error, broken_off=link.broken_off)
        link.spent = link.spent or not one_stream
        now = clock()
        if exchange.done or (arrival.give_up <= now and not isinstance(error, Unreachable)):
            return None  # it has had its answer, or its time: that is how it ended
        # The server closed it just as we wrote: once more on a fresh one, as browsers do.
        in_vain = exchange.refused or exchange.owed or (link.served > 0 and not exchange.taken)
        in_vain = in_vain and not scene.started and not one_stream
        perhaps = exchange.maybe_read or exchange.owed or link.broken_off  # there may be work on it
        in_vain = in_vain and (not perhaps or self._repeatable[arrival.request])
        arrival.refused += exchange.refused and not link.kept
        if failure.outcome in _CLOSED and in_vain and (not exchange.second or _tries_on(exchange)):
            if scene.sent and perhaps:
                arrival.cell.attempts += 1  # what follows is another
                arrival.cell.touched = True
            arrival.resent = arrival.resent or scene.sent
            self._retried += 1
            if self._links.may_replace(now):
                return self._exchange(arrival, self._links.fresh(), now, second=True)
            exchange.over = True
            arrival.dialled = 0
            self._pending.insert(arrival)  # it waits with the others, for whichever is free first
            return None
        exchange.over = True
        if failure.outcome in (LOCAL, NOT_NOW):
            arrival.dialled = 0
            self._pending.put_back(arrival)  # not the target's fault: it waits on
            return None
        if failure.outcome == REFUSED:
            self._dialler.ran_out_of("RENDER")
            self._ledger.missed(arrival, now, f"httpx does not send this request: {failure.detail}")
        elif scene.sent:
            self._ledger.fail(arrival, failure.outcome, failure.detail, began(error, scene.stream))
        else:
            self._ledger.unreachable(arrival, now, failure.outcome, failure.detail)
        return None


def _tries_on(exchange: Exchange) -> bool:
    """Whether it is sent a third time, or once more than that.

    Servers say that they leave before they do: many connections that were open may have heard it, unread as
    yet, and a new one may still be theirs. But one that takes nothing over several new ones takes nothing.
    """
    return exchange.refused and (exchange.link.kept or exchange.arrival.refused < LEAVING)


def _never(now: int) -> int:
    return FAR


def _ignore(now: int) -> None:
    pass
