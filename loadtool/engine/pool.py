"""Pool: the connections of a worker, within the bounds that the profile sets: how many, and how fast."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from loadtool.engine.addresses import Address
from loadtool.engine.connection import BUSY, CLOSED, IDLE, Arrival, Connection
from loadtool.engine.dialler import Dialler, Failure
from loadtool.engine.feed import FAR
from loadtool.engine.pace import Pace
from loadtool.engine.poller import Poller


class Pool:
    """Opens, keeps and closes connections; knows nothing of what goes over them."""

    def __init__(
        self,
        dialler: Dialler,
        poller: Poller,
        *,
        limit: int,
        patience_ns: int,
        pace: Pace,
        reconnect_at: Sequence[int] = (),
    ) -> None:
        """`patience_ns`: for a dial that is for whoever needs it first; what a first attempt has that is
        due when the dial begins: one that began late for its own arrival may still serve those behind, and
        one that is stuck does not keep them from a better one.

        `reconnect_at`: when all are closed and opened again, in ns.
        """
        self.by_fd: list[Connection | None] = []  # a kernel gives the lowest descriptor that is free
        self.size = 0  # connections
        self.busy = 0  # with a request under way
        self.dialling = 0  # being opened, for whoever has waited longest
        self.promised = 0  # being opened, for one arrival alone
        self._dialler = dialler
        self._poller = poller
        self._limit = limit
        self._patience = patience_ns
        self._pace = pace
        self._reconnect_at = sorted(reconnect_at, reverse=True)
        self._to_reopen = 0
        self._idle: list[Connection] = []  # a stack; closed ones are dropped when they come up
        self._idle_closed = 0
        self._expiry: list[tuple[int, int, Connection]] = []
        self._expiry_key = 0

    # Idle ones

    def take_idle(self) -> Connection | None:
        """The one that was used last, if any is idle."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.state == IDLE:
                return connection
            self._idle_closed -= 1
        return None

    def has_idle(self) -> bool:
        return len(self._idle) > self._idle_closed

    def put_idle(self, connection: Connection) -> None:
        connection.state = IDLE
        connection.arrival = None
        connection.deadline = FAR
        self._idle.append(connection)

    # Opening and closing

    def places(self) -> int:
        """How many more connections there may be."""
        return self._limit - self.size

    def may_open(self, now: int) -> bool:
        """Whether a connection may be opened now; it is then counted as opened."""
        if self.size >= self._limit or now < self._dialler.not_before or now < self._pace.next:
            return False
        self._pace.opened(now)
        return True

    def open_new(self, now: int, arrival: Arrival | None, tried: list[Address]) -> Connection | Failure:
        """Begin to connect. `arrival`: the only one that may use the connection; None: anyone."""
        found = self._dialler.dial(now, arrival, tried)
        if isinstance(found, Failure):
            return found
        self._enter(found)
        if arrival is None:
            self.dialling += 1
            found.deadline = now + self._patience
        else:
            self.promised += 1
            found.deadline = arrival.give_up
        self.watch(found)
        return found

    def opened(self, connection: Connection) -> None:
        """It is ready for use."""
        if connection.arrival is None:
            self.dialling -= 1
        else:
            self.promised -= 1
        connection.state = BUSY
        self.busy += 1

    def all(self) -> list[Connection]:
        """Those that are not closed."""
        return [connection for connection in self.by_fd if connection is not None]

    def _enter(self, connection: Connection) -> None:
        missing = connection.fd + 1 - len(self.by_fd)
        if missing > 0:
            self.by_fd += [None] * missing
        self.by_fd[connection.fd] = connection
        self.size += 1

    def close(self, connection: Connection) -> None:
        state = connection.state
        if state == BUSY:
            self.busy -= 1
        elif state == IDLE:
            self._idle_closed += 1
        elif connection.arrival is None:
            self.dialling -= 1
        else:
            self.promised -= 1
        connection.state = CLOSED
        assert self.by_fd[connection.fd] is connection
        self.by_fd[connection.fd] = None
        self.size -= 1
        self._poller.forget(connection.fd)
        connection.sock.close()
        connection.answer.close()
        connection.arrival = None  # it may lie in the heap until its deadline
        connection.rest = b""
        if len(self._expiry) > 64 + 2 * self.size:
            self._expiry[:] = [entry for entry in self._expiry if entry[2].state != CLOSED]
            heapq.heapify(self._expiry)
        if self._idle_closed > 64 and 2 * self._idle_closed > len(self._idle):
            self._idle = [c for c in self._idle if c.state == IDLE]
            self._idle_closed = 0

    def retire(self, connection: Connection) -> None:
        """Close one whose turn to be opened anew has come."""
        self.close(connection)
        self._to_reopen += 1

    def reconnect(self, now: int) -> None:
        """At its moment, close every connection and open as many again; a busy one first gets its answer."""
        while self._reconnect_at and self._reconnect_at[-1] <= now:
            self._pace.all_at(self._reconnect_at.pop())
            for connection in self.all():
                if connection.state == IDLE:
                    self.retire(connection)
                elif connection.state == BUSY:
                    connection.retired = True

    def reopen(self, now: int) -> Iterator[Connection | Failure]:
        """Open what `reconnect` has closed, as far as it may be opened now."""
        while self._to_reopen and self.may_open(now):
            self._to_reopen -= 1
            yield self.open_new(now, None, [])

    # Time

    def watch(self, connection: Connection) -> None:
        """See to its deadline: one entry a connection, renewed once it comes up or is too late."""
        connection.watched = connection.deadline
        self._expiry_key += 1
        heapq.heappush(self._expiry, (connection.deadline, self._expiry_key, connection))

    def expired(self, now: int) -> Iterator[Connection]:
        """Those whose deadline has come."""
        expiry = self._expiry
        while expiry and expiry[0][0] <= now:
            moment, _, connection = heapq.heappop(expiry)
            if moment != connection.watched:
                continue  # an earlier entry has taken its place
            connection.watched = FAR
            if connection.state == CLOSED or connection.deadline == FAR:
                continue
            if connection.deadline > now:
                self.watch(connection)
            else:
                yield connection

    def next_event(self, waiting: int) -> int:
        """When something is to be done next, with so many arrivals that wait for a connection."""
        wake = self._expiry[0][0] if self._expiry else FAR
        if (self.dialling < waiting or self._to_reopen) and self.size < self._limit:
            wake = min(wake, max(self._dialler.not_before, self._pace.next))
        return min(wake, self._reconnect_at[-1]) if self._reconnect_at else wake
