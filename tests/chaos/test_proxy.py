"""A proxy in this process, for the moments that no client can choose."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from chaos_servers import echo, receive_all

from loadtool.chaos.server import address
from loadtool.chaos.server.loop import Loop
from loadtool.chaos.server.proxy import Proxy

Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]


class Later:
    """Stands in for a nursery that has not come round yet to what was started in it."""

    def __init__(self) -> None:
        self.started = trio.Event()
        self.waiting: list[Callable[[], Awaitable[None]]] = []

    def start_soon(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self.waiting.append(partial(function, *arguments))
        self.started.set()


@asynccontextmanager
async def proxy_to(upstream: str, lacked: list[str], tasks: Any = None) -> AsyncIterator[Proxy]:
    """A proxy that listens; what it lacks is added to `lacked`, its tasks run in `tasks`."""
    loop = Loop()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.run)
            tasks = tasks or nursery
            proxy = Proxy("p", "", upstream, loop=loop, nursery=tasks, seed=None, on_shortage=lacked.append)
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


@pytest.mark.parametrize("again", [False, True])
async def test_a_client_whose_dial_has_not_begun_when_the_proxy_stops_is_cut_off(
    upstream: Upstream, again: bool
) -> None:
    later = Later()
    async with proxy_to(await upstream(echo), [], later) as proxy, await connect(proxy) as stream:
        await later.started.wait()
        proxy.stop()
        if again:
            proxy.start(await address.resolve("127.0.0.1:0"))
        for join in later.waiting:
            await join()
        assert proxy.connections == set()
        assert await receive_all(stream) == b""


@pytest.mark.parametrize("again", [False, True])
async def test_a_client_whose_dial_has_just_succeeded_when_the_proxy_stops_is_cut_off(
    upstream: Upstream, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial = trio.open_tcp_stream
    dialled, ended = trio.Event(), trio.Event()
    anywhere = await address.resolve("127.0.0.1:0")

    async def stop_after(host: str, port: int) -> trio.SocketStream:
        stream = await dial(host, port)
        proxy.stop()
        if again:
            proxy.start(anywhere)
        dialled.set()
        return stream

    async def watch(stream: trio.SocketStream) -> None:
        await receive_all(stream)
        ended.set()

    monkeypatch.setattr(trio, "open_tcp_stream", stop_after)
    async with proxy_to(await upstream(watch), []) as proxy, await connect(proxy) as stream:
        await dialled.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert proxy.connections == set()
        assert await receive_all(stream) == b""
        await ended.wait()  # the upstream's connection was closed, too


class _FailsFirst:
    """A listening socket, whose first new connection has failed before it is taken."""

    def __init__(self, sock: Any, error: OSError) -> None:
        self._sock = sock
        self._errors = [error]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def accept(self) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._sock.accept()


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH, errno.ENETDOWN])
async def test_a_connection_that_fails_before_it_is_taken_ends_nothing(
    upstream: Upstream, number: int
) -> None:
    """accept(2) of Linux tells of the new connection's errors, and wants to be asked again."""
    lacked: list[str] = []
    async with proxy_to(await upstream(echo), lacked) as proxy:
        proxy._sock = _FailsFirst(proxy._sock, OSError(number, "it failed"))  # type: ignore[assignment]  # it stands in
        async with await connect(proxy) as stream:
            await stream.send_all(b"still here")
            assert await stream.receive_some(100) == b"still here"
    assert lacked == []
