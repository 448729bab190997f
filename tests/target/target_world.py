"""A demo service on virtual time: its store sits behind in-memory streams, so that every delay is exact."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable

import trio
import trio.testing

from loadtool.target.breaker import make_pool
from loadtool.target.http import Request, Response
from loadtool.target.pace import Pacer
from loadtool.target.pool import StorePool
from loadtool.target.service import Service
from loadtool.target.settings import Settings
from loadtool.target.store import serve_store
from loadtool.units import SECOND


class Late(trio.abc.Stream):
    """A stream on which everything arrives later, as behind Toxiproxy's latency toxic."""

    def __init__(self, inner: trio.abc.Stream, world: World) -> None:
        self._inner = inner
        self._world = world

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._inner.receive_some(max_bytes)
        await trio.sleep(self._world.delay_s)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._inner.aclose()


class World:
    """A service, its store and the network between them."""

    def __init__(self, nursery: trio.Nursery, settings: Settings) -> None:
        self.delay_s = 0.0  # on every answer of the store
        self.refused: set[str] = set()  # addresses where nobody listens
        self.dialled: list[str] = []
        self.server_ends: list[trio.abc.Stream] = []
        self.cuts: list[trio.CancelScope] = []  # one for each connection: the store closes it
        self.over: list[str] = []  # addresses of connections that have ended
        self._nursery = nursery
        self._settings = settings
        self.pacer = Pacer()
        self.store = make_pool(settings, "store:1", self.connect)
        timeout_s = settings.store_timeout_ns / SECOND
        self.probe = StorePool("store:1", connections=2, timeout_s=timeout_s, connect=self.connect)
        self.service = Service(settings, self.store, self.probe, pacer=self.pacer)

    async def connect(self, address: str) -> trio.abc.Stream:
        self.dialled.append(address)
        await trio.lowlevel.checkpoint()
        if address in self.refused:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        ours, theirs = trio.testing.memory_stream_pair()
        self.server_ends.append(theirs)
        self.cuts.append(trio.CancelScope())
        self._nursery.start_soon(self._serve_store, theirs, self.cuts[-1], address)
        return Late(ours, self)

    async def _serve_store(self, stream: trio.abc.Stream, cut: trio.CancelScope, address: str) -> None:
        with cut:
            await serve_store(stream, self.pacer, self._settings.store_time_ns / SECOND)
        self.over.append(address)

    async def ask(self, method: str, target: str, body: bytes = b"") -> Response:
        return await whole(self.service(request(method, target, body)))


async def whole(answer: Response | Awaitable[Response]) -> Response:
    return answer if isinstance(answer, Response) else await answer


def request(method: str, target: str, body: bytes = b"") -> Request:
    return Request(method, target, {"host": "x"}, body, keep_alive=True)
