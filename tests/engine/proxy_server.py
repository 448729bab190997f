"""A small HTTP proxy for the harness's `Server`: forwards plain HTTP and tunnels CONNECT, over sockets."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from engine_harness import read_request


@dataclass(slots=True)
class Proxied:
    """What the proxy was asked, request line and headers, in order."""

    heads: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [head.split("\r\n")[0] for head in self.heads]


def proxying(
    port: int, seen: Proxied, *, user: str | None = None, answer: bytes | None = None, ponders_s: float = 0.0
) -> Callable[[socket.socket], None]:
    """A handler that leads everything to this port of 127.0.0.1, whatever host was named.

    `user`: "name:password" that a request must have; `answer`: to every request, instead of obeying it;
    `ponders_s`: for so long over each CONNECT, in seconds.
    """
    wanted = f"Basic {base64.b64encode(user.encode()).decode()}" if user is not None else None

    def handler(sock: socket.socket) -> None:
        behind: socket.socket | None = None
        while request := read_request(sock):
            head = request.partition(b"\r\n\r\n")[0].decode()
            seen.heads.append(head)
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
            if answer is not None:
                sock.sendall(answer)
                return
            if wanted is not None and fields.get("proxy-authorization") != wanted.lower():
                sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            behind = behind or socket.create_connection(("127.0.0.1", port))
            if head.startswith("CONNECT "):
                time.sleep(ponders_s)
                sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _tunnel(sock, behind)
                return
            behind.sendall(request)
            sock.sendall(behind.recv(65536))  # answers of these tests are small, and come in one piece

    return handler


def _tunnel(one: socket.socket, other: socket.socket) -> None:
    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=pump, args=(other, one), daemon=True)
    back.start()
    pump(one, other)
    back.join(5)
