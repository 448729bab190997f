"""A server whose answers are due at known instants, with a log of what it did: the truth of these tests.

    python truth_server.py '{"service": ["fixed", 5.0]}'

A program of its own, with nothing of loadtool in it. A service time begins when the request's last bytes are
sent, however long this program takes to notice them, or when the program is continued (SIGCONT), if they came
while it was stopped, and ends when the kernel has the answer's on the client's side. When bytes have come,
the kernel says (SO_TIMESTAMPNS). How long it takes from before a write until they have, some 10 to 30 µs, the
server finds out at its start, on a connection with itself: it takes that for the request's way, and writes so
much earlier. So loopback is part of the service, whichever kernel and machine that is, and what the client
needs besides is not. It sleeps in an epoll until shortly before and spins for the rest, so that answers come
within microseconds of their time on a quiet machine. A connection has one request in service at a time; any
number of connections are served at once.

Its first line on stdout is {"port": N, "way": ns that a write takes}. Each line on stdin is answered with the
log so far: a line with the number of records, then the records, five native 64 bit integers each, in the
order of the answers: number (of `GET /7`, -1 for any other path), received, noticed, due, sent. Times are ns
of CLOCK_MONOTONIC; received is when the request had come, or the program was continued after that, noticed
the moment after the read, due when the answer is to come, sent the moment before the write. End of stdin ends
it.
"""

from __future__ import annotations

import heapq
import json
import math
import os
import random
import select
import signal
import socket
import struct
import sys
from array import array
from collections.abc import Callable
from time import monotonic_ns as clock
from time import time_ns
from types import FrameType

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SPIN_NS = 200_000
TRIALS = 31  # of how long a write takes
MS = 1_000_000
SECOND = 1_000_000_000
SO_TIMESTAMPNS = 35  # Linux; the socket module has no name for it
TIMESPEC = struct.Struct("@ll")


def fixed(draw: random.Random, ms: float) -> float:
    return ms


def bimodal(draw: random.Random, fast_ms: float, slow_ms: float, slow_share: float) -> float:
    return slow_ms if draw.random() < slow_share else fast_ms


def pareto(draw: random.Random, least_ms: float, shape: float, most_ms: float) -> float:
    """Inverse of 1 − (least/x)^shape, cut off at `most_ms`."""
    return float(min(least_ms * (1.0 - draw.random()) ** (-1.0 / shape), most_ms))


def lognormal(draw: random.Random, median_ms: float, sigma: float) -> float:
    return draw.lognormvariate(math.log(median_ms), sigma)


SERVICES: dict[str, Callable[..., float]] = {
    "fixed": fixed,
    "bimodal": bimodal,
    "pareto": pareto,
    "lognormal": lognormal,
}


def way() -> int:
    """How many ns after the moment before a write the kernel has it at the other end: the median of some.

    Each after a sleep and a spin, as it is with answers: a processor's caches forget.
    """
    found = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        for _ in range(TRIALS):
            select.select([], [], [], 0.004)
            begin = clock() + SPIN_NS
            while (before := clock()) < begin:
                pass
            near.send(ANSWER)
            _, stamps, _, _ = far.recvmsg(65536, 64)
            stamp = stamped(stamps)
            if stamp is not None:
                found.append(stamp - before)
    return sorted(found)[len(found) // 2] if found else 0


def stamped(stamps: list[tuple[int, int, bytes]]) -> int | None:
    """The kernel's time stamp, on our clock: late if we lose the processor here, but never early."""
    for level, kind, data in stamps:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, ns = TIMESPEC.unpack(data)
            age: int = time_ns() - seconds * SECOND - ns
            return clock() - age
    return None


class Server:
    """`service`: name and arguments of one of SERVICES, times in ms.

    `together`: the first so many requests are answered only when the last of them has come, which leaves so
    many connections open.
    """

    def __init__(self, service: list[object], seed: int = 1, together: int = 0) -> None:
        self.log = array("q")
        self._service = SERVICES[str(service[0])]
        self._arguments = service[1:]
        self._draw = random.Random(seed)
        self._together = together
        self._gathered: list[tuple[socket.socket, int, int, int]] = []  # until all of them have come
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(65535)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(0, select.EPOLLIN)
        self._sockets: dict[int, socket.socket] = {}
        self._parts: dict[int, bytes] = {}  # requests that have not come whole yet
        # due, a number that keeps the order, connection, request's number, received, noticed
        self._answers: list[tuple[int, int, socket.socket, int, int, int]] = []
        self._order = 0
        self._continued = 0
        self.way = way()
        signal.signal(signal.SIGCONT, self._note_continued)

    def _note_continued(self, number: int, frame: FrameType | None) -> None:
        self._continued = clock()

    def run(self) -> None:
        answers, epoll = self._answers, self._epoll
        while True:
            self._answer_due()
            if not answers:
                events = epoll.poll(-1)
            else:
                # select() keeps microseconds, where epoll's own timeout has whole milliseconds.
                gap = answers[0][0] - self.way - clock() - SPIN_NS
                if gap > 0:
                    select.select([epoll], [], [], min(gap / 1e9, 1.0))
                events = epoll.poll(0)
            for fd, _ in events:
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == 0:
                    if not os.read(0, 65536):
                        return
                    self._tell()
                else:
                    self._read(fd)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._sockets[sock.fileno()] = sock
            self._epoll.register(sock, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        sock = self._sockets[fd]
        try:
            data, stamps, _, _ = sock.recvmsg(65536, 64)
        except BlockingIOError:
            return
        except ConnectionError:
            data, stamps = b"", []
        now = clock()
        if not data:
            del self._sockets[fd]
            self._parts.pop(fd, None)
            sock.close()
            return
        data = self._parts.pop(fd, b"") + data
        if not data.endswith(b"\r\n\r\n"):
            self._parts[fd] = data
            return
        number = data[5 : data.index(b" ", 5)]
        self._received(sock, int(number) if number.isdigit() else -1, self._arrived(stamps, now), now)

    def _arrived(self, stamps: list[tuple[int, int, bytes]], now: int) -> int:
        """When the bytes read by `now` had come, or when this program was continued after that."""
        stamp = stamped(stamps)
        return max(now if stamp is None else min(now, stamp), self._continued)

    def _received(self, sock: socket.socket, number: int, received: int, noticed: int) -> None:
        together = [(sock, number, received, noticed)]
        if self._together:
            self._gathered += together
            if len(self._gathered) < self._together:
                return
            self._together = 0
            together, self._gathered = self._gathered, []
        for sock_, number_, received_, noticed_ in together:
            service = round(self._service(self._draw, *self._arguments) * MS)
            self._order += 1
            begun = received_ if received_ == self._continued else received_ - self.way
            answer = (begun + service, self._order, sock_, number_, received_, noticed_)
            heapq.heappush(self._answers, answer)

    def _answer_due(self) -> None:
        answers, log, way = self._answers, self.log, self.way
        while answers and answers[0][0] - way <= (now := clock()):
            due, _, sock, number, received, noticed = heapq.heappop(answers)
            try:
                sock.send(ANSWER)
            except OSError:
                continue  # the client gave up, its connection may be closed here, too
            log.extend((number, received, noticed, due, now))

    def _tell(self) -> None:
        data = memoryview(b"%d\n" % (len(self.log) // 5) + self.log.tobytes())
        while data:
            data = data[os.write(1, data) :]


def main() -> None:
    server = Server(**json.loads(sys.argv[1]))
    os.write(1, json.dumps({"port": server.port, "way": server.way}).encode() + b"\n")
    server.run()


if __name__ == "__main__":
    main()
