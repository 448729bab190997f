"""The ledger alone: whose fault a wait was, and what of an answer is quoted."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from engine_harness import job_for

from loadtool.engine.client_ledger import ledger_of
from loadtool.engine.connection import RECEIVE, Arrival, Retry
from loadtool.engine.http1 import KEPT, MAX_KEPT, MAX_KEPT_BODY, Answer
from loadtool.engine.ledger import QUOTED, Ledger
from loadtool.measure.outcome import (
    CHECK,
    CONNECT,
    H_FAILED,
    H_LAG,
    H_OK,
    H_QUEUED,
    H_SHED,
    M_RETRIES,
    M_TOLD,
    OK,
    PROTOCOL,
    SHED,
    STATUS,
    TIMEOUT,
    UNSENT,
)
from loadtool.measure.recorder import NEVER, Cell
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec

MS = 1_000_000
SECRET = "s3cret-token-of-ours"


def ledger(expect: ExpectSpec | None = None, secrets: tuple[str, ...] = (SECRET,)) -> Ledger:
    return Ledger(
        names=["get"],
        expectations=[Expectation.of(expect or ExpectSpec())],
        shed=(503,),
        good_within_ns=1000 * MS,
        start_ns=0,
        secrets=secrets,
    )


def arrival(due_ms: int = 0) -> Arrival:
    cell = Cell((0, 0, 0), True)
    cell.open = 1
    return Arrival(due_ms * MS, (due_ms + 1000) * MS, 0, cell, b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("launched", "dialled", "sent", "last_idle", "lag", "queued"),
    [
        # The loop got round to it late, and has not had a moment's rest since: whatever it waited is lag.
        (130, 0, 190, 99, 90, 0),
        (100, 0, 190, 99, 90, 0),
        (100, 120, 190, 99, 90, 0),
        # It was at rest after the arrival was due: what it waited after its launch is queueing.
        (130, 0, 190, 150, 30, 60),
        (100, 0, 190, 100, 0, 90),
        # ... up to the moment when a connection began to be opened for it.
        (100, 120, 190, 150, 0, 20),
        (100, 100, 190, 150, 0, 0),
    ],
)
def test_lag_or_queued(launched: int, dialled: int, sent: int, last_idle: int, lag: int, queued: int) -> None:
    """All in ms; the arrival is due at 100."""
    subject, waiting = ledger(), arrival(100)
    waiting.launched, waiting.dialled = launched * MS, dialled * MS
    subject.last_idle = last_idle * MS
    subject.settle_wait(waiting, sent * MS)
    assert (waiting.cell.sums[H_LAG], waiting.cell.sums[H_QUEUED]) == (lag * 1000, queued * 1000)


@pytest.mark.parametrize(
    ("queue_due", "queue_rested", "rested", "launched", "dialled", "sent", "last_idle", "lag", "queued"),
    [
        # It leads its queue. A fifth of its wait is rest enough; less is a loop at its limit.
        (100, 50, 68, 100, 0, 190, 150, 0, 90),
        (100, 50, 67, 100, 0, 190, 150, 90, 0),
        (100, 50, 51, 130, 0, 190, 150, 90, 0),
        (100, 50, 50, 100, 0, 190, 99, 90, 0),
        # The first of its queue waited through a stall, and the loop has been busy only since: it catches up.
        (40, 10, 60, 110, 0, 190, 99, 10, 80),
        (40, 10, 40, 110, 0, 190, 99, 10, 80),
        (40, 10, 39, 110, 0, 190, 99, 90, 0),
        # It waited for its turn to have a connection opened, and then for that.
        (100, 50, 67, 100, 120, 190, 150, 0, 20),
        (40, 10, 20, 110, 120, 190, 150, 20, 0),
        (40, 10, 60, 110, 120, 190, 99, 90, 0),
    ],
)  # fmt: skip
def test_lag_or_queued_by_the_rest_of_the_loop(
    queue_due: int, queue_rested: int, rested: int, launched: int, dialled: int, sent: int, last_idle: int,
    lag: int, queued: int,
) -> None:  # fmt: skip
    """All in ms; the arrival is due at 100. The first of its queue was due at `queue_due`."""
    subject, waiting, first = ledger(), arrival(100), arrival(queue_due)
    waiting.launched, waiting.dialled = launched * MS, dialled * MS
    subject.rested = queue_rested * MS
    subject.waits(first, first)
    subject.waits(waiting, first)
    subject.last_idle, subject.rested = last_idle * MS, rested * MS
    subject.settle_wait(waiting, sent * MS)
    assert (waiting.cell.sums[H_LAG], waiting.cell.sums[H_QUEUED]) == (lag * 1000, queued * 1000)


def test_a_second_try_has_waited_already() -> None:
    subject, again = ledger(), arrival()
    again.resent = True
    subject.settle_wait(again, 50 * MS)
    assert again.cell.sums[H_LAG] == again.cell.sums[H_QUEUED] == 0


def come(status: int, *fields: str) -> Answer:
    """An answer without a body."""
    answer = Answer()
    answer.expect(no_body=False, keep_body=False)
    head = "\r\n".join((f"HTTP/1.1 {status} x", "Content-Length: 0", *fields))
    answer.feed(f"{head}\r\n\r\n".encode())
    return answer


def patient(due_ms: int = 0, *, shed_allowed: bool = True) -> Arrival:
    """One that gives up only after a minute."""
    waiting = arrival(due_ms)
    waiting.give_up = 60_000 * MS
    waiting.cell.shed_allowed = shed_allowed
    return waiting


@pytest.mark.parametrize(("response", "good"), [(999 * MS, 1), (1000 * MS, 1), (1000 * MS + 1, 0)])
def test_good_is_what_came_within_the_time_since_it_was_due(response: int, good: int) -> None:
    subject, waiting = ledger(), patient(5000)
    now = waiting.due + response
    subject.answered(waiting, come(200), now - MS, now, now)
    delta = waiting.cell.delta()
    assert (delta.counts[OK], delta.good, delta.values[H_OK].sum_us) == (1, good, (response + 500) // 1000)


@pytest.mark.parametrize(("late", "outcome"), [(0, OK), (1, TIMEOUT)])
def test_an_answer_may_come_up_to_the_timeout(late: int, outcome: int) -> None:
    subject, waiting = ledger(), arrival(5000)
    now = waiting.give_up + late
    subject.answered(waiting, come(200), waiting.due, now, now)
    delta = waiting.cell.delta()
    assert [code for code, n in enumerate(delta.counts) if n] == [outcome]
    assert (H_OK in delta.values) == (outcome == OK)


@pytest.mark.parametrize(
    ("service_ms", "fields", "told"),
    [
        (1000, ("Retry-After: 1",), 1),
        (1001, ("Retry-After: 1",), 0),  # a slow no is no honest one, whatever it promises
        (10, (), 0),
        (10, ("Retry-After: soon",), 0),
    ],
)
def test_who_says_in_time_when_to_come_back(service_ms: int, fields: tuple[str, ...], told: int) -> None:
    """The time is that of the attempt: it was due two seconds before it left."""
    subject, waiting = ledger(), patient()
    now = (2000 + service_ms) * MS
    subject.answered(waiting, come(503, *fields), 2000 * MS, now, now)
    delta = waiting.cell.delta()
    assert (delta.counts[SHED], delta.marks[M_TOLD], delta.values[H_SHED].sum_us) == (
        1, told, service_ms * 1000,
    )  # fmt: skip


@pytest.mark.parametrize("allowed", [True, False])
def test_nobody_may_turn_away_normal_load(allowed: bool) -> None:
    subject, waiting = ledger(), patient(700, shed_allowed=allowed)
    subject.answered(waiting, come(503, "Retry-After: 1"), 700 * MS, 705 * MS, 705 * MS)
    assert waiting.cell.first_shed == (700 * MS if allowed else NEVER)
    delta = waiting.cell.delta()
    assert (delta.counts[SHED], delta.counts[STATUS]) == ((1, 0) if allowed else (0, 1))
    assert (H_SHED in delta.values, H_FAILED in delta.values) == (allowed, not allowed)
    assert delta.marks[M_TOLD] == allowed


@pytest.mark.parametrize(("dialled", "resent", "attempts"), [(0, False, 0), (5, False, 1), (5, True, 0)])
def test_a_connection_that_was_being_opened_was_an_attempt(dialled: int, resent: bool, attempts: int) -> None:
    """One that is sent again has been counted when it left the first time."""
    for end in ("aborted", "unsent", "unreachable"):
        subject, waiting = ledger(), arrival()
        waiting.dialled, waiting.resent = dialled * MS, resent
        if end == "aborted":
            subject.aborted_waiting(waiting, 9 * MS)
        elif end == "unsent":
            subject.unsent(waiting, 9 * MS, "no connection was free")
        elif dialled:
            subject.unreachable(waiting, 9 * MS, CONNECT, "refused")
        assert waiting.cell.attempts == attempts, end


def test_another_attempt_has_a_queue_of_its_own() -> None:
    """All in ms: the first one queued from 100 on while the loop did not rest; this one is due at 290."""
    subject, waiting = ledger(), arrival(100)
    subject.waits(waiting, waiting)
    waiting.retry = Retry()
    waiting.retry.due = 290 * MS
    subject.resume(waiting, 300 * MS)
    subject.last_idle = 350 * MS
    subject.settle_wait(waiting, 390 * MS)
    assert (waiting.cell.sums[H_LAG], waiting.cell.sums[H_QUEUED]) == (10_000, 90_000)
    assert waiting.cell.marks[M_RETRIES] == 1


@pytest.mark.parametrize("left_ns", [0, 1])
def test_an_attempt_without_time_left_is_not_made(left_ns: int) -> None:
    subject, waiting = ledger(), arrival()
    waiting.retry = Retry()
    waiting.retry.due, waiting.give_up = 500 * MS, 600 * MS
    subject.waiting.add(waiting)
    assert subject.next_attempt(499 * MS) is None
    assert waiting.cell.counts[UNSENT] == 0
    made = subject.next_attempt(600 * MS - left_ns)
    assert (made is waiting, waiting.cell.counts[UNSENT]) == ((True, 0) if left_ns else (False, 1))


def answered(body: bytes, expect: ExpectSpec, coding: bytes = b"identity") -> str:
    """The example of an answer that is not as expected."""
    answer = Answer()
    answer.expect(no_body=False, keep_body=True)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body))
    whole = head + body
    for begin in range(0, len(whole), RECEIVE):
        answer.feed(whole[begin : begin + RECEIVE])
    subject = ledger(expect)
    subject.answered(arrival(), answer, MS, 2 * MS, 2 * MS)
    answer.close()
    (example,) = subject.examples
    assert example.kind == ("status" if expect.status else "check")
    return example.detail


MISSING = "the body does not contain 'x'; the answer: "


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ("so it is", "so it is"),
        (f"a {SECRET} b", "a *** b"),
        ("-" * (QUOTED + 1), "-" * QUOTED),
        ("-" * (QUOTED - 5) + SECRET, "-" * (QUOTED - 5) + "***"),  # it would be cut in its middle
        ("-" * (QUOTED - 1) + SECRET, "-" * (QUOTED - 1) + "*"),
        (f"the network cut it: {SECRET[:8]}", "the network cut it: ***"),
        ("two  \n spaces\t\x00", "two spaces \x00"),
    ],
)
def test_what_is_quoted_of_an_answer_has_no_part_of_a_secret(body: str, quoted: str) -> None:
    assert answered(body.encode(), ExpectSpec(contains=("x",))) == MISSING + quoted
    coded = gzip.compress(body.encode(), mtime=0)
    assert answered(coded, ExpectSpec(contains=("x",)), b"gzip") == MISSING + quoted


@pytest.mark.parametrize(
    ("began", "quoted"),
    [
        (b"SSH-2.0-OpenSSH\r\n", r"'SSH-2.0-OpenSSH\r\n'"),
        (b"\x16\x03\x01\xff", r"'\x16\x03\x01�'"),
        (f"GET /?key={SECRET} HTTP/1.1\r\nHost: us, echoed by you".encode(),
         r"'GET /?key=*** HTTP/1.1\r\nHost: us, echoed'"),
        (b"-" * 35 + SECRET.encode(), "'" + "-" * 35 + "***'"),
        (SECRET.encode()[:5], "'***'"),
    ],
)  # fmt: skip
def test_what_came_in_place_of_an_answer_is_shown(began: bytes, quoted: str) -> None:
    subject = ledger()
    subject.fail(arrival(), PROTOCOL, "not HTTP/1.x", began)
    assert subject.examples[0].detail == f"not HTTP/1.x; it began {quoted}"


def test_a_check_says_how_much_it_saw() -> None:
    before, KEPT.bytes = KEPT.bytes, MAX_KEPT
    try:
        detail = answered(b"much more than there was room for", ExpectSpec(contains=("x",)))
    finally:
        KEPT.bytes = before
    assert detail.startswith(
        "the body does not contain 'x' in its first 0 bytes, which is all that was kept; the answer: much"
    )


TOO_LONG = (
    f" in its first {MAX_KEPT_BODY:,} bytes, and is too long to be looked through whole; the answer: ..."
)


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
@pytest.mark.parametrize(
    ("expect", "words"),
    [
        (ExpectSpec(contains=("x",)), "the body does not contain 'x'"),
        (ExpectSpec(matches=("x$",)), "the body does not match 'x$'"),
    ],
)
def test_a_check_says_that_a_body_was_too_long(coding: bytes, expect: ExpectSpec, words: str) -> None:
    for length, told in ((MAX_KEPT_BODY, "; the answer: ..."), (MAX_KEPT_BODY + 1, TOO_LONG)):
        body = b"." * length
        if coding == b"gzip":
            body = gzip.compress(body, compresslevel=1, mtime=0)
        assert answered(body, expect, coding).startswith(words + told)


def test_a_wrong_status_is_not_a_matter_of_length() -> None:
    assert answered(
        b"." * (MAX_KEPT_BODY + 2 * RECEIVE), ExpectSpec(status=(404,), contains=("x",))
    ).startswith("got status 200, want 404; the answer: ...")


def test_one_example_a_kind() -> None:
    subject = ledger()
    for detail in ("first", "second"):
        subject.fail(arrival(), CHECK, detail)
    assert [e.detail for e in subject.examples] == ["first"]


def test_an_example_is_of_the_planned_load() -> None:
    """What follows the plan may well fail before an arrival of the plan that hangs."""
    job = replace(job_for(1), planned_ns=100 * MS)
    subject = ledger_of(
        job, [Expectation.of(r.expect) for r in job.requests], start_ns=0, worker=0, workers=1
    )
    for due_ms in (100, 99):
        subject.fail(arrival(due_ms), PROTOCOL, f"due at {due_ms}")
    assert [example.detail for example in subject.examples] == ["due at 99"]
