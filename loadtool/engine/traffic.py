"""Traffic: arrivals on connections, from due to done. Synchronous; the reactor's loop drives it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from loadtool.engine import nonblocking, stamps
from loadtool.engine.aborting import abort_some
from loadtool.engine.connection import (
    BUSY,
    CONNECTING,
    HANDSHAKING,
    IDLE,
    RECEIVE,
    SMALL,
    Arrival,
    Connection,
)
from loadtool.engine.dialler import Dialler
from loadtool.engine.failures import EXCHANGING, LOCAL, classify, describe, ended_by
from loadtool.engine.http1 import ProtocolError
from loadtool.engine.known_answers import KnownAnswers
from loadtool.engine.ledger import TOO_LATE, Ledger
from loadtool.engine.opening import Opening
from loadtool.engine.parts import Exchanges
from loadtool.engine.poller import READ, WRITE, Events
from loadtool.engine.pool import Pool
from loadtool.engine.unacknowledged import reset_at_once, unacknowledged
from loadtool.measure.outcome import PROTOCOL, RESET, TIMEOUT, UNSENT

ROOMIER: Final = 8  # times the room that there was, after an answer that has filled it
# Final, as compiled code looks up what is imported whenever it calls it.
clock: Final = time.monotonic_ns
time_ns: Final = time.time_ns
# Several times as quick as the methods of a socket, which do the same.
_read: Final = nonblocking.read
_write: Final = nonblocking.write
_unacknowledged: Final = unacknowledged


class Traffic(Opening, Exchanges):
    """All connections of a worker. `special` maps its pipes to what to do when they are ready."""

    def __init__(
        self,
        *,
        pool: Pool,
        dialler: Dialler,
        ledger: Ledger,
        heads: Sequence[bool],
        keep_bodies: Sequence[bool],
        repeatable: Sequence[bool],
        keepalive: bool,
    ) -> None:
        """By request: is it a HEAD, does the answer's body matter, and may it be sent twice?"""
        super().__init__(pool, dialler, ledger)
        self.special: dict[int, Callable[[], None]] = {}
        self.render_problem: Callable[[], str] = str  # why an arrival has no data, in words
        self.resent = 0  # requests sent again on a fresh connection; since the last frame
        self._heads = list(heads)
        self._keep_bodies = list(keep_bodies)
        self._repeatable = list(repeatable)
        self._known = [KnownAnswers() for _ in heads]
        self._keepalive = keepalive
        self._at_ease = False

    # What the loop calls

    def launch(self, arrival: Arrival, now: int) -> None:
        """It is due: send it, or let it wait for a connection."""
        ledger = self._ledger
        if not ledger.begin(arrival, now):
            return
        if arrival.give_up <= now:
            ledger.missed(arrival, now, TOO_LATE)
            return
        if not arrival.data:
            self._dialler.ran_out_of("RENDER")
            ledger.missed(arrival, now, self.render_problem())
            return
        connection = self.pool.take_idle() if not self.pending.size else None
        if connection is not None:
            connection.state = BUSY
            self.pool.busy += 1
            self._send(connection, arrival, now)
            arrival.cell.record_at_once(now - arrival.due)
            return
        self.pending.append(arrival)  # nobody overtakes
        ledger.waits(arrival, self.pending.at(0))
        self._dial_for_pending(now)

    def dispatch(self, events: Events, at_ease: bool) -> None:
        """Serve every connection and pipe that is ready.

        `at_ease`: there is time to ask when each answer came.
        """
        self._at_ease = at_ease
        by_fd = self.pool.by_fd
        for fd, flags in events:
            connection = by_fd[fd] if fd < len(by_fd) else None
            if connection is None:
                handler = self.special.get(fd)
                if handler is not None:  # else it was closed earlier in this batch
                    handler()
                continue
            state = connection.state
            if state == BUSY:
                if flags & WRITE and connection.rest:
                    self._write_rest(connection)
                if flags & ~WRITE and connection.state == BUSY:
                    self._read(connection)
            elif state == IDLE:
                self._read_idle(connection)
            elif state == CONNECTING:
                self._connected(connection)
            elif state == HANDSHAKING:
                self._handshake(connection)

    def drop_spoilt(self, events: Events) -> None:
        """Close the idle connections among those that are ready: the next request would get what has come."""
        for fd, _ in events:
            connection = self.pool.by_fd[fd] if fd < len(self.pool.by_fd) else None
            if connection is not None and connection.state == IDLE:
                self._read_idle(connection)

    def upkeep(self, now: int) -> bool:
        """Expire what has waited too long, and open connections that are missing; whether anything was."""
        if self.next_event() > now:
            return False
        pool = self.pool
        self._expire_pending(now)
        self._use_idle(now)
        due = pool.next_event(self.pending.size) <= now
        if due:
            for connection in pool.expired(now):
                self._expire(connection)
        self._resume(now)
        if due:
            pool.reconnect(now)
            for begun in pool.reopen(now):
                self._begun(begun, None, now)
            if pool.dialling < self.pending.size:
                self._dial_for_pending(now)
        return True

    def done(self) -> bool:
        """Whether no arrival is under way."""
        return not (self.pending.size or self.pool.busy or self.pool.promised or self._ledger.waiting)

    def next_event(self) -> int:
        """When `upkeep` is needed next."""
        pending = self.pending
        wake = min(self.pool.next_event(pending.size), self._ledger.waiting.next_due())
        if not pending.size:
            return wake
        return 0 if self.pool.has_idle() else min(wake, pending.at(0).give_up)

    def abort_some(self, now: int) -> bool:
        """The run is over, and connections are closed: abort some of those that wait. False: nobody does."""
        return abort_some(self.pending, self._ledger, now)

    def close(self) -> None:
        """Close all connections; arrivals on them are aborted."""
        for connection in self.pool.all():
            arrival = connection.arrival
            self.pool.close(connection)
            if arrival is not None:
                self._ledger.aborted(arrival)

    # From due to sent

    def _send(self, connection: Connection, arrival: Arrival, now: int) -> None:
        connection.arrival = arrival
        data = arrival.data
        error: OSError | MemoryError | None = None
        n = 0
        try:  # before all else: it is due
            if connection.tls is not None:
                data = connection.tls.sealed(data)
            n = _write(connection.fd, data) if connection.plain else connection.sock.send(data)
        except BlockingIOError:
            pass
        except (OSError, MemoryError) as e:
            error = e
        request = arrival.request
        connection.answer.expect(
            no_body=self._heads[request], keep_body=self._keep_bodies[request], known=self._known[request]
        )
        connection.first = 0
        connection.sent = now
        connection.deadline = arrival.give_up
        if not arrival.resent:
            arrival.cell.attempts += 1
            arrival.cell.touched = True
        if arrival.give_up < connection.watched:
            self.pool.watch(connection)
        if error is not None:
            connection.cut = describe(error)
            connection.whole = 0
            if connection.served or classify(error, EXCHANGING) == LOCAL:
                self._broken(connection, error)
            else:
                # It may have said why before it closed, as servers do that turn connections away.
                self._read(connection)
        elif n < len(data):
            connection.rest = data[n:]
            connection.whole = len(data)
            self._dialler.want(connection, READ | WRITE)

    def _write_rest(self, connection: Connection) -> None:
        try:
            n = connection.sock.send(connection.rest)
        except BlockingIOError:
            return
        except (OSError, MemoryError) as e:
            if classify(e, EXCHANGING) == LOCAL:
                self._broken(connection, e)
                return
            # The peer takes no more, but may have answered before it stopped: the read will tell.
            connection.cut = describe(e)
            n = len(connection.rest)
            connection.whole -= n
        connection.rest = connection.rest[n:]
        if not connection.rest:
            self._dialler.want(connection, READ)
            if connection.cut:
                self._read(connection)

    # From sent to done

    def _hear(self, connection: Connection) -> None:
        if connection.state == BUSY:
            self._read(connection, early=True)
        elif connection.state == IDLE:
            self._read_idle(connection, early=True)

    def _read(self, connection: Connection, early: bool = False) -> None:
        """`early`: what was read with the handshake, rather than what there is to read."""
        answer = connection.answer
        ancillary, wall, room = stamps.NONE, 0, connection.room
        over = False  # nothing will follow `data`
        try:
            if early:
                data = b""
            elif self._at_ease and connection.stamped:
                data, ancillary, _, _ = connection.sock.recvmsg(room, stamps.SPACE)
                wall = time_ns()  # before the clock: should we lose the processor here, it is late, not early
            elif connection.plain:
                # Compiled, the constant is at hand; any other number this large is made for the call.
                data = _read(connection.fd, SMALL) if room == SMALL else _read(connection.fd, room)
            else:
                data = connection.sock.recv(room)
            full = len(data) >= room and room < RECEIVE
            if connection.tls is not None:
                data = self._dialler.said(connection, connection.tls, data, early)
                over = connection.tls.over
        except BlockingIOError:
            if connection.cut:
                self._broken(connection, None)
            return
        except (OSError, MemoryError) as e:
            self._broken(connection, e)
            return
        now = clock()
        if not data:
            self._ended(connection, now)
            return
        # What follows the first bytes is not put before them, if those were read without a stamp.
        begun = connection.first or connection.sent
        came = stamps.came(ancillary, wall, now, begun) if ancillary else now
        if not connection.first:
            connection.first = came
        if full:
            connection.room = min(room * ROOMIER, RECEIVE)
        try:
            complete = answer.feed(data)
        except MemoryError as e:
            self._broken(connection, e)
            return
        except ProtocolError as e:
            arrival = connection.arrival
            assert arrival is not None
            self.pool.close(connection)
            self._ledger.fail(arrival, PROTOCOL, str(e), e.began)
            return
        if complete:
            if over or (full and connection.tls is None and not self._is_quiet(connection)):
                answer.extra = True
            self._answered(connection, now, came)
        elif over:
            self._ended(connection, now)

    def _ended(self, connection: Connection, now: int) -> None:
        """No more will come over it, which may be the end of its answer."""
        if connection.tls is not None and connection.tls.problem is not None:
            self._broken(connection, connection.tls.problem)
        elif connection.answer.started and connection.answer.end_of_file():
            self._answered(connection, now, now)
        else:
            self._broken(connection, None)

    def _is_quiet(self, connection: Connection) -> bool:
        """Whether nothing follows an answer that just filled the room for it; it would spoil the next one."""
        try:
            connection.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass  # the connection is of no more use, but the answer has come
        return False

    def _answered(self, connection: Connection, now: int, came: int) -> None:
        """Its answer is whole, since `came`."""
        arrival = connection.arrival
        assert arrival is not None
        answer = connection.answer
        if answer.starved:
            self._dialler.ran_out_of("ENOMEM")
            self._ledger.fail(arrival, TIMEOUT, "this machine had no room for the answer's body")
        else:
            self._ledger.answered(arrival, answer, connection.sent, came, connection.first)
        if answer.body_length:
            answer.drop_body()
        connection.served += 1
        if connection.served == 1:
            self._dialler.remember_session(connection)
        if connection.retired:
            self.pool.retire(connection)
            return
        if self._keepalive and not connection.rest and not connection.cut and answer.reusable():
            self._take_pending(connection, now, now)
            return
        self.pool.close(connection)

    def _read_idle(self, connection: Connection, early: bool = False) -> None:
        """The server closed an idle connection or sends what nobody asked for: either way it is no use."""
        try:
            data = b"" if early else connection.sock.recv(RECEIVE)
            if connection.tls is not None:
                self._dialler.said(connection, connection.tls, data, early)
        except BlockingIOError:  # TLS 1.3 session tickets, for one, are no data
            if not connection.rest:
                return
        except OSError:
            pass  # a reset of a connection that nobody waits for concerns nobody
        self.pool.close(connection)

    def _broken(self, connection: Connection, error: OSError | MemoryError | None) -> None:
        """The connection ended before the answer did (`error` None: end of file, or what the write said)."""
        arrival = connection.arrival
        assert arrival is not None
        started = connection.answer.started
        in_vain = connection.served > 0 and not started and not _has_taken(connection, arrival)
        maybe_read = reset_at_once(error) and connection.cut == ""
        self.pool.close(connection)
        now = clock()
        where = "in the middle of the answer" if started else "before an answer came"
        outcome = RESET if error is None else ended_by(error, started=started)
        if error is not None and outcome == LOCAL:
            self._dialler.ran_out(error)
            self._ledger.fail(arrival, TIMEOUT, f"this machine gave up {where}: {describe(error)}")
            return
        again = not maybe_read or self._repeatable[arrival.request]
        if in_vain and again and not arrival.resent and arrival.give_up > now:
            # The server closed it just as we wrote: once more on a fresh one, as browsers do.
            if maybe_read:
                arrival.cell.attempts += 1  # there may be work on it: what follows is another
                arrival.cell.touched = True
            arrival.resent = True
            self.resent += 1
            self._open_anew(now, arrival)
            return
        what = describe(error) if error is not None else connection.cut or "the connection was closed"
        self._ledger.fail(arrival, outcome, f"{connection.address}: {what} {where}")

    def _expire(self, connection: Connection) -> None:
        """Its deadline has come."""
        arrival, state = connection.arrival, connection.state
        untouched = len(connection.rest) > 0 and len(connection.rest) == connection.whole
        self.pool.close(connection)
        if arrival is None:
            return  # of a dial for all: those who wait for it have timeouts of their own
        if state != BUSY or untouched:
            self._ledger.fail(arrival, UNSENT, "the timeout expired before its first byte left")
        elif connection.answer.started:
            self._ledger.fail(arrival, TIMEOUT, "the answer was incomplete when the timeout expired")
        else:
            self._ledger.fail(arrival, TIMEOUT, "no answer when the timeout expired")


def _has_taken(connection: Connection, arrival: Arrival) -> bool:
    """Whether the peer has taken any of the request under way: then it was there as the request came."""
    partly = len(connection.rest) > 0 or connection.cut != ""
    written = connection.whole - len(connection.rest) if partly else len(arrival.data)
    return _unacknowledged(connection.fd) < written
