"""Traces: what the target gets of them, and which arrivals a run names; the same on every transport."""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import replace

import pytest
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    Done,
    answering,
    free_port,
    job_for,
    read_request,
    run_job,
    serving,
    with_time_enough,
)

from loadtool.engine.connection import Arrival, Retry
from loadtool.engine.slowest import Slowest
from loadtool.measure.outcome import ABORTED, CONNECT, OK, TIMEOUT, UNSENT
from loadtool.measure.recorder import Cell, quantise
from loadtool.measure.slow_arrival import SLOWEST
from loadtool.plan.job import Job, RequestSpec, RetrySpec
from loadtool.plan.trace import Tracer

PARENT = re.compile(rb"\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01\r\n", re.IGNORECASE)
SLOW_S = 0.2


class Target:
    """Remembers each request's path, trace and span; answers /slow late, and /shy with 503 at first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: list[tuple[bytes, str, str]] = []

    def __call__(self, sock: socket.socket) -> None:
        while request := read_request(sock):
            path = request.split(b" ", 2)[1].partition(b"?")[0]
            found = PARENT.findall(request.partition(b"\r\n\r\n")[0] + b"\r\n")
            assert len(found) == 1
            trace, span = (part.decode() for part in found[0])
            with self.lock:
                before = sum(t == trace for _, t, _ in self.seen)
                self.seen.append((path, trace, span))
            if path == b"/slow":
                time.sleep(SLOW_S)
            if path == b"/shy" and not before:
                sock.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
            else:
                sock.sendall(OK_ANSWER)

    def traces(self, path: bytes) -> set[str]:
        return {trace for p, trace, _ in self.seen if p == path}


def traced(job: Job) -> Job:
    return replace(job, client=replace(job.client, trace=True), nonce="run")


def get(name: str, weight: float = 1.0, path: str = "") -> RequestSpec:
    return RequestSpec(name, weight, "GET", path or f"/{name}")


@pytest.mark.usefixtures("transport")
async def test_the_target_gets_a_trace_for_each_arrival_and_the_report_names_the_slow_ones() -> None:
    target = Target()
    with serving(target) as server:
        requests = (get("fast", 9.0), get("slow"), get("made", 9.0, "/made?{{ arrival }}"))
        done = await run_job(traced(job_for(server.port, count=60, rate=200, requests=requests)))
    assert done.outcomes == {"ok": 60}
    assert len({trace for _, trace, _ in target.seen}) == len({span for *_, span in target.seen}) == 60
    tracer = Tracer(1, "run")
    assert {trace for _, trace, _ in target.seen} == {tracer.trace_id(n) for n in range(60)}
    named = done.tally.slowest
    # The last of the histogram's values, each in its bucket; which these are is the machine's business, too.
    longest = done.values("ok")[: -SLOWEST - 1 : -1]
    assert [quantise(round(s.ms * 1000)) for s in named] == longest
    assert all(s.trace in target.traces(b"/" + s.request.encode()) for s in named)
    assert all(s.ms >= SLOW_S * 1000 for s in named if s.request == "slow")
    assert all(0 <= s.due_s < 0.3 and s.outcome == "ok" for s in named)


@pytest.mark.usefixtures("transport")
async def test_another_attempt_is_another_span_of_the_same_trace() -> None:
    target = Target()
    with serving(target) as server:
        job = traced(job_for(server.port, count=3, requests=(get("shy"),)))
        spec = RetrySpec("immediate", 2, MS, MS, ("shed",), True)
        done = await run_job(replace(job, client=replace(job.client, retries=spec)))
    assert done.outcomes == {"ok": 3}
    tracer = Tracer(1, "run")
    assert sorted(target.seen) == sorted(
        (b"/shy", tracer.trace_id(n), tracer.span_id(n, attempt)) for n in range(3) for attempt in (0, 1)
    )
    assert {s.trace for s in done.tally.slowest} == target.traces(b"/shy")


@pytest.mark.usefixtures("transport")
async def test_who_got_no_answer_is_among_the_slowest_and_who_never_left_is_not() -> None:
    def silent(sock: socket.socket) -> None:
        while read_request(sock):
            pass

    async def attempt(timeout_ms: int) -> None:
        with serving(silent) as server:
            job = traced(job_for(server.port, count=12, timeout_ns=timeout_ms * MS))
            late = await run_job(job)
        assert late.outcomes == {"timeout": 12}
        assert {(s.outcome, s.request) for s in late.tally.slowest} == {("timeout", "get")}
        assert all(s.ms >= timeout_ms for s in late.tally.slowest)
        assert len(late.tally.slowest) == SLOWEST

    await with_time_enough(attempt, 200, 2_000, 10_000)
    refused = await run_job(traced(job_for(free_port(), count=3)))
    assert (refused.outcomes, refused.tally.slowest) == ({"connect": 3}, [])


@pytest.mark.usefixtures("transport")
async def test_load_beyond_the_plan_is_not_among_the_slowest() -> None:
    """Twenty follow the five that were planned, and take as long."""
    with serving(Target()) as server:
        job = traced(job_for(server.port, count=25, rate=100, requests=(get("slow"),)))
        done = await run_job(replace(job, planned_ns=SECOND // 20))
    assert done.outcomes == {"ok": 25}
    tracer = Tracer(1, "run")
    assert {s.trace for s in done.tally.slowest} == {tracer.trace_id(n) for n in range(5)}


async def test_without_it_nothing_is_sent_or_told() -> None:
    seen: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        while request := read_request(sock):
            seen.append(request)
            sock.sendall(OK_ANSWER)

    with serving(handler) as server:
        done: Done = await run_job(job_for(server.port, count=3))
    assert done.tally.slowest == []
    assert not any(PARENT.search(request) for request in seen)


async def test_of_two_workers_the_slowest_of_all_are_named() -> None:
    with serving(answering(OK_ANSWER)) as server:
        job = traced(job_for(server.port, count=30))
        halves = [await run_job(job, worker=w, workers=2) for w in (0, 1)]
    tally = halves[0].tally
    other = halves[1].frames
    every = [*tally.slowest, *other[-1].slowest]
    for frame in other:
        tally.add(frame)
    assert tally.slowest == sorted(every, key=lambda s: -s.ms)[:SLOWEST]
    assert all(not frame.slowest for half in halves for frame in half.frames if not frame.final)


# The heap


def arrival(number: int, *, retried: bool = False) -> Arrival:
    made = Arrival(number * MS, FAR, 0, Cell((0, 0, 0), True), b"", number)
    made.retry = Retry() if retried else None
    return made


FAR = 1 << 60


def kept(*ended: tuple[int, int, int]) -> list[tuple[float, float]]:
    """ms and due in ms of those kept, of (number, ms, outcome)."""
    slowest = Slowest(Tracer(1, ""), ["get"], 0, most=3)
    for number, ms, outcome in ended:
        slowest.ended(arrival(number), ms * MS, outcome)
    return [(s.ms, s.due_s * 1000) for s in slowest.told()]


def test_the_slowest_are_kept_in_order() -> None:
    assert kept() == []
    assert kept((1, 5, OK), (2, 9, OK)) == [(9, 2), (5, 1)]
    assert kept(*((n, (n * 7) % 10, OK) for n in range(10))) == [(9, 7), (8, 4), (7, 1)]


def test_of_equals_the_first_stay() -> None:
    assert kept(*((n, 2000, TIMEOUT) for n in range(9))) == [(2000, 0), (2000, 1), (2000, 2)]


def test_what_is_in_no_trace_is_left_out() -> None:
    assert kept((1, 9, UNSENT), (2, 9, CONNECT), (3, 9, ABORTED), (4, 1, OK)) == [(1, 4)]
    slowest = Slowest(Tracer(1, ""), ["get"], 0)
    slowest.ended(arrival(1, retried=True), 5 * MS, CONNECT)  # an earlier attempt may have arrived
    assert [s.outcome for s in slowest.told()] == ["connect"]
