"""Servers of HTTP/2 that leave: what they refuse is sent until one takes it, and counted once."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from engine_harness import MS, SECOND, Done, job_for, run_job, serving
from h2_server import Asked, Peer, Reply, Seen, speaking_h2

from loadtool.plan.job import PhaseSpec, RequestSpec

CONNECTIONS = 4
# One request for each connection; when all have long been answered, so many that they meet those together.
TWICE = (
    PhaseSpec("before", "spike", 40.0, CONNECTIONS * 25 * MS),
    PhaseSpec("pause", "spike", 0.001, 3 * SECOND),
    PhaseSpec("after", "spike", 50.0, 400 * MS),
)
EITHER = pytest.mark.parametrize("method", ["GET", "POST"])


async def run_against(
    reply: Reply, method: str, phases: tuple[PhaseSpec, ...] | None = None, **options: float | int | None
) -> tuple[Done, Seen]:
    """`options`: of the client."""
    seen = Seen()
    with serving(speaking_h2(reply, seen)) as server:
        requests = (RequestSpec("it", 1.0, method, "/"),)
        job = job_for(server.port, count=60, phases=phases, requests=requests, timeout_ns=30 * SECOND)
        client = replace(job.client, http2=True, **options)  # type: ignore[arg-type]
        return await run_job(replace(job, transport="httpx", client=client)), seen


class Restarting:
    """Once every one of its connections has a request, all answer, and then say goodbye to what follows.

    The client reads that only with its next request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: dict[Peer, Asked] = {}
        self.refused = 0

    def __call__(self, peer: Peer, asked: Asked) -> None:
        with self._lock:
            if peer in self._first:
                self.refused += 1
                return
            if len(self._first) == CONNECTIONS:
                peer.answer(asked)  # of those that came after
                return
            self._first[peer] = asked
            if len(self._first) < CONNECTIONS:
                return
            for each, its in self._first.items():
                each.answer(its)
            for each, its in self._first.items():
                each.say_goodbye(its.stream)


@EITHER
async def test_what_all_old_connections_refuse_waits_for_a_new_one(method: str) -> None:
    """They may be opened so seldom that it meets one old one after the other."""
    server = Restarting()
    done, seen = await run_against(server, method, TWICE, connections=CONNECTIONS, dials_per_s=4.0)
    assert set(done.outcomes) == {"ok"}
    assert done.tally.totals.attempts == done.outcomes["ok"]
    retried = sum(frame.retried for frame in done.frames)
    assert retried == server.refused == len(seen.requests) - done.outcomes["ok"]
    assert retried > 0


@EITHER
async def test_new_connections_may_be_to_one_that_leaves(method: str) -> None:
    def reply(peer: Peer, asked: Asked) -> None:
        if peer.number % 3:
            peer.say_goodbye(0)
        else:
            peer.answer(asked)

    done, seen = await run_against(reply, method, connections=1)
    assert done.outcomes == {"ok": 60}
    assert (done.tally.totals.attempts, len(seen.requests)) == (60, 62)


@EITHER
@pytest.mark.parametrize("pace", [None, 1000.0])
async def test_a_server_that_takes_nothing_is_not_asked_for_ever(method: str, pace: float | None) -> None:
    def reply(peer: Peer, asked: Asked) -> None:
        peer.say_goodbye(0)

    done, seen = await run_against(reply, method, connections=5, dials_per_s=pace)
    assert done.outcomes == {"reset": 60}
    assert (done.tally.totals.attempts, len(seen.requests)) == (60, 3 * 60)
    assert "the server ended the connection (NO_ERROR)" in done.examples["reset"].detail
