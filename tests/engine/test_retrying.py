"""Clients that try again, or hold back, against servers that turn them away: the same on every transport."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count

import pytest
from engine_harness import (
    MS,
    OK_ANSWER,
    SECOND,
    Done,
    free_port,
    job_for,
    read_request,
    run_job,
    serving,
    with_time_enough,
)
from run_harness import eventually

from loadtool.engine.feed import Feed
from loadtool.engine.transports import TRANSPORTS
from loadtool.measure.recorder import Recorder, quantise
from loadtool.plan.job import BudgetSpec, Job, PhaseSpec, RequestSpec, RetrySpec, ThrottleSpec
from loadtool.plan.mix import Mix
from loadtool.plan.schedule import Schedule
from loadtool.plan.seeding import BACKOFF, THROTTLE, draw

pytestmark = pytest.mark.usefixtures("transport")

DEFAULT = ("shed", "timeout", "unsent", "connect", "reset")
SPEC = RetrySpec("immediate", 3, MS, MS, DEFAULT, True)
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"  # after which the connection is closed
SILENCE = b"-"  # ... or nothing comes


def answer(status: int, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d X" % status, *headers, b"Content-Length: 0", b"", b""])


BUSY = answer(503)


class Script:
    """Answers each path, which names an arrival, with these in turn, and with the last one ever after."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.lock = threading.Lock()
        self.asked: dict[bytes, int] = {}
        self.hung_up = 0  # connections that the client closed while it waited

    def __call__(self, sock: socket.socket) -> None:
        while request := read_request(sock):
            path = request.split(b" ", 2)[1]
            with self.lock:
                number = self.asked[path] = self.asked.get(path, 0) + 1
            said = self.answers[min(number, len(self.answers)) - 1]
            if said == SILENCE:
                while sock.recv(65536):
                    pass
                with self.lock:
                    self.hung_up += 1
                return
            sock.sendall(said)
            if said == CUT:
                return

    @property
    def requests(self) -> int:
        return sum(self.asked.values())


def job(port: int, spec: RetrySpec | None = SPEC, *, deadline_ns: int | None = None,
        throttle: ThrottleSpec | None = None, **more: object) -> Job:  # fmt: skip
    """Ten arrivals, each with a path of its own."""
    requests = (RequestSpec("get", 1.0, "GET", "/{{ arrival }}"),)
    made = job_for(port, requests=requests, **more)  # type: ignore[arg-type]  # whatever job_for takes
    client = replace(made.client, retries=spec, deadline_ns=deadline_ns, throttle=throttle)
    return replace(made, client=client)


def marks(done: Done) -> dict[str, int]:
    return done.tally.totals.client


@pytest.mark.parametrize(
    ("answers", "outcome", "requests", "client"),
    [
        ((OK_ANSWER,), "ok", 1, {}),
        ((BUSY, OK_ANSWER), "ok", 2, {"retries": 10, "shed_attempts": 10}),
        ((BUSY, CUT, BUSY, OK_ANSWER), "ok", 4, {"retries": 30, "shed_attempts": 20}),
        ((BUSY,), "shed", 4, {"retries": 30, "shed_attempts": 40}),
        ((CUT,), "reset", 4, {"retries": 30}),
        ((CUT, BUSY), "shed", 4, {"retries": 30, "shed_attempts": 30}),  # its last attempt's outcome
        ((BUSY, answer(500)), "status", 2, {"retries": 10, "shed_attempts": 10}),  # which is not tried again
        ((answer(500), OK_ANSWER), "status", 1, {}),
    ],
)
async def test_what_becomes_of_it(
    answers: tuple[bytes, ...], outcome: str, requests: int, client: dict[str, int]
) -> None:
    script = Script(*answers)
    with serving(script) as server:
        done = await run_job(job(server.port))
    assert done.outcomes == {outcome: 10}
    assert set(script.asked.values()) == {requests}
    assert done.tally.totals.attempts == script.requests == 10 * requests
    assert marks(done) == client
    assert len(done.values("lag")) == 10 * requests  # each attempt has its own


