"""A proxy: it listens, and joins each client to a connection of its own to the upstream."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import trio

from loadtool.chaos.server import address
from loadtool.chaos.server.link import Connection
from loadtool.chaos.server.loop import READ, Loop
from loadtool.chaos.server.metrics import Traffic
from loadtool.chaos.server.setting import DIRECTIONS, Setting
from loadtool.chaos.server.shortage import shortage_of

log = logging.getLogger("loadtool.toxiproxy")

_ACCEPTS_A_TURN = 64
_PAUSE_S = 0.1  # after running out of file descriptors
# Linux passes what became of a new connection on to accept, and wants it tried again: accept(2).
_NEW_ONE_FAILED: Final = frozenset(
    {
        errno.ECONNABORTED, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
        errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EPROTO, errno.ETIMEDOUT,
    }
)  # fmt: skip


class Proxy:
    """Changes take effect before these functions return; none of them waits.

    `seed` makes toxicity and jitter repeatable: they are drawn by proxy, number of the connection, direction
    and toxic, whatever else goes on at the same time. `on_shortage` is told what this process lacked each
    time that a client had to wait, or was turned away, for want of it.
    """

    def __init__(
        self,
        name: str,
        listen: str,
        upstream: str,
        *,
        loop: Loop,
        nursery: trio.Nursery,
        seed: int | None,
        on_shortage: Callable[[str], None],
    ) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics: list[Setting] = []  # in the order of adding
        self.connections: set[Connection] = set()
        self.traffic = Traffic()
        self._loop = loop
        self._nursery = nursery
        self._seed = seed
        self._on_shortage = on_shortage
        self._accepted = 0
        self._dials: set[trio.CancelScope] = set()
        self._sock: socket.socket | None = None
        self._events = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [t.as_json() for t in self.listed_toxics()],
        }

    # Listening

    def start(self, where: address.Address) -> None:
        """Listen there. Raises AddressError, and is then not enabled."""
        if self.enabled:
            return
        self._sock = address.listen(where)
        self.listen = str(address.bound(self._sock))
        self._watch(READ)
        self.enabled = True

    def stop(self) -> None:
        """Close the listener and all connections. Toxics stay."""
        self.enabled = False
        if self._sock is not None:
            self._watch(0)
            self._sock.close()
            self._sock = None
        for dial in list(self._dials):
            dial.cancel()
        for connection in list(self.connections):
            connection.close()

    def _watch(self, events: int) -> None:
        assert self._sock is not None
        if events != self._events:
            self._loop.watch(self._sock, self._events, events, self._on_ready)
            self._events = events

    def _on_ready(self, events: int) -> None:
        assert self._sock is not None
        for _ in range(_ACCEPTS_A_TURN):
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                if e.errno in _NEW_ONE_FAILED:
                    continue
                lacking = shortage_of(e)
                if not lacking:
                    raise
                self._on_shortage(lacking)
                log.warning("%s: cannot accept a connection: %s", self.name, e.strerror)
                self._watch(0)  # the client stays in the queue; asking again at once would spin
                self._loop.at(self._loop.now() + _PAUSE_S, self._resume)
                return
            number = self._accepted
            self._accepted += 1
            dial = trio.CancelScope()
            self._dials.add(dial)  # now, since the proxy may be stopped before the task's first step
            self._nursery.start_soon(self._join, dial, client, number, self.upstream)

    def _resume(self, now: float) -> None:
        if self._sock is not None:
            self._watch(READ)

    # Connections

    async def _join(self, dial: trio.CancelScope, client: socket.socket, number: int, upstream: str) -> None:
        """Connect to the upstream for this client; it is closed if that fails, as by the real server."""
        with dial:
            try:
                host, port = address.split(upstream)
                stream = await trio.open_tcp_stream(host or "localhost", int(port))
            except (OSError, ValueError, address.AddressError) as e:
                if lacking := shortage_of(e):
                    self._on_shortage(lacking)
                log.warning("%s: cannot connect to upstream %s: %s", self.name, upstream, lacking or e)
                client.close()
                return
            except trio.Cancelled:  # the proxy is being stopped
                client.close()
                raise
            finally:
                self._dials.discard(dial)
        if dial.cancelled_caught:
            return
        server = socket.socket(fileno=stream.socket.detach())
        if dial.cancel_called:  # just when it had succeeded
            client.close()
            server.close()
            return
        connection = Connection(
            client, server, self._loop, lambda link, toxic: self._random(number, link, toxic), self._on_close
        )
        self.connections.add(connection)
        connection.start(self.toxics)

    def _random(self, number: int, direction: str, setting: Setting) -> Random:
        if self._seed is None:
            return Random()
        return Random(f"{self._seed}\0{self.name}\0{number}\0{direction}\0{setting.name}")

    def _on_close(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for link in connection.links.values():
            self.traffic.add(link.direction, link.received, link.sent)

    # Toxics

    def listed_toxics(self) -> Iterator[Setting]:
        """In the API's order: upstream ones first, then in the order of adding."""
        return (t for d in DIRECTIONS for t in self.toxics if t.direction == d)

    def toxic(self, name: str) -> Setting | None:
        return next((t for t in self.listed_toxics() if t.name == name), None)

    def add_toxic(self, setting: Setting) -> None:
        self.toxics.append(setting)
        for connection in list(self.connections):
            connection.links[setting.direction].add(setting, self._loop.now())

    def toxic_changed(self, setting: Setting) -> None:
        for connection in list(self.connections):
            connection.links[setting.direction].changed(setting, self._loop.now())

    def remove_toxic(self, setting: Setting) -> None:
        self.toxics.remove(setting)
        for connection in list(self.connections):
            connection.links[setting.direction].remove(setting, self._loop.now())
