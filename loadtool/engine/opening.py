"""Opening: arrivals that wait for a connection, and the connections that are opened for them.

They wait in `pending`, in the order in which they give up, which is that of their due times; each of them has
a connection opened for it while the limit allows, and whichever connection is free first takes the first one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import monotonic_ns as clock
from typing import Final

from loadtool.engine.addresses import Address
from loadtool.engine.connection import BUSY, CONNECTING, HANDSHAKING, Arrival, Connection
from loadtool.engine.dialler import Dialler, Failure
from loadtool.engine.failures import NOT_NOW
from loadtool.engine.ledger import Ledger
from loadtool.engine.pending import Pending
from loadtool.engine.poller import READ
from loadtool.engine.pool import Pool
from loadtool.measure.outcome import H_CONNECT, H_TLS

RESUMED_A_TURN: Final = 64  # retries that begin; then others get their turn


class Opening(ABC):
    """Who waits for a connection, and what becomes of those that are being opened."""

    def __init__(self, pool: Pool, dialler: Dialler, ledger: Ledger) -> None:
        self.pool = pool
        self.pending = Pending()
        self._dialler = dialler
        self._ledger = ledger

    @abstractmethod
    def _send(self, connection: Connection, arrival: Arrival, now: int) -> None:
        """Send the arrival over a connection that is ready and counted as busy."""

    @abstractmethod
    def _hear(self, connection: Connection) -> None:
        """Take what its peer said early: in one segment with the last words of its handshake."""

    # From due to sent

    def _expire_pending(self, now: int) -> None:
        pending = self.pending
        while pending.size and pending.at(0).give_up <= now:
            arrival = pending.take()
            self._ledger.unsent(arrival, now, self._why_unsent(arrival))

    def _resume(self, now: int) -> None:
        """Begin the next attempts that are due."""
        ledger = self._ledger
        for _ in range(RESUMED_A_TURN):
            arrival = ledger.next_attempt(now)
            if arrival is None:
                return
            connection = self.pool.take_idle() if not self.pending.size else None
            if connection is not None:
                ledger.settle_wait(arrival, now)
                connection.state = BUSY
                self.pool.busy += 1
                self._send(connection, arrival, now)
                continue
            self.pending.insert(arrival)
            ledger.waits(arrival, self.pending.at(0))
            self._dial_for_pending(now)

    def _dial_for_pending(self, now: int) -> None:
        pending = self.pending
        pool = self.pool
        while pool.dialling < pending.size and pool.may_open(now):
            begun = pool.open_new(now, None, [])
            if isinstance(begun, Connection):
                arrival = pending.at(pool.dialling - 1)
                arrival.dialled = arrival.dialled or now
            elif begun.outcome == NOT_NOW:
                self._turned_away(now)
            self._begun(begun, None, now)
            now = clock()

    def _turned_away(self, now: int) -> None:
        """The target has no room for another connection: all that have a place here wait for that now.

        So would they in the kernel, if connections were made with calls that block.
        """
        pending, pool = self.pending, self.pool
        for i in range(min(pending.size, pool.dialling + pool.places()) - 1, pool.dialling - 1, -1):
            arrival = pending.at(i)
            if arrival.dialled:
                return
            arrival.dialled = now

    def _why_unsent(self, arrival: Arrival) -> str:
        if self._dialler.lacking:
            return f"this machine could open no connection: {self._dialler.lacking}"
        if arrival.dialled:
            return self._dialler.why_not_ready()
        return "no connection was free before the timeout"

    def _take_pending(self, connection: Connection, now: int, turn: int) -> None:
        """Give a connection that has become free to whoever has waited longest, else to the stack.

        `turn`: since when it could have been free, had the loop been quicker.
        """
        pending = self.pending
        while pending.size:
            arrival = pending.take()
            if arrival.give_up <= now:
                self._ledger.unsent(arrival, now, self._why_unsent(arrival))
                continue
            self._ledger.settle_wait(arrival, turn)
            self._send(connection, arrival, now)
            return
        self.pool.busy -= 1
        self.pool.put_idle(connection)

    def _open(self, now: int, arrival: Arrival | None, tried: list[Address]) -> None:
        self._begun(self.pool.open_new(now, arrival, tried), arrival, now)

    def _open_anew(self, now: int, arrival: Arrival) -> None:
        """Open a connection for one that another has failed.

        If none may be opened yet it waits with the others, for whichever is free first.
        """
        if self.pool.may_open(now):
            self._open(now, arrival, [])
            return
        arrival.dialled = 0
        self.pending.insert(arrival)

    def _use_idle(self, now: int) -> None:
        """Let nobody wait while connections are idle, as they may be when one waits whose own has failed."""
        while self.pending.size:
            connection = self.pool.take_idle()
            if connection is None:
                return
            connection.state = BUSY
            self.pool.busy += 1
            self._take_pending(connection, now, now)

    def _begun(self, begun: Connection | Failure, arrival: Arrival | None, now: int) -> None:
        if isinstance(begun, Failure):
            self._dial_failed(begun, arrival, now)
        elif begun.made:
            self._connected(begun)

    def _dial_failed(self, failure: Failure, arrival: Arrival | None, now: int) -> None:
        """Somebody pays for it: the arrival it was for, else the one that has waited longest."""
        if failure.local:
            if arrival is not None:
                self.pending.put_back(arrival)  # not the target's fault: it waits on
            return
        if arrival is None and self.pending.size:
            arrival = self.pending.take()
        if arrival is not None:
            self._ledger.unreachable(arrival, now, failure.outcome, failure.detail)

    def _connected(self, connection: Connection) -> None:
        now = clock()
        failure = self._dialler.connected(connection, now)
        if failure is not None:
            arrival = connection.arrival
            again = not failure.local and connection.state == CONNECTING
            self.pool.close(connection)
            if again and self._dialler.others_left(connection):
                self._open(now, arrival, connection.tried)
            else:
                self._dial_failed(failure, arrival, now)
            return
        self._record_stage(connection, H_CONNECT, now - connection.connect_begun)
        if connection.state == HANDSHAKING:
            self._handshake(connection)
        else:
            # One that was there at once was its arrival's turn when the loop got round to it.
            self._opened(connection, now, connection.connect_begun if connection.made else now)

    def _handshake(self, connection: Connection) -> None:
        now = clock()
        done = self._dialler.handshake(connection, now)
        if isinstance(done, Failure):
            arrival = connection.arrival
            self.pool.close(connection)
            self._dial_failed(done, arrival, now)
        elif done:
            now = clock()
            self._record_stage(connection, H_TLS, now - connection.begun)
            self._opened(connection, now, now)
            if connection.tls is not None and connection.tls.unheard():
                self._hear(connection)

    def _record_stage(self, connection: Connection, code: int, length: int) -> None:
        arrival = connection.arrival
        if arrival is None and self.pending.size:
            arrival = self.pending.at(0)
        if arrival is not None:
            arrival.cell.touched = True
            arrival.cell.record(code, length)

    def _opened(self, connection: Connection, now: int, turn: int) -> None:
        self._dialler.want(connection, READ)
        arrival = connection.arrival
        self.pool.opened(connection)
        if arrival is None:
            self._take_pending(connection, now, turn)
        else:
            self._send(connection, arrival, now)