@pytest.mark.parametrize(
    ("on", "answers", "outcome"),
    [
        (("status",), (answer(500), OK_ANSWER), "ok"),
        (("status",), (BUSY, OK_ANSWER), "shed"),  # a polite no is no failure
        ((), (BUSY, OK_ANSWER), "shed"),
        (("protocol",), (b"SSH-2.0\r\n", OK_ANSWER), "ok"),
    ],
)
async def test_only_after_the_outcomes_that_are_asked_for(
    on: tuple[str, ...], answers: tuple[bytes, ...], outcome: str
) -> None:
    with serving(Script(*answers)) as server:
        done = await run_job(job(server.port, replace(SPEC, on=on)))
    assert done.outcomes == {outcome: 10}


async def test_a_shed_is_tried_again_where_it_counts_as_an_error_too() -> None:
    with serving(Script(BUSY)) as server:
        done = await run_job(job(server.port, role="baseline"))
    assert done.outcomes == {"status": 10}
    assert marks(done) == {"retries": 30}  # nobody may turn away normal load: that is no shedding
    assert "got status 503" in done.examples["status"].detail


async def test_a_closed_port_is_tried_as_often() -> None:
    done = await run_job(job(free_port()))
    assert done.outcomes == {"connect": 10}
    assert done.tally.totals.attempts == 40
    assert marks(done) == {"retries": 30}


async def test_a_connection_that_is_not_open_in_time_was_a_try() -> None:
    async def attempt(timeout_ms: int) -> None:
        with socket.socket() as listener:  # whose queue is full, so that what comes is left waiting
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            there = listener.getsockname()
            with socket.create_connection(there):
                job = job_for(there[1], count=4, rate=1e6, timeout_ns=timeout_ms * MS, connections=2)
                done = await run_job(job)
        assert done.outcomes == {"unsent": 4}
        assert done.tally.totals.attempts == 2  # the others found both connections taken up

    await with_time_enough(attempt, 100, 1_000, 10_000)


async def test_response_times_count_from_the_first_attempt_and_service_times_from_each() -> None:
    spec = RetrySpec("exponential", 3, 40 * MS, 80 * MS, DEFAULT, True)
    with serving(Script(BUSY, BUSY, OK_ANSWER)) as server:
        done = await run_job(job(server.port, spec))
    assert done.outcomes == {"ok": 10}
    assert min(done.values("ok")) >= 120_000  # 40 and 80 ms between the attempts
    assert len(done.values("service")) == len(done.values("ttfb")) == 30
    assert min(done.values("service")) < 40_000
    assert done.values("shed") == []  # none of them was shed in the end
    # A wait that was planned is no lag: lags, exchanges and waits lie one after the other, however slow this
    # machine is. Recorded times are rounded to µs, and cut to their bucket of a 1024th at the most.
    parts = sum(done.values("lag")) + sum(done.values("service")) + 10 * 120_000
    assert parts <= sum(done.values("ok")) * 1025 / 1024 + 35


async def test_shed_times_are_of_the_last_attempt() -> None:
    spec = RetrySpec("exponential", 1, 60 * MS, 60 * MS, DEFAULT, True)
    with serving(Script(BUSY)) as server:
        done = await run_job(job(server.port, spec))
    assert len(done.values("shed")) == 10
    assert min(done.values("shed")) < 60_000
    assert done.tally.first_sheds == {0: 0}


async def test_each_attempt_times_out_by_itself_and_the_server_sees_it_leave() -> None:
    async def attempt(timeout_ms: int) -> None:
        script = Script(SILENCE, SILENCE, OK_ANSWER)
        with serving(script) as server:
            done = await run_job(job(server.port, timeout_ns=timeout_ms * MS))
        assert done.outcomes == {"ok": 10}
        assert min(done.values("ok")) >= quantise(2 * timeout_ms * 1000)
        assert script.requests == 30
        eventually("both are seen to leave", lambda: script.hung_up == 20)

    await with_time_enough(attempt, 80, 800, 8_000)


