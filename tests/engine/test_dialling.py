"""Dialling: for how long, how fast, and what becomes of those who wait for it, on both transports."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from engine_harness import MS, SECOND, job_for, run_job
from test_hostile_connections import full_queue

from loadtool.engine.transports import TRANSPORTS
from loadtool.plan.job import Job

on_every_transport = pytest.mark.usefixtures("transport")


def with_client(job: Job, **changes: Any) -> Job:
    return replace(job, client=replace(job.client, **changes))


@on_every_transport
async def test_a_dial_is_given_up_when_those_it_began_for_may_not_wait_any_longer() -> None:
    """Nobody accepts: the only place for a connection is free again once the first deadline has passed."""
    made: list[socket.socket] = []

    def new_socket(family: int, kind: int) -> socket.socket:
        made.append(socket.socket(family, kind))
        return made[-1]

    with full_queue() as port:
        job = job_for(port, count=4, rate=2, timeout_ns=60 * SECOND, connections=1)
        job = with_client(job, deadline_ns=400 * MS)
        done = await run_job(job, transport=partial(TRANSPORTS[job.transport](), new_socket=new_socket))
    assert done.outcomes == {"unsent": 4}
    assert len(made) >= 2
