"""The transport httpx where its process stands still for a while."""

from __future__ import annotations

import socket
import time

from engine_harness import SECOND, job_for, read_request, run_job, serving

from loadtool.engine.httpx_exchange import Exchange
from loadtool.engine.httpx_transport import HttpxTransport


class Stalling(HttpxTransport):
    """Stands still as its first exchange ends, until the time of all that wait is up."""

    def _ended(self, exchange: Exchange) -> None:
        super()._ended(exchange)
        last = self._pending.at(self._pending.size - 1).give_up if self._pending.size else 0
        time.sleep(max(0.0, (last - time.monotonic_ns()) / 1e9))


async def test_nothing_is_begun_for_those_whose_time_is_up() -> None:
    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.recv(1)

    with serving(handler) as server:
        job = job_for(server.port, count=5, rate=100, timeout_ns=2 * SECOND, connections=1)
        done = await run_job(job, transport=Stalling)
    assert done.outcomes == {"timeout": 1, "unsent": 4}
    assert done.tally.totals.attempts == 1
    assert "no connection was free" in done.examples["unsent"].detail
    assert server.connections == 1
