"""A server that dies in mid-run and comes back."""

from __future__ import annotations

import errno
import itertools
import socket
import threading
from functools import partial

from engine_harness import OK_ANSWER, SECOND, Server, free_port, job_for, run_job
from hostile_servers import hold, read_head

from loadtool.engine.http1_transport import Http1Transport
from loadtool.plan.job import PhaseSpec
from loadtool.plan.schedule import Schedule


class Restarting:
    """A server that dies with all its connections at its n-th request, and is back once one was refused.

    The client is to use its `new_socket`, which tells.
    """

    def __init__(self, dies_at: int) -> None:
        self.port = free_port()
        self.server = Server(self._handle, port=self.port)
        self._refused = threading.Event()
        self._dies_at = dies_at
        self._requests = itertools.count(1)
        self._restarter = threading.Thread(target=self._restart)
        self._time = threading.Event()
        self._restarter.start()

    def new_socket(self, family: int, kind: int) -> socket.socket:
        return Refusable(self._refused, family, kind)

    def _handle(self, sock: socket.socket) -> None:
        while read_head(sock):
            if next(self._requests) == self._dies_at:
                self._time.set()
                hold(sock)
                return
            sock.sendall(OK_ANSWER)

    def _restart(self) -> None:
        self._time.wait()
        self.server.close()
        self._refused.wait(30)
        self.server = Server(self._handle, port=self.port)

    def close(self) -> None:
        self._time.set()
        self._refused.set()
        self._restarter.join()
        self.server.close()


class Refusable(socket.socket):
    """Tells when a connection is refused."""

    def __init__(self, refused: threading.Event, family: int, kind: int) -> None:
        super().__init__(family, kind)
        self._refused = refused

    def connect_ex(self, address: object) -> int:
        number = super().connect_ex(address)  # type: ignore[arg-type]  # whatever the dialler gives
        if number == errno.ECONNREFUSED:
            self._refused.set()
        return number


async def test_a_server_that_is_restarted_in_mid_run() -> None:
    """The pause is for what was late: by its end the server is back."""
    phases = (
        PhaseSpec("spike", "spike", 100.0, 2 * SECOND),
        PhaseSpec("pause", "recovery", 0.001, 4 * SECOND),
        PhaseSpec("after", "recovery", 100.0, SECOND),
    )
    server = Restarting(dies_at=30)
    try:
        job = job_for(server.port, phases=phases)
        done = await run_job(job, transport=partial(Http1Transport, new_socket=server.new_socket))
    finally:
        server.close()
    assert done.outcomes.keys() <= {"ok", "connect", "reset"}
    assert done.outcomes["connect"] >= 1
    assert "ECONNREFUSED" in done.examples["connect"].detail
    assert sum(done.outcomes.values()) == Schedule(job).count()
    after = [cell for frame in done.frames for cell in frame.cells if cell.slice == 6]
    assert sum(cell.counts[0] for cell in after) == sum(cell.scheduled for cell in after) == 100