async def test_the_deadline_ends_it_with_its_last_attempt_s_outcome() -> None:
    spec = replace(SPEC, policy="exponential", base_ns=30 * MS, cap_ns=30 * MS)

    async def attempt(deadline_ms: int) -> None:
        script = Script(BUSY, SILENCE)
        with serving(script) as server:
            subject = job(server.port, spec, deadline_ns=deadline_ms * MS, timeout_ns=5 * deadline_ms * MS)
            done = await run_job(subject)
        assert done.outcomes == {"timeout": 10}
        assert done.tally.totals.attempts == 20
        eventually("the second one is seen to leave", lambda: script.hung_up == 10)

    await with_time_enough(attempt, 1_000, 3_000, 10_000)


async def test_a_retry_that_can_not_start_before_the_deadline_is_none() -> None:
    # Nothing is planned, so nobody waits for the deadline, which is later than any stall of a machine.
    spec = replace(SPEC, policy="exponential", base_ns=21 * SECOND, cap_ns=21 * SECOND)
    script = Script(BUSY)
    with serving(script) as server:
        done = await run_job(job(server.port, spec, deadline_ns=20 * SECOND, timeout_ns=20 * SECOND))
    assert done.outcomes == {"shed": 10}
    assert (script.requests, marks(done)) == (10, {"shed_attempts": 10})


def later(seconds: int) -> bytes:
    """Retry-After as a date, with the date that it counts from."""
    now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    until = now + timedelta(seconds=seconds)
    return b"Date: %b\r\nRetry-After: %b" % tuple(
        format_datetime(t, usegmt=True).encode() for t in (now, until)
    )


@pytest.mark.parametrize("header", [b"Retry-After: 1", later(1)])
async def test_a_retry_after_is_obeyed(header: bytes) -> None:
    with serving(Script(answer(503, header), OK_ANSWER)) as server:
        done = await run_job(job(server.port))
    assert done.outcomes == {"ok": 10}
    assert min(done.values("ok")) >= 999_000  # the lowest value of its bucket
    assert marks(done) == {"retries": 10, "shed_attempts": 10, "promised": 10, "kept": 10}


@pytest.mark.parametrize(
    ("obey", "header", "client"),
    [
        (True, b"Retry-After: 0", {"told": 10, "promised": 10}),  # a promise that was not kept
        (True, b"Retry-After: soon", {}),
        (False, b"Retry-After: 3600", {"told": 10}),  # it was not held to it
        (False, b"X: 1", {}),
    ],
)
async def test_promises_are_kept_or_not(obey: bool, header: bytes, client: dict[str, int]) -> None:
    with serving(Script(answer(503, header))) as server:
        done = await run_job(job(server.port, replace(SPEC, max=2, obey=obey)))
    assert done.outcomes == {"shed": 10}
    assert marks(done) == {"retries": 20, "shed_attempts": 30, **client}


