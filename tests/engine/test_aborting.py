"""The end of a run with a long backlog: every arrival is counted, and the pipes are heard meanwhile."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace

import pytest
from engine_harness import MS, SECOND, STOPPED_IN_A_PAUSE, job_for, run_job, serving

from loadtool.engine.aborting import AT_ONCE
from loadtool.engine.poller import READ
from loadtool.engine.transports import TRANSPORTS, Parts, Transport
from loadtool.plan.job import PhaseSpec

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


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    ("phases", "early"),
    [
        (STOPPED_IN_A_PAUSE, True),
        ((PhaseSpec("all", "spike", 100.0, 495 * MS),), False),  # it has all been sent
    ],
)
async def test_how_many_were_in_flight_is_told_before_they_are_aborted(
    phases: tuple[PhaseSpec, ...], early: bool
) -> None:
    """Of a load that was all sent, as its schedule ended: that the answers are not waited for comes later."""
    job = job_for(0, phases=phases, timeout_ns=60 * SECOND)
    with serving(silent) as server:
        job = replace(job, endpoint=replace(job.endpoint, port=server.port))
        done = await run_job(job, stop_after_s=0.6)
    assert done.outcomes == {"aborted": 50}
    assert done.frames[-1].in_flight == 0
    end_ns = done.tally.timeline.duration_ns
    assert any(f.elapsed_ns >= end_ns and not (f.stopped or f.final) for f in done.frames) == (not early)
    assert [f.stopped for f in done.frames[-2:]] == [True, False]
    assert done.tally.in_flight_by_slice[0] == {0: done.tally.totals.attempts}
    assert done.tally.totals.attempts > 0
