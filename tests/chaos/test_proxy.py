"""A proxy in this process, for the moments that no client can choose."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from chaos_servers import receive_all

from loadtool.chaos.server import address
from loadtool.chaos.server.loop import Loop
from loadtool.chaos.server.proxy import Proxy


@asynccontextmanager
async def proxy_to(upstream: str, lacked: list[str]) -> AsyncIterator[Proxy]:
    """A proxy that listens; what it lacks is added to `lacked`."""
    loop = Loop()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.run)
            proxy = Proxy("p", "", upstream, loop=loop, nursery=nursery, seed=None, on_shortage=lacked.append)
            proxy.start(await address.resolve("127.0.0.1:0"))
            yield proxy
            proxy.stop()
            nursery.cancel_scope.cancel()
    finally:
        loop.close()


async def connect(proxy: Proxy) -> trio.SocketStream:
    host, _, port = proxy.listen.rpartition(":")
    stream = trio.SocketStream(trio.socket.socket())
    await stream.socket.connect((host, int(port)))
    return stream


async def test_a_shortage_is_told_though_it_looks_like_an_upstream_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dial(host: str, port: int) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        if port == 1:
            raise OSError("all attempts failed") from ExceptionGroup("", [OSError(errno.EMFILE, "")])
        raise OSError("all attempts failed") from ExceptionGroup("", [OSError(errno.ECONNREFUSED, "")])

    monkeypatch.setattr(trio, "open_tcp_stream", dial)
    lacked: list[str] = []
    async with proxy_to("127.0.0.1:1", lacked) as proxy:
        for upstream in ("127.0.0.1:2", "127.0.0.1:1"):
            assert lacked == []
            proxy.upstream = upstream
            async with await connect(proxy) as stream:
                assert await receive_all(stream) == b""
        assert lacked == ["EMFILE"]