async def test_a_retry_after_beyond_all_patience_ends_it_at_once() -> None:
    with serving(Script(answer(503, b"Retry-After: 3600"))) as server:
        done = await run_job(job(server.port))
    assert done.outcomes == {"shed": 10}
    assert marks(done) == {"shed_attempts": 10, "told": 10}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("budget", "allowed"),
    [
        (BudgetSpec(share=0.2), 12),  # of 60 arrivals
        (BudgetSpec(tokens=20.0, ratio=0.1), 9),
    ],
)
async def test_the_budget_is_a_total_of_the_run(budget: BudgetSpec, allowed: int, workers: int) -> None:
    """All fail, and all at once, so that each has begun before the first has failed."""
    gate = threading.Event()
    number = count()

    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            if next(number) >= 60 // workers - 1:
                gate.set()
            gate.wait(5)
            sock.sendall(BUSY)

    retries = exhausted = 0
    for worker in range(workers):
        gate.clear()
        number = count()
        with serving(handler) as server:
            subject = job(server.port, replace(SPEC, max=100, budget=budget), count=60, rate=1e6)
            done = await run_job(subject, worker=worker, workers=workers)
        retries += marks(done).get("retries", 0)
        exhausted += marks(done).get("exhausted", 0)
        assert done.outcomes == {"shed": 60 // workers}
    assert allowed - workers <= retries <= allowed
    assert exhausted == 60


def held_back_of(count: int, counted: Callable[[int, int], int]) -> int:
    """How many of so many are held back, of which none gets in; the first leaves, as nothing is known yet.

    `counted` tells of the n-th of them (from 0), with the number held back before it, how many have ended or
    were held back by then.
    """
    held = 0
    for n in range(1, count):
        known = counted(n, held)
        held += draw(1, THROTTLE, n, 0) < known / (known + 1)
    return held


async def test_clients_hold_back_when_most_are_turned_away() -> None:
    throttle = ThrottleSpec(2.0, 10 * SECOND)
    # The first is answered before the others come. Whoever is held back counts at once, so that from there on
    # it hardly matters how long an answer takes.
    phases = (PhaseSpec("first", "spike", 1.25, 800 * MS), PhaseSpec("spike", "spike", 1000.0, 199 * MS))
    for _ in range(3):
        script = Script(BUSY)
        with serving(script) as server:
            done = await run_job(job(server.port, None, throttle=throttle, phases=phases))
        longest = sum(max(done.values(name), default=0) for name in ("lag", "queued", "connect", "shed"))
        if longest < 800_000:
            break
    else:
        pytest.skip("this machine was too busy to answer the first before the others, three times over")
    held = marks(done)["throttled"]
    assert done.outcomes == {"shed": 200 - held, "unsent": held}
    assert script.requests == done.tally.totals.attempts == 200 - held
    # Of the n-th request n − 1 ÷ n are held back, as none got in: about 1 + 1/2 + 1/3 + … leave. Which they
    # are is drawn, so that their number is known if all answers come at once, and if none comes any more.
    at_once = held_back_of(200, lambda n, held: n)
    never = held_back_of(200, lambda n, held: 1 + held)
    assert (200 - at_once, 200 - never) == (6, 9)
    assert never <= held <= at_once
    assert "held back by the clients' own throttle: 0 of the last" in done.examples["unsent"].detail
    assert len(done.values("lag")) == 200


async def test_clients_that_are_served_hold_nothing_back() -> None:
    with serving(Script(answer(500))) as server:  # which is no turning away
        subject = job(server.port, None, throttle=ThrottleSpec(2.0, 10 * SECOND), count=100, rate=500.0)
        done = await run_job(subject)
    assert done.outcomes == {"status": 100}


async def test_retries_that_wait_are_under_way_and_aborted_with_the_run() -> None:
    spec = replace(SPEC, policy="exponential", base_ns=20 * SECOND, cap_ns=20 * SECOND)
    with serving(Script(BUSY)) as server:
        done = await run_job(job(server.port, spec), stop_after_s=1.5)
    assert done.outcomes == {"aborted": 10}
    assert marks(done) == {"shed_attempts": 10}
    (stop,) = (frame for frame in done.frames if frame.stopped)
    assert stop.in_flight == 10
    assert done.frames[-1].in_flight == 0


async def test_the_same_seed_makes_the_same_waits_on_any_number_of_workers() -> None:
    spec = RetrySpec("full-jitter", 1, 300 * MS, 300 * MS, DEFAULT, True)
    wanted = sorted(draw(1, BACKOFF, number, 1) * 300_000 for number in range(10))
    for workers in (1, 3):
        waited: list[float] = []
        for worker in range(workers):
            with serving(Script(BUSY, OK_ANSWER)) as server:
                done = await run_job(job(server.port, spec), worker=worker, workers=workers)
            waited += done.values("ok")
        # None is shorter than its own draw; how much longer it is, is the machine's to say.
        assert all(long >= 0.999 * short for long, short in zip(sorted(waited), wanted, strict=True))


def test_arrivals_bear_their_number_in_the_schedule() -> None:
    numbers: list[int] = []
    for worker in range(3):
        subject = job(1)
        recorder, mix = Recorder(frozenset()), Mix(subject)
        feed = Feed(subject, Schedule(subject).batches(worker, 3), lambda *_: b"", mix, recorder, 0)
        while feed.has_next():
            numbers.append(feed.ready.pop().number)
    assert sorted(numbers) == list(range(10))
    assert numbers != sorted(numbers)


def test_every_transport_is_here() -> None:
    assert list(TRANSPORTS) == ["http1", "httpx"]
