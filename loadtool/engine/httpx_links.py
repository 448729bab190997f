"""Links of the transport `httpx`: its connections, and which of them a request is sent over.

httpx's own pool is made for clients that wait their turn: it looks at every connection for every request,
puts all of HTTP/2 on one connection however many requests are under way, and never opens one that it was not
asked for. Here the worker decides, as it does for the reactor.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import httpcore
import httpx

from loadtool.engine.feed import FAR
from loadtool.engine.httpx_link import Link
from loadtool.engine.httpx_network import Given, Network
from loadtool.engine.httpx_stream import Stream
from loadtool.engine.pace import Pace
from loadtool.plan.job import ClientSpec, Endpoint, ProxySpec


class Links:
    """All links of a worker, within the bounds that the profile sets. Times are ns of the monotonic clock."""

    def __init__(
        self,
        network: Network,
        endpoint: Endpoint,
        client: ClientSpec,
        tls: ssl.SSLContext | None,
        *,
        limit: int,
        pace: Pace,
        reconnect_at: Sequence[int] = (),
    ) -> None:
        """`limit`: of connections, each for one request at a time. The others as in `Pool`."""
        self.busy = 0  # with a request under way
        self.dialling = 0  # connections being opened, for whoever has waited longest
        self._network = network
        self._limit = limit
        self._pace = pace
        self._reconnect_at = sorted(reconnect_at, reverse=True)
        self._to_reopen = 0
        self._keepalive = client.keepalive
        self._proxy = client.proxy
        self._tls = tls
        self._all: set[Link] = set()
        self._idle: list[Link] = []  # a stack
        self._spares: list[Stream] = []  # open, and never used
        # Only a proxy is told where connections go; else neither is dialled nor sent what this says.
        place = f"{_bracketed(endpoint.host)}:{endpoint.port}" if client.proxy is not None else "localhost"
        self.url = httpx.URL(f"{endpoint.scheme}://{place}")
        origin = httpcore.URL(scheme=self.url.raw_scheme, host=self.url.raw_host, port=self.url.port).origin
        self._origin = origin

    def __len__(self) -> int:
        return len(self._all) + len(self._spares)

    def take(self) -> Link | None:
        """A link for a request, over a connection that is open; None: the request must wait for one."""
        while self._idle:
            link = self._idle.pop()
            if link.usable():
                self.busy += 1
                link.kept = True
                return link
            self._drop(link)
        while self._spares:
            stream = self._spares.pop(0)
            if not stream.stale():
                link = self.over(stream)
                link.kept = True
                return link
            stream.close()
        return None

    def fresh(self) -> Link:
        """A new link for a request that another one failed, once it `may_replace` that."""
        return self._link(self._network)

    def over(self, stream: Stream) -> Link:
        """A link for a request, over this connection, which has just been opened."""
        return self._link(Given(stream))

    def keep(self, stream: Stream) -> None:
        """A connection was opened, and nobody waits for it any more."""
        self._spares.append(stream)

    def put_back(self, link: Link) -> None:
        """Its request is over."""
        self.busy -= 1
        if self._keepalive and link.usable():
            self._idle.append(link)
        else:
            self._drop(link)

    def reconnect(self, now: int) -> int:
        """At its moment, close every link; how many connections are to be opened in their place now.

        A busy one first gets its answer.
        """
        while self._reconnect_at and self._reconnect_at[-1] <= now:
            self._pace.all_at(self._reconnect_at.pop())
            for link in self._all:
                link.spent = link.retired = True
            self.sweep()
            self._to_reopen += self._close_spares()
        count = 0
        while self._to_reopen and self.may_dial(now):
            self._to_reopen -= 1
            count += 1
        return count

    def next_event(self, *, waiting: bool) -> int:
        """When something is to be done next; `waiting`: for more connections than are being opened."""
        wake = FAR
        if (waiting or self._to_reopen) and len(self) + self.dialling < self._limit:
            wake = self._earliest()
        return min(wake, self._reconnect_at[-1]) if self._reconnect_at else wake

    def sweep(self) -> None:
        """Close idle links that are of no use any more."""
        spares, self._spares = self._spares, []
        for stream in spares:
            if stream.stale():
                stream.close()
            else:
                self._spares.append(stream)
        idle, self._idle = self._idle, []
        for link in idle:
            if link.usable():
                self._idle.append(link)
            else:
                self._drop(link)

    def close(self) -> None:
        for link in self._all:
            link.close()
        self._close_spares()
        self._all.clear()
        self._idle.clear()

    def may_dial(self, now: int) -> bool:
        """Whether a connection may be opened now; it is then counted as being opened, in `dialling`."""
        if len(self) + self.dialling >= self._limit:
            return False
        if now < self._earliest():
            return False
        self.dialling += 1
        self._pace.opened(now)
        return True

    def may_replace(self, now: int) -> bool:
        """Whether a link that is of no more use may be replaced now; it then is counted as opened."""
        if now < self._earliest():
            return False
        self._pace.opened(now)
        return True

    def _earliest(self) -> int:
        """When the next connection may be opened, if there is a place for it."""
        return max(self._network.dialler.not_before, self._pace.next)

    def _link(self, network: httpcore.AsyncNetworkBackend) -> Link:
        pool = _pool(network, self._proxy, self._tls, http2=self._network.http2)
        link = Link(pool.create_connection(self._origin), http2=self._network.http2)
        self._all.add(link)
        self.busy += 1
        return link

    def _close_spares(self) -> int:
        """How many there were."""
        spares, self._spares = self._spares, []
        for stream in spares:
            stream.close()
        return len(spares)

    def _drop(self, link: Link) -> None:
        link.close()
        self._all.discard(link)
        self._to_reopen += link.retired


def _pool(
    network: httpcore.AsyncNetworkBackend, proxy: ProxySpec | None, tls: ssl.SSLContext | None, *, http2: bool
) -> httpcore.AsyncConnectionPool:
    """What makes connections, directly or through a proxy. No more of httpcore's pool is used."""
    # Without TLS the server has to know that it will be HTTP/2 (RFC 9113, 3.3).
    if proxy is None:
        return httpcore.AsyncConnectionPool(
            ssl_context=tls, http1=not http2, http2=http2, network_backend=network
        )
    auth = (proxy.user.encode(), proxy.password.encode()) if proxy.user or proxy.password else None
    return httpcore.AsyncHTTPProxy(
        proxy_url=httpcore.URL(scheme="http", host=_bracketed(proxy.host), port=proxy.port, target="/"),
        proxy_auth=auth,
        ssl_context=tls,
        http1=not http2,
        http2=http2,
        network_backend=network,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
