"""Dialler: opens connections without blocking, up to and including the TLS handshake."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from loadtool.engine import connection as state
from loadtool.engine.addresses import Address, Addresses
from loadtool.engine.connection import Arrival, Connection
from loadtool.engine.failures import CONNECTING, HANDSHAKING, LOCAL, classify, describe, local_name
from loadtool.engine.poller import READ, WRITE, Poller

BACK_OFF_NS: Final = 50_000_000  # before the next dial, after a resource of this machine ran out


@dataclass(frozen=True, slots=True)
class Failure:
    """A connection that did not come about: outcome code and words. `local`: nobody is to blame but us."""

    outcome: int
    detail: str

    @property
    def local(self) -> bool:
        return self.outcome == LOCAL


class Dialler:
    """Connects to the addresses in turn; a refused one gives way to the next before anybody is told."""

    def __init__(
        self,
        addresses: Addresses,
        poller: Poller,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> None:
        self.not_before = 0  # no dial before this moment: something ran out
        self.local: dict[str, int] = {}  # what ran out, how often; since the last frame
        self._addresses = addresses
        self._poller = poller
        self._tls = tls
        self._server_name = server_name

    def dial(self, now: int, arrival: Arrival | None, tried: list[Address]) -> Connection | Failure:
        """Begin to connect. `arrival`: the only one that may use the connection; None: anyone."""
        while True:
            address = self._addresses.pick(now, tried)
            assert address is not None
            tried = [*tried, address]
            sock: socket.socket | None = None
            try:
                sock = socket.socket(address.family, socket.SOCK_STREAM)
                sock.setblocking(False)
                if address.family in (socket.AF_INET, socket.AF_INET6):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    sock.connect(address.sockaddr)
                except BlockingIOError as e:
                    if e.errno != errno.EINPROGRESS:
                        raise
                self._poller.register(sock.fileno(), READ | WRITE)
            except (OSError, MemoryError) as e:
                if sock is not None:
                    sock.close()
                failure = self._failure(e, CONNECTING, address, now)
                if failure.local or len(tried) >= len(self._addresses):
                    return failure
                continue
            connection = Connection(sock, address, now)
            connection.tried = tried
            connection.arrival = arrival
            return connection

    def connected(self, connection: Connection, now: int) -> Failure | None:
        """The connect has ended. None: it worked, and with TLS the handshake has begun."""
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            return self._failure(OSError(number, ""), CONNECTING, connection.address, now)
        if self._tls is None:
            return None
        connection.begun = now
        connection.state = state.HANDSHAKING
        try:
            # Wrapped only now, so that the descriptor and its registration stay the same.
            connection.sock = self._tls.wrap_socket(
                connection.sock, server_hostname=self._server_name, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as e:
            return self._failure(e, HANDSHAKING, connection.address, now)
        return None

    def others_left(self, connection: Connection) -> bool:
        """Whether an address remains that this dial has not tried."""
        return len(connection.tried) < len(self._addresses)

    def handshake(self, connection: Connection, now: int) -> Failure | bool:
        """Go on with the handshake: True when done, False when it waits for the peer."""
        sock = connection.sock
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self.want(connection, READ)
            return False
        except ssl.SSLWantWriteError:
            self.want(connection, READ | WRITE)
            return False
        except (OSError, ValueError) as e:
            return self._failure(e, HANDSHAKING, connection.address, now)
        return True

    def want(self, connection: Connection, flags: int) -> None:
        """Register for these events, if it is not so already."""
        writing = flags & WRITE != 0
        if writing != connection.writing:
            self._poller.modify(connection.fd, flags)
            connection.writing = writing

    def ran_out(self, error: BaseException) -> None:
        """Count a resource of this machine that ran out."""
        self.ran_out_of(local_name(error))

    def ran_out_of(self, name: str) -> None:
        """Count something of this machine, or of the profile, that failed before the target was asked."""
        self.local[name] = self.local.get(name, 0) + 1

    def _failure(self, error: BaseException, stage: int, address: Address, now: int) -> Failure:
        outcome = classify(error, stage)
        if outcome == LOCAL:
            self.ran_out(error)
            self.not_before = now + BACK_OFF_NS
        elif stage == CONNECTING:
            self._addresses.failed(address, now)
        return Failure(outcome, f"{address}: {describe(error)}")
