"""The whole demo service: its store and its HTTP server, wired together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import trio

from loadtool.processes import raise_file_limit
from loadtool.target.breaker import make_pool
from loadtool.target.connection import Limits, serve_connection
from loadtool.target.pace import Pacer
from loadtool.target.pool import StorePool
from loadtool.target.service import Service
from loadtool.target.settings import Settings, parse_address
from loadtool.target.sockets import Door, listen, port_of
from loadtool.target.store import serve_store
from loadtool.units import SECOND, format_address

_STORE_HOST = "127.0.0.1"
_PROBE_CONNECTIONS = 2


class Demo:
    """A running demo service."""

    def __init__(self, url: str, store: str, pools: tuple[StorePool, ...]) -> None:
        self.url = url
        self.store = store  # HOST:PORT of the built-in store itself
        self._pools = pools

    async def rewire(self, address: str) -> str:
        """Reach the store at HOST:PORT from now on, such as a proxy in front of it.

        Returns the address. Raises ValueError.
        """
        address = format_address(*parse_address(address))
        for pool in self._pools:
            await pool.rewire(address)
        return address


async def serve(settings: Settings, *, task_status: trio.TaskStatus[Demo] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; started with a `Demo` when ready. Raises SetupError if a port is not free."""
    raise_file_limit()
    async with AsyncExitStack() as open_listeners:
        store_listeners = await listen(_STORE_HOST, settings.store_port, "--store-port")
        for listener in store_listeners:
            await open_listeners.enter_async_context(listener)
        listeners = await listen(settings.host, settings.port, "--port")
        for listener in listeners:
            await open_listeners.enter_async_context(listener)
        own_store = format_address(_STORE_HOST, port_of(store_listeners))
        url = f"http://{format_address(settings.host, port_of(listeners))}"

        pacer = Pacer()
        door, store_door = Door(), Door()
        pools = _pools(settings, settings.store or own_store)
        service = Service(settings, *pools, pacer=pacer, more_stats=door.stats)
        serve_client = partial(serve_connection, app=service, limits=_limits(settings))
        serve_caller = partial(serve_store, pacer=pacer, store_time_s=settings.store_time_ns / SECOND)
        async with trio.open_nursery() as nursery:
            for listener in store_listeners:
                nursery.start_soon(store_door.keep, listener, serve_caller, nursery)
            for listener in listeners:
                nursery.start_soon(door.keep, listener, serve_client, nursery)
            task_status.started(Demo(url, own_store, pools))


def _pools(settings: Settings, address: str) -> tuple[StorePool, StorePool]:
    """For the service's own calls, and for probes, which must not wait behind those."""
    timeout_s = settings.store_timeout_ns / SECOND
    probe = StorePool(address, connections=_PROBE_CONNECTIONS, timeout_s=timeout_s)
    return make_pool(settings, address), probe


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_body_bytes=settings.max_body_bytes,
        read_timeout_s=settings.read_timeout_ns / SECOND,
        send_timeout_s=settings.send_timeout_ns / SECOND,
        idle_timeout_s=settings.idle_timeout_ns / SECOND,
        cancel_when_client_leaves=settings.client_leaves == "cancel",
    )
