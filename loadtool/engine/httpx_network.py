"""Network of the transport `httpx`: opens connections for httpcore as the reactor opens its own.

httpcore takes any network backend. This one knows the worker's addresses, whatever httpcore asks for.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from time import monotonic_ns as clock
from typing import Any

import httpcore
import trio

from loadtool.engine.addresses import Address, Addresses
from loadtool.engine.dialler import Dialler
from loadtool.engine.failures import CONNECTING
from loadtool.engine.httpx_stream import Stream, Unreachable
from loadtool.measure.outcome import H_CONNECT, H_TLS


class Network(httpcore.AsyncNetworkBackend):
    """Opens the connections of a worker. Where they go is known here, whatever httpcore asks for."""

    def __init__(
        self, addresses: Addresses, dialler: Dialler, *, server_name: str, http2: bool, proxied: bool
    ) -> None:
        """`http2`: nothing else is spoken with the target; `proxied`: a proxy of HTTP/1.1 is before it."""
        self.dialler = dialler
        self.server_name = server_name
        self.http2 = http2
        self.proxied = proxied
        self.tried: Address | None = None  # the last one
        self._addresses = addresses

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        """A connection to the next address that accepts it. Raises Unreachable."""
        return await self._dial()

    async def open(self, tls: ssl.SSLContext | None, note: Callable[[int, int], None]) -> Stream:
        """A connection for whoever needs one first, with this TLS. Raises Unreachable.

        `note` is told how long each stage took: its histogram's code, and ns.
        """
        began = clock()
        stream = await self._dial()
        stream.dialled_for = clock() - began
        note(H_CONNECT, stream.dialled_for)
        if tls is not None:
            began = clock()
            stream = await stream.start_tls(tls)
            note(H_TLS, clock() - began)
        stream.spare = True
        return stream

    async def _dial(self) -> Stream:
        tried: list[Address] = []
        while True:
            address = self._addresses.pick(clock(), tried)
            assert address is not None
            tried.append(address)
            self.tried = address
            sock: trio.socket.SocketType | None = None
            try:
                raw = self.dialler.new_socket(address)
                sock = trio.socket.from_stdlib_socket(raw)
                if address.family == socket.AF_UNIX:
                    raw.connect(address.sockaddr)  # at once or not at all; trio would take EAGAIN for a yes
                else:
                    await sock.connect(address.sockaddr)
            except (OSError, MemoryError) as e:
                if sock is not None:
                    sock.close()
                failure = self.dialler.failure(e, CONNECTING, address, clock())
                if failure.local or len(tried) >= len(self._addresses):
                    raise Unreachable(failure) from None
            except BaseException:
                if sock is not None:
                    sock.close()
                raise
            else:
                self.dialler.came_about()
                http2 = self.http2 and not self.proxied
                return Stream(self, sock, trio.SocketStream(sock), address, http2=http2)


class Given(httpcore.AsyncNetworkBackend):
    """A network of one connection, which is open already."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Stream:
        return self._stream
