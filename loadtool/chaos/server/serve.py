"""The embedded Toxiproxy as one async function."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial

import trio

from loadtool.chaos.server import address, http
from loadtool.chaos.server.api import Api
from loadtool.chaos.server.collection import Collection
from loadtool.chaos.server.loop import Loop
from loadtool.errors import SetupError
from loadtool.processes import raise_file_limit
from loadtool.units import format_address


async def serve(
    host: str,
    port: int,
    *,
    seed: int | None = None,
    proxy_metrics: bool = False,
    on_shortage: Callable[[str], None] = lambda _: None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve Toxiproxy's API on `host`:`port` (0: any free one) until cancelled, then close all proxies.

    Reports the API's URL when it is ready. `seed` makes toxicity and jitter repeatable. `proxy_metrics` adds
    `/metrics`. `on_shortage` is told the name (EMFILE) of what proxies lack, each time. Raises SetupError if
    it cannot listen there.
    """
    raise_file_limit()  # each connection through a proxy takes two
    try:
        where = await address.resolve(format_address(host, port))
        listener = address.listen(where)
    except address.AddressError as e:
        raise SetupError(f"toxiproxy: cannot listen on {host}:{port}: {e}") from None
    with closing(Loop()) as loop, listener:
        await _serve(loop, listener, host, seed, proxy_metrics, on_shortage, task_status)


async def _serve(
    loop: Loop,
    listener: socket.socket,
    host: str,
    seed: int | None,
    proxy_metrics: bool,
    on_shortage: Callable[[str], None],
    task_status: trio.TaskStatus[str],
) -> None:
    async with trio.open_nursery() as nursery:
        collection = Collection(loop, nursery, seed, on_shortage)
        api = Api(collection, host, proxy_metrics=proxy_metrics)
        nursery.start_soon(loop.run)
        try:
            bound = address.bound(listener)
            task_status.started(f"http://{bound}")
            await trio.serve_listeners(
                partial(http.serve_connection, answer=api.answer),
                [trio.SocketListener(trio.socket.from_stdlib_socket(listener))],
            )
        finally:
            collection.close()
