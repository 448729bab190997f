"""Connection: one socket of the reactor and what it is busy with."""

from __future__ import annotations

import socket
from typing import Final

from loadtool.engine.addresses import Address
from loadtool.engine.http1 import Answer
from loadtool.engine.tls_stream import TlsStream
from loadtool.measure.recorder import Cell

CONNECTING: Final = 0
HANDSHAKING: Final = 1
IDLE: Final = 2
BUSY: Final = 3
CLOSED: Final = 4
RECEIVE: Final = 65536  # bytes, at the most
SMALL: Final = 448  # bytes: to make room for more takes as long as to receive them
FAR: Final = (1 << 62) - 1  # a moment that does not come; the highest int that mypyc does not box


class Retry:
    """Where an arrival stands that is tried again. Times are ns of the monotonic clock."""

    __slots__ = ("delay", "due", "number", "promised")

    def __init__(self) -> None:
        self.number = 0  # of the attempt after the first one
        self.due = 0  # when it is due
        self.delay = 0  # its backoff, in ns
        self.promised = False  # it is the first one, and leaves after the delay that a shed has asked for


class Arrival:
    """One request of the schedule on its way. Times are ns of the monotonic clock."""

    __slots__ = (
        "cell", "data", "dialled", "due", "give_up", "launched", "number", "queue_due", "queue_rested",
        "refused", "request", "resent", "rested", "retry",
    )  # fmt: skip

    def __init__(
        self, due: int, give_up: int, request: int, cell: Cell, data: bytes, number: int = 0
    ) -> None:
        """`give_up`: of the attempt under way. `number`: its place in the schedule, for all workers."""
        self.due = due
        self.give_up = give_up
        self.number = number
        self.retry: Retry | None = None
        self.request = request
        self.cell = cell
        self.data = data
        self.launched = 0  # when the loop got round to it
        self.dialled = 0  # when a connection began to be opened for it: no longer its turn that it waits for
        self.resent = False  # has had its one more try on a fresh connection
        self.refused = 0  # by how many connections, opened for it, whose server said it was leaving
        self.rested = 0  # what the loop had rested when it began to wait for a connection
        self.queue_due = 0  # when the first one of those it waits behind was due; 0: it does not wait
        self.queue_rested = 0  # what the loop had rested when that one began to wait

    def planned(self) -> int:
        """When the attempt under way is due."""
        return self.due if self.retry is None else self.retry.due


class Connection:
    """State of one socket. `served` answers have come over it."""

    __slots__ = (
        "address", "answer", "arrival", "begun", "connect_begun", "cut", "deadline", "fd", "first",
        "made", "plain", "rest", "retired", "room", "sent", "served", "sock", "stamped", "state", "tls",
        "tried", "watched", "whole", "writing",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, address: Address, begun: int) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.plain = type(sock) is socket.socket  # then `fd` may be read and written without it
        self.tls: TlsStream | None = None
        self.room = SMALL  # bytes that are received at a time
        self.address = address
        self.state = CONNECTING
        self.connect_begun = begun
        self.begun = begun  # of the handshake
        self.arrival: Arrival | None = None
        self.answer = Answer()
        self.rest = b""  # of the request as it is written, not yet taken by the kernel
        self.whole = 0  # how long that request was, if there is a rest; of one cut short, what was written
        self.stamped = False  # the kernel says when something came over it
        self.retired = False  # to be closed after its answer, and opened anew
        self.cut = ""  # why the peer takes no more of the request, of which a kernel tells once
        self.made = False  # it was connected as soon as it was begun
        self.writing = True  # registered for writability
        self.sent = 0
        self.first = 0  # when the answer's first byte came
        self.served = 0
        self.deadline = 0
        self.watched = FAR  # when its entry among the deadlines comes up, which may be before its own
        self.tried: list[Address] = [address]
