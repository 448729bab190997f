"""Retry-After as seconds and as a date: what clients understand, and what they don't."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.engine.http1 import Answer
from loadtool.engine.retry_after import LONGEST_S, promised_ns

SECOND = 1_000_000_000
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
EPOCH = 784111777.0  # of that date


def answer(*headers: bytes) -> Answer:
    made = Answer()
    made.expect(no_body=False, keep_body=False)
    made.feed(b"\r\n".join([b"HTTP/1.1 503 Busy", *headers, b"Content-Length: 0", b"", b""]))
    return made


def never() -> float:
    raise AssertionError("this machine's clock says nothing here")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0),
        (b"120", 120),
        (b"  7  ", 7),
        (b"0000000000000005", 5),
        (b"31622400", 31622400),
        (b"99999999999999999999999999", LONGEST_S),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1.5", None),
        (b"1s", None),
        (b"1, 2", None),
        ("\u0663".encode(), None),  # a digit, but not one of HTTP's
        (b"soon", None),
        (b"Sun, 32 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_seconds(value: bytes, seconds: int | None) -> None:
    wanted = None if seconds is None else seconds * SECOND
    assert promised_ns(answer(b"Retry-After: " + value), never) == wanted


@pytest.mark.parametrize(
    "value",
    [
        DATE,
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
        b"Sun, 06 Nov 1994 10:49:37 +0200",
    ],
)
@pytest.mark.parametrize(("wall", "seconds"), [(-30.0, 30.0), (-0.25, 0.25), (0.0, 0.0), (5.0, 0.0)])
def test_a_date_counts_from_now(value: bytes, wall: float, seconds: float) -> None:
    found = promised_ns(answer(b"Retry-After: " + value), lambda: EPOCH + wall)
    assert found == seconds * SECOND


def test_a_date_counts_from_the_server_s_own_clock_if_it_tells_that() -> None:
    stated = answer(b"Date: Sun, 06 Nov 1994 08:49:07 GMT", b"Retry-After: " + DATE)
    assert promised_ns(stated, never) == 30 * SECOND
    unclear = answer(b"Date: today", b"Retry-After: " + DATE)
    assert promised_ns(unclear, lambda: EPOCH - 2) == 2 * SECOND


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((b"X-Retry-After: 3",), None),
        ((b"retry-AFTER:3",), 3),
        ((b"X: Retry-After: 4", b"Retry-After: 3"), 3),
        ((b"Retry-After: 3", b"Retry-After: 4"), 3),  # the first one counts
        ((), None),
    ],
)
def test_where_it_stands(headers: tuple[bytes, ...], seconds: int | None) -> None:
    assert promised_ns(answer(*headers), never) == (None if seconds is None else seconds * SECOND)


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40))
def test_no_value_breaks_it(value: str) -> None:
    made = Answer()
    made.adopt(503, b"HTTP/1.1 503 X\r\nRetry-After: " + value.encode("latin-1") + b"\r\n\r\n")
    found = promised_ns(made)
    assert found is None or 0 <= found <= LONGEST_S * SECOND
