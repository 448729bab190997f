"""The exporter: an HTTP server in the coordinator that answers Prometheus while a run lasts."""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from typing import Final

import trio

from loadtool.chaos.server import address
from loadtool.chaos.server.http import Answer, Request, serve_connection
from loadtool.errors import UsageError, got
from loadtool.measure.snapshot import Snapshot
from loadtool.report import prometheus
from loadtool.report.stage import Stage

LOOPBACK: Final = "127.0.0.1"
MOST_CLIENTS: Final = 16  # at a time; whoever else comes is turned away
PATH: Final = "/metrics"
_PLAIN: Final = "text/plain; charset=utf-8"


def place_of(text: str) -> tuple[str, int]:
    """Host and port of `9464`, `HOST:PORT` or `[IPv6]:PORT`. Raises ValueError."""
    want = "a port such as 9464, or HOST:PORT"
    try:
        host, port = address.split(text if ":" in text else f"{LOOPBACK}:{text}")
    except address.AddressError:
        raise ValueError(got(text, want)) from None
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError(got(text, want))
    return host, int(port)


class Exporter:
    """What is observed is answered from the moment of `bind` on, while `serve` runs.

    `observe` may be called from any thread.
    """

    def __init__(self, listener: socket.socket) -> None:
        """`listener`: see `bind`; closed by `close`, and by the end of `serve`."""
        self._listener = listener
        self._state = prometheus.State()
        self._clients = 0

    @classmethod
    def bind(cls, host: str, port: int) -> Exporter:
        """An exporter that listens there (port 0: any free one). Raises UsageError if it cannot."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.sort(key=lambda f: f[0] != socket.AF_INET)
            return cls(address.listen(address.Address(str(found[0][4][0]), port)))
        except (OSError, UnicodeError):
            raise UsageError(f"--prometheus: {got(host, 'a host of this machine')}") from None
        except address.AddressError as e:
            reason = str(e).rpartition(": ")[2]
            raise UsageError(
                f"--prometheus: cannot listen on {host}:{port}: {reason}; choose another port, 0 for any"
            ) from None

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http://{address.bound(self._listener)}{PATH}"

    def begin(self, stage: Stage) -> None:
        """A load is about to start."""
        self._state = prometheus.State(stage)

    def observe(self, now: Snapshot, active_faults: Collection[str]) -> None:
        """What is known now; `active_faults` by name."""
        self._state = prometheus.State(self._state.stage, now, frozenset(active_faults))

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._listener.close()

    async def serve(self) -> None:
        """Answer until cancelled."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._listener))
        await trio.serve_listeners(self._serve_client, [listener])

    async def _serve_client(self, stream: trio.SocketStream) -> None:
        if self._clients >= MOST_CLIENTS:
            await trio.aclose_forcefully(stream)
            return
        self._clients += 1
        try:
            await serve_connection(stream, self._answer)
        finally:
            self._clients -= 1

    async def _answer(self, request: Request) -> Answer:
        if request.method not in ("GET", "HEAD"):
            allowed = {"Allow": "GET, HEAD"}
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, _PLAIN, b"want GET\n", allowed)
        if request.target.partition("?")[0] != PATH:
            return Answer(HTTPStatus.NOT_FOUND, _PLAIN, f"want {PATH}\n".encode())
        # In a thread: the faults are on this one's clock.
        accept = ",".join(value for name, value in request.headers if name == "accept")
        kind, body = await trio.to_thread.run_sync(partial(prometheus.render, self._state, accept))
        return Answer(HTTPStatus.OK, kind, body)
