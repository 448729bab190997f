"""Two Toxiproxies for the same tests: the embedded one always, the real one wherever it is installed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import trio
from chaos_servers import SERVERS, Toxiproxy, embedded_server
from trio.testing import MockClock


@pytest.fixture(scope="session", params=list(SERVERS))
def toxiproxy_url(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with SERVERS[request.param]() as url:
        yield request.param, url


@pytest.fixture(scope="session")
def embedded_url() -> Iterator[str]:
    with embedded_server() as url:
        yield url


async def _cleaned(server: Toxiproxy) -> AsyncIterator[Toxiproxy]:
    yield server
    for name in server.made:
        await server.ask("DELETE", f"/proxies/{name}")


@pytest.fixture
async def toxiproxy(toxiproxy_url: tuple[str, str]) -> AsyncIterator[Toxiproxy]:
    """Each of the two servers in turn."""
    async for server in _cleaned(Toxiproxy(*toxiproxy_url)):
        yield server


@pytest.fixture
async def embedded(embedded_url: str) -> AsyncIterator[Toxiproxy]:
    """The embedded server, for what the real one cannot do."""
    async for server in _cleaned(Toxiproxy("embedded", embedded_url)):
        yield server


Handler = Callable[[trio.SocketStream], Any]


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> Callable[[Handler], Any]:
    """Starts a TCP server for this test: `await upstream(handler)` is its address."""

    async def start(handler: Handler) -> str:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]

        async def forgiving(stream: trio.SocketStream) -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await handler(stream)

        nursery.start_soon(trio.serve_listeners, forgiving, listeners)
        return f"127.0.0.1:{port}"

    return start


@pytest.fixture
def slow_clock() -> MockClock:
    """A minute of real time is a second of it, and a test jumps to what it waits for.

    So no fault is late where the machine is slow, and what looks at a child every now and then still does.
    """
    return MockClock(rate=1 / 60)
