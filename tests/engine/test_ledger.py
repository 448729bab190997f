"""The ledger alone: whose fault a wait was, and what of an answer is quoted."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from engine_harness import job_for

from loadtool.engine.client_ledger import ledger_of
from loadtool.engine.connection import RECEIVE, Arrival
from loadtool.engine.http1 import KEPT, MAX_KEPT, MAX_KEPT_BODY, Answer
from loadtool.engine.ledger import QUOTED, Ledger
from loadtool.measure.outcome import CHECK, H_LAG, H_QUEUED, PROTOCOL
from loadtool.measure.recorder import Cell
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
