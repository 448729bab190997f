"""Dialler: opens connections without blocking, up to and including the TLS handshake."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtool.engine import connection as state
from loadtool.engine.addresses import Address, Addresses
from loadtool.engine.connection import RECEIVE, Arrival, Connection
from loadtool.engine.failures import (
    CONNECTING,
    FULL_QUEUE,
    HANDSHAKING,
    LOCAL,
    NOT_NOW,
    classify,
    describe,
    local_name,
)
from loadtool.engine.poller import READ, WRITE, Poller
from loadtool.engine.sources import NO_WAY, Sources
from loadtool.engine.stamps import ask_for
from loadtool.engine.tls_stream import TlsStream

BACK_OFF_NS: Final = 50_000_000  # before the next dial, after a resource of this machine ran out
SOON_NS: Final = 5_000_000  # before the next try at a unix-domain socket whose queue is full
# As numbers and by themselves: those of the module are looked up at each use, and are objects to compare.
_INTERNET: Final = frozenset((int(socket.AF_INET), int(socket.AF_INET6)))
_NONBLOCK: Final = int(getattr(socket, "SOCK_NONBLOCK", 0))  # made so at once, where there is such a thing
_KIND: Final = int(socket.SOCK_STREAM) | _NONBLOCK
_IPPROTO_TCP: Final = int(socket.IPPROTO_TCP)
_TCP_NODELAY: Final = int(socket.TCP_NODELAY)
_SOL_SOCKET: Final = int(socket.SOL_SOCKET)
_SO_ERROR: Final = int(socket.SO_ERROR)
_EINPROGRESS: Final = int(errno.EINPROGRESS)
_EALREADY: Final = int(errno.EALREADY)
_EISCONN: Final = int(errno.EISCONN)
# Linux: to connect again tells how the first time went. Others report it in ways of their own.
_TELLS_AGAIN: Final = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Failure:
    """A connection that did not come about: outcome code and words. `local`: the target is not to blame."""

    outcome: int
    detail: str

    @property
    def local(self) -> bool:
        return self.outcome in (LOCAL, NOT_NOW)


class Dialler:
    """Connects to the addresses in turn; a refused one gives way to the next before anybody is told."""

    def __init__(
        self,
        addresses: Addresses,
        poller: Poller,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        source: Sequence[str] = (),
        new_socket: Callable[[int, int], socket.socket] = socket.socket,
    ) -> None:
        """`source`: local addresses that connections leave from, in turn. `new_socket`: makes them all."""
        self.not_before = 0  # no dial before this moment: something ran out
        self.local: dict[str, int] = {}  # what ran out, how often; since the last frame
        self.lacking = ""  # what ran out, in words, until a connection comes about again
        self.crowded = ""  # whose queue of connections is full, likewise
        self.session: ssl.SSLSession | None = None  # shared: reading it from a socket copies it
        self._addresses = addresses
        self._poller = poller
        self._tls = tls
        self._server_name = server_name
        self._sources = Sources(source)
        self._new_socket = new_socket

    def dial(self, now: int, arrival: Arrival | None, tried: list[Address]) -> Connection | Failure:
        """Begin to connect. `arrival`: the only one that may use the connection; None: anyone.

        On loopback the peer's kernel has answered before `connect` returns, though that says "in progress".
        To ask once more is a system call, and saves three and a turn of the loop for what is so near.
        """
        while True:
            address = self._addresses.pick(now, tried)
            assert address is not None
            tried = [*tried, address]
            sock: socket.socket | None = None
            try:
                sock = self.new_socket(address)
                number = sock.connect_ex(address.sockaddr)
                if number == _EINPROGRESS and _TELLS_AGAIN:
                    number = sock.connect_ex(address.sockaddr)
                made = number == 0 or number == _EISCONN  # as some imitations of Linux put it
                if not made and number != _EINPROGRESS and number != _EALREADY:
                    raise OSError(number, os.strerror(number))
                self._poller.register(sock.fileno(), READ if made else READ | WRITE)
            except (OSError, MemoryError) as e:
                if sock is not None:
                    sock.close()
                failure = self.failure(e, CONNECTING, address, now)
                if failure.local or len(tried) >= len(self._addresses):
                    return failure
                continue
            connection = Connection(sock, address, now)
            connection.tried = tried
            connection.arrival = arrival
            connection.made = made
            connection.writing = not made
            return connection

    def new_socket(self, address: Address) -> socket.socket:
        """A non-blocking socket for this address, bound to the next source. Raises OSError or MemoryError."""
        family = address.family
        sock = self._new_socket(family, _KIND)
        try:
            if not _NONBLOCK:
                sock.setblocking(False)
            if family in _INTERNET:
                sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
                self._sources.bind(sock, family)
        except BaseException:
            sock.close()
            raise
        return sock

    def connected(self, connection: Connection, now: int) -> Failure | None:
        """The connect has ended. None: it worked, and with TLS the handshake has begun."""
        if not connection.made:
            number = connection.sock.getsockopt(_SOL_SOCKET, _SO_ERROR)
            if number:
                return self.failure(OSError(number, ""), CONNECTING, connection.address, now)
        self.came_about()
        connection.stamped = ask_for(connection.sock, connection.address.family)
        if self._tls is None:
            return None
        connection.begun = now
        connection.state = state.HANDSHAKING
        try:
            connection.tls = TlsStream(self._tls, self._server_name, self.session)
        except (OSError, ValueError, MemoryError) as e:
            return self.failure(e, HANDSHAKING, connection.address, now)
        return None

    def others_left(self, connection: Connection) -> bool:
        """Whether an address remains that this dial has not tried."""
        return len(connection.tried) < len(self._addresses)

    def handshake(self, connection: Connection, now: int) -> Failure | bool:
        """Go on with the handshake: True when done, False when it waits for the peer."""
        stream = connection.tls
        assert stream is not None
        try:
            while True:
                try:
                    done = stream.handshake()
                except (OSError, ValueError):
                    with contextlib.suppress(OSError):
                        self.write(connection, stream.unsaid())  # why, for the peer
                    raise
                self.write(connection, stream.unsaid())
                if done:
                    return not connection.rest
                data = connection.sock.recv(RECEIVE)
                if data:
                    stream.receive(data)
                else:
                    stream.end_of_file()
        except BlockingIOError:
            return False
        except (OSError, ValueError, MemoryError) as e:
            return self.failure(e, HANDSHAKING, connection.address, now)

    def said(self, connection: Connection, stream: TlsStream, data: bytes, early: bool) -> bytes:
        """What a peer says with what was read; b"" if it says no more.

        `early`: nothing was, but with the handshake. Raises BlockingIOError if that is nothing yet, another
        OSError or MemoryError.
        """
        while True:
            if not data and not early:
                stream.end_of_file()
            text = stream.said(data)
            answer = stream.unsaid()  # to what TLS itself wanted
            if answer:
                self.write(connection, answer)
            if text or stream.over or not (data or early):
                return text
            if not connection.cut:
                raise BlockingIOError(errno.EAGAIN, "no more than what TLS itself says")
            data, early = connection.sock.recv(RECEIVE), False  # its last words have come, or never will

    def write(self, connection: Connection, data: bytes) -> None:
        """Write this, or what is left of it as soon as the kernel takes it. Raises OSError, MemoryError."""
        data = connection.rest + data
        try:
            n = connection.sock.send(data) if data else 0
        except BlockingIOError:
            n = 0
        connection.rest = data[n:]
        self.want(connection, READ | WRITE if connection.rest else READ)

    def remember_session(self, connection: Connection) -> None:
        """Keep the TLS session of a connection that has had an answer: with TLS 1.3 it comes after one."""
        if connection.tls is not None:
            self.session = connection.tls.fresh_session(self.session)

    def want(self, connection: Connection, flags: int) -> None:
        """Register for these events, if it is not so already."""
        writing = flags & WRITE != 0
        if writing != connection.writing:
            self._poller.modify(connection.fd, flags)
            connection.writing = writing

    def came_about(self) -> None:
        """A connection was made."""
        self.lacking = self.crowded = ""

    def why_not_ready(self) -> str:
        """What kept a connection from being ready in time for the arrival it was opened for, in words."""
        if self.crowded:
            return f"{self.crowded}: the target's queue of connections was full until the timeout"
        return "the connection opened for it was not ready before the timeout"

    def ran_out(self, error: BaseException) -> None:
        """Count a resource of this machine that ran out."""
        self.ran_out_of(local_name(error))

    def ran_out_of(self, name: str) -> None:
        """Count something of this machine, or of the profile, that failed before the target was asked."""
        self.local[name] = self.local.get(name, 0) + 1

    def failure(self, error: BaseException, stage: int, address: Address, now: int) -> Failure:
        """What an error means at this stage. Remembers what it says of the address or of this machine."""
        if isinstance(error, BlockingIOError) and address.family == socket.AF_UNIX:
            self.not_before = now + SOON_NS
            self.crowded = str(address)
            return Failure(NOT_NOW, f"{address}: {FULL_QUEUE}")
        outcome = classify(error, stage)
        in_vain = outcome == LOCAL and stage == CONNECTING
        if in_vain and self._sources.no_way(error, address.family, address.sockaddr):
            self._addresses.failed(address, now)
            return Failure(CONNECTING, f"{address}: {NO_WAY}")
        if outcome == LOCAL:
            self.ran_out(error)
            self.lacking = describe(error)
            self.not_before = now + BACK_OFF_NS
        elif stage == CONNECTING:
            self._addresses.failed(address, now)
        return Failure(outcome, f"{address}: {describe(error)}")
