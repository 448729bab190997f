"""What a server may do to a client, one behaviour each. A behaviour takes over when a request's head is in.

Those that go on for ever end when the client leaves, as then a send fails. What a behaviour leaves open is
read from, as if nothing had happened. Those that end a connection hear nothing that the client sends after
their words, however long they take: it is not known to anybody, and they have not closed upon a request.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress

from engine_harness import Handler
from racing_server import await_leave, deafen, end

LINGER_NOT = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # l_onoff 1, l_linger 0: a close is a reset
BLOCK = 64 * 1024
PAUSE_S = 0.002  # between blocks: 32 MB/s, so that the server leaves the processor to the client
DRIP_S = 0.05


def read_head(sock: socket.socket) -> bytes:
    """A request's head, and what of its body came along; b"" when the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(1024)
        if not more:
            return b""
        data += more
    return data


def hold(sock: socket.socket) -> None:
    """Read until the client leaves."""
    while sock.recv(BLOCK):
        pass


def stop_reading(sock: socket.socket) -> None:
    """Neither read nor write nor close, until the server ends."""
    while sock.fileno() >= 0:
        time.sleep(DRIP_S)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    sock.close()


def resets_while_more_comes(sock: socket.socket) -> None:
    """Once the peer waits for room to send: its write is what will meet the reset."""
    time.sleep(DRIP_S)
    reset(sock)


def says(*parts: bytes) -> Handler:
    def behave(sock: socket.socket) -> None:
        for part in parts:
            sock.sendall(part)

    return behave


def says_and_holds(*parts: bytes) -> Handler:
    """Says this and takes whatever comes, until the client leaves."""

    def behave(sock: socket.socket) -> None:
        for part in parts:
            sock.sendall(part)
        hold(sock)

    return behave


def says_and_closes(*parts: bytes) -> Handler:
    def behave(sock: socket.socket) -> None:
        deafen(sock)
        for part in parts:
            sock.sendall(part)
        end(sock)

    return behave


def says_and_ends_tls(*parts: bytes) -> Handler:
    """Says this and then close_notify, as TLS wants it."""

    def behave(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        deafen(sock)
        for part in parts:
            sock.sendall(part)
        sock.setblocking(False)
        with suppress(ssl.SSLWantReadError):  # as the client's own has not come
            sock.unwrap()
        await_leave(sock)
        sock.close()

    return behave


def says_under_tls(beginning: bytes, junk: bytes) -> Handler:
    """Says the beginning through TLS, and then this past it."""

    def behave(sock: socket.socket) -> None:
        deafen(sock)
        sock.sendall(beginning)
        with socket.socket(fileno=os.dup(sock.fileno())) as raw:
            raw.sendall(junk)
        await_leave(sock)

    return behave


def says_and_resets(data: bytes) -> Handler:
    def behave(sock: socket.socket) -> None:
        deafen(sock)
        sock.sendall(data)
        time.sleep(DRIP_S)  # what the client has not read yet may be lost to a reset
        reset(sock)

    return behave


def goes_on(beginning: bytes, block: bytes, blocks: Iterable[int] | None = None) -> Handler:
    """Says the beginning and then the block again and again, for ever if it is not said how often."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(beginning)
        for _ in blocks if blocks is not None else iter(int, 1):
            sock.sendall(block)
            time.sleep(PAUSE_S)

    return behave


def drips(beginning: bytes, byte: bytes) -> Handler:
    """Says the beginning and then one byte every now and then, for ever."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(beginning)
        while True:
            sock.sendall(byte)
            time.sleep(DRIP_S)

    return behave
