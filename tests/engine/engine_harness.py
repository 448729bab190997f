"""A worker in this process against a scripted server in threads: real sockets, exact books."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import trio

from loadtool.engine.addresses import resolve
from loadtool.engine.pipes import Commands
from loadtool.engine.transports import Maker
from loadtool.engine.worker import Worker
from loadtool.measure.frame import PREFIX_BYTES, Example, Frame, decode, lengths
from loadtool.measure.outcome import CLASSES, OUTCOMES
from loadtool.measure.tally import Tally
from loadtool.plan.job import ClientSpec, Endpoint, ExpectSpec, Job, PhaseSpec, RequestSpec
from loadtool.plan.timeline import Timeline

SECOND = 1_000_000_000
MS = 1_000_000
OK_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Handler = Callable[[socket.socket], None]
TRANSPORT = "http1"  # of all jobs; the fixture `transport` changes it
# 50 arrivals before a stop at 0.5 s, and none for long after it: they are aborted however late it is heeded.
STOPPED_IN_A_PAUSE = (
    PhaseSpec("before", "spike", 100.0, 495 * MS),
    PhaseSpec("pause", "spike", 0.001, 20 * SECOND),
    PhaseSpec("after", "spike", 100.0, SECOND),
)


class Server:
    """Accepts on a port of 127.0.0.1 and hands every connection to `handler` in a thread of its own."""

    def __init__(
        self,
        handler: Handler,
        context: ssl.SSLContext | None = None,
        family: int = socket.AF_INET,
        port: int = 0,
    ):
        """`port` 0: a free one."""
        self.connections = 0
        self.handler = handler
        self._context = context
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", port))
        self._listener.listen(512)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock:
                self.handler(sock)
        except OSError:
            pass  # the client left, as clients do

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # a close alone does not wake up a thread that reads
            sock.close()
        self._thread.join(5)


@contextmanager
def serving(handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(handler, context)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def serving_unix(path: str, handler: Handler) -> Iterator[None]:
    """On a unix-domain socket, one connection at a time."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                handler(sock)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def read_request(sock: socket.socket) -> bytes:
    """One request with its Content-Length body; b"" when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(*answers: bytes) -> Handler:
    """Answers to the first, second, … request of each connection; the last one for all that follow."""

    def handler(sock: socket.socket) -> None:
        number = 0
        while read_request(sock):
            sock.sendall(answers[min(number, len(answers) - 1)])
            number += 1

    return handler


class Far(socket.socket):
    """Its peer is not near enough to have answered when `connect` is called once more."""

    begun = False

    def connect_ex(self, address: object) -> int:
        if self.begun:
            return errno.EALREADY
        self.begun = True
        number = super().connect_ex(address)  # type: ignore[arg-type]  # whatever the dialler gives
        return number or errno.EINPROGRESS


_kept: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, but a `Server` may, and again after it has closed.

    It stays bound, so that the kernel gives it to nobody else, not even to a socket that connects to it, and
    would find itself there.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    _kept.append(sock)
    return int(sock.getsockname()[1])


def job_for(
    port: int,
    *,
    count: int = 10,
    rate: float = 200.0,
    role: str = "spike",
    host: str = "127.0.0.1",
    scheme: str = "http",
    requests: tuple[RequestSpec, ...] = (RequestSpec("get", 1.0, "GET", "/"),),
    expect: ExpectSpec | None = None,
    timeout_ns: int = 5 * SECOND,
    connections: int = 100,
    keepalive: bool = True,
    good_within_ns: int = SECOND,
    phases: tuple[PhaseSpec, ...] | None = None,
    server_name: str = "127.0.0.1",
) -> Job:
    """`count` constant arrivals at `rate` per second."""
    if expect is not None:
        requests = tuple(replace(r, expect=expect) for r in requests)
    return Job(
        seed=1,
        arrivals="constant",
        phases=phases or (PhaseSpec(role, role, float(rate), round(count / rate * SECOND)),),
        faults=(),
        requests=requests,
        rows=(),
        endpoint=Endpoint(scheme, host, port, f"{host}:{port}", server_name),
        client=ClientSpec(timeout_ns, None, connections, keepalive, (429, 503)),
        good_within_ns=good_within_ns,
        slice_ns=SECOND,
        transport=TRANSPORT,
    )


@dataclass(slots=True)
class Done:
    """What the books say after a run."""

    tally: Tally
    frames: list[Frame] = field(default_factory=list)

    @property
    def outcomes(self) -> dict[str, int]:
        counts = self.tally.totals.counts
        return {name: n for name, n in zip(OUTCOMES, counts, strict=True) if n}

    @property
    def examples(self) -> dict[str, Example]:
        return {e.kind: e for e in self.tally.examples}

    def values(self, name: str) -> list[int]:
        """All recorded values of a histogram class in µs, ascending."""
        found: list[int] = []
        code = CLASSES.index(name)
        for frame in self.frames:
            for cell in frame.cells:
                sparse = cell.values.get(code)
                if sparse is not None:
                    found += [v for v, n in sparse.counts.items() for _ in range(n)]
        return sorted(found)

    def total(self, name: str) -> int:
        """The exact sum of a histogram class in µs."""
        code = CLASSES.index(name)
        cells = (cell for frame in self.frames for cell in frame.cells)
        return sum(cell.values[code].sum_us for cell in cells if code in cell.values)


def ensure(holds: bool, words: str) -> None:
    """Raise Unsound if not: what no stall of the machine can explain."""
    if not holds:
        raise Unsound(words)


class Unsound(Exception):
    """The books of a run do not add up. No AssertionError, as no want of time excuses it."""


async def run_job(
    job: Job, *, worker: int = 0, workers: int = 1, tls: ssl.SSLContext | None = None,
    stop_after_s: float | None = None, transport: Maker | None = None,
) -> Done:  # fmt: skip
    """Run one worker here to its end; conservation is checked. `transport`: instead of the job's."""
    commands_read, commands_write = os.pipe()
    reports_read, reports_write = os.pipe()
    received = bytearray()

    def receive() -> None:
        while data := os.read(reports_read, 1 << 20):
            received.extend(data)

    receiver = threading.Thread(target=receive)
    receiver.start()
    timer = None
    try:
        os.set_blocking(commands_read, False)
        subject = Worker(worker, workers, job, Commands(commands_read), reports_write, tls=tls)
        if transport is not None:
            subject._new_transport = transport
        addresses = await resolve(*job.peer)
        start_ns = time.monotonic_ns() + 50 * MS
        if stop_after_s is not None:
            stop_ns = start_ns + int(stop_after_s * SECOND)
            command = b'{"stop_ns": %d}\n' % stop_ns
            timer = threading.Timer(0.05, os.write, (commands_write, command))
            timer.start()
        with trio.fail_after(60):
            await subject.run(addresses, start_ns)
    finally:
        if timer is not None:
            timer.join()
        os.close(reports_write)
        receiver.join()
        for fd in (commands_read, commands_write, reports_read):
            os.close(fd)
    tally = Tally(Timeline.of(job), [r.name for r in job.requests])
    done = Done(tally)
    at = 0
    while at < len(received):
        header, numbers = lengths(bytes(received[at : at + PREFIX_BYTES]))
        at += PREFIX_BYTES
        frame = decode(
            bytes(received[at : at + header]), bytes(received[at + header : at + header + numbers])
        )
        at += header + numbers
        done.frames.append(frame)
        tally.add(frame)
    problems = tally.conservation()
    if problems or not done.frames[-1].final:
        raise Unsound("; ".join(problems) or "the last frame is not the final one")
    return done


async def with_time_enough(attempt: Callable[[int], Awaitable[None]], *timeouts_ms: int) -> None:
    """Make an attempt with each of these timeouts in turn, until one goes well.

    A timeout that is waited for is short, and counts from when an arrival is due: a machine that stalls for
    longer spoils it. With the last one, which no stall is as long as, all that is asserted must hold.
    """
    *more, last = timeouts_ms
    for timeout_ms in more:
        with suppress(AssertionError, KeyError):  # an outcome that did not come, or no example of it
            await attempt(timeout_ms)
            return
    await attempt(last)
