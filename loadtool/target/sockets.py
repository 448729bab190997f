"""Listening: sockets and the accept loop."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from loadtool.errors import SetupError
from loadtool.units import format_address

_log = logging.getLogger(__name__)

Connection = TypeVar("Connection", bound=trio.abc.AsyncResource)

# Out of a local resource. It may come back as connections close; meanwhile clients wait in the backlog.
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_SHORTAGE_PAUSE_S = 0.1


async def listen(host: str, port: int, option: str) -> list[trio.SocketListener]:
    """Listeners for every address of the host; with port 0 for its first alone, so that there is one port.

    Raises SetupError; `option` is what the user can change about the port.
    """
    try:
        listeners = list(await trio.open_tcp_listeners(port, host=host))
    except UnicodeError as e:  # a name that no name of a host can be
        raise SetupError(f"cannot listen on {format_address(host, port)}: {e}; choose another --host") from e
    except OSError as e:
        where = format_address(host, port)
        of_the_host = isinstance(e, socket.gaierror) or e.errno == errno.EADDRNOTAVAIL
        changed = "--host" if of_the_host else option
        raise SetupError(f"cannot listen on {where}: {e.strerror or e}; choose another {changed}") from e
    if port == 0:
        for other in listeners[1:]:
            await other.aclose()
        del listeners[1:]
    return listeners


def port_of(listeners: list[trio.SocketListener]) -> int:
    """The port that they listen on."""
    port: int = listeners[0].socket.getsockname()[1]
    return port


class Door:
    """Accepts connections and counts them."""

    def __init__(self) -> None:
        self.open = 0
        self.accepted = 0
        self.shortages = 0  # times that accepting paused for want of files or memory

    def stats(self) -> dict[str, int]:
        return {"connections": self.open, "accepted": self.accepted, "accept_pauses": self.shortages}

    async def keep(
        self,
        listener: trio.abc.Listener[Connection],
        serve: Callable[[Connection], Awaitable[None]],
        nursery: trio.Nursery,
    ) -> None:
        """Accept for ever, serving each connection in a task of the nursery."""

        async def one(stream: Connection) -> None:
            try:
                await serve(stream)
            except Exception:  # a mistake of ours, of whatever kind: the other connections go on
                _log.exception("a connection failed")
            finally:
                self.open -= 1

        while True:
            try:
                stream = await listener.accept()
            except OSError as e:
                if e.errno not in _SHORTAGES:
                    raise
                self.shortages += 1
                await trio.sleep(_SHORTAGE_PAUSE_S)
                continue
            self.accepted += 1
            self.open += 1
            nursery.start_soon(one, stream)
