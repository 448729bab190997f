"""The end of a run with a long backlog: every arrival is counted, and the pipes are heard meanwhile."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace

import pytest
from engine_harness import SECOND, job_for, run_job, serving

from loadtool.engine.aborting import AT_ONCE
from loadtool.engine.poller import READ
from loadtool.engine.transports import TRANSPORTS, Parts, Transport

BACKLOG = 20_000


def silent(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


@pytest.mark.usefixtures("transport")
async def test_the_pipes_are_heard_while_a_long_backlog_is_aborted() -> None:
    """A pipe is always ready. Once the stop has come, the loop hears it after some arrivals each time."""
    ready, other_end = os.pipe()
    os.write(other_end, b"!")
    stops: list[int] = []
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += bool(stops) and time.monotonic_ns() >= stops[0]

    job = job_for(0, count=BACKLOG, rate=1e6, timeout_ns=60 * SECOND)
    make = TRANSPORTS[job.transport]()

    def transport(parts: Parts) -> Transport:
        made = make(parts)
        stop_at = made.stop_at

        def noted(stop_ns: int) -> None:
            stops.append(stop_ns)
            stop_at(stop_ns)

        made.stop_at = noted
        made.special[ready] = hear
        parts.poller.register(ready, READ)
        return made

    try:
        with serving(silent) as server:
            job = replace(job, endpoint=replace(job.endpoint, port=server.port))
            done = await run_job(job, stop_after_s=0.1, transport=transport)
    finally:
        os.close(ready)
        os.close(other_end)
    assert done.outcomes == {"aborted": BACKLOG}
    assert heard >= (BACKLOG - 100) // AT_ONCE  # of the 100 on connections nobody knows when they end
