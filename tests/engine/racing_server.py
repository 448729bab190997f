"""The race of keep-alive, made certain: what a client sends does not arrive before the server closes."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_harness import OK_ANSWER, Handler, read_request

FILTERS = sys.platform == "linux"
needs_filters = pytest.mark.skipif(not FILTERS, reason="this machine's kernel is no Linux")

_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # of asm-generic/socket.h
_NOTHING = struct.pack("=HBBI", 6, 0, 0, 0)  # classic BPF: return 0, which drops whatever comes
_PRESENT = ("01", "08")  # states of a connection in /proc/net/tcp that its end has not closed
_PATIENCE_S = 30.0


def deafen(sock: socket.socket) -> None:
    """From now on nothing arrives that is sent to it: to its peer it is as if it were on its way."""
    if FILTERS:
        program = ctypes.create_string_buffer(_NOTHING, len(_NOTHING))
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


def await_leave(sock: socket.socket) -> None:
    """Until the peer of a deafened connection has closed it; then it hears that."""
    if FILTERS:
        _wait(lambda: _peer(sock)[0] not in _PRESENT)
        sock.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)  # or kernels would try for minutes


def await_request(sock: socket.socket) -> None:
    """Until something is on its way to a deafened connection."""
    _wait(lambda: _peer(sock)[1] > 0)


def end(sock: socket.socket) -> None:
    """Close a deafened connection."""
    sock.shutdown(socket.SHUT_RDWR)
    await_leave(sock)
    sock.close()


def ending_as_the_next_comes(answer: bytes = OK_ANSWER) -> Handler:
    """Answers once, and closes the connection while the next request is on its way to it."""

    def handler(sock: socket.socket) -> None:
        if read_request(sock):
            deafen(sock)
            sock.sendall(answer)
            await_request(sock)
            end(sock)

    return handler


def _peer(sock: socket.socket) -> tuple[str, int]:
    """State of the other end, which is on this machine, and how many bytes of it are not acknowledged."""
    places = [f":{end[1]:04X}" for end in (sock.getpeername(), sock.getsockname())]
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if local.endswith(places[0]) and remote.endswith(places[1]):
            return state, int(queues.partition(":")[0], 16)
    return "", 0


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the client neither sent anything nor left")
        time.sleep(0.001)
