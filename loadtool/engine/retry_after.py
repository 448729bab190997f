"""Retry-After: how long an answer asks its client to wait before the next try (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from loadtool.engine.http1 import Answer

SECOND: Final = 1_000_000_000
LONGEST_S: Final = 366 * 24 * 3600  # no run lasts longer, so a longer wait is as good as this one
_RETRY_AFTER: Final = re.compile(r"\nretry-after[ \t]*:([^\r\n]*)", re.IGNORECASE)
_DATE: Final = re.compile(r"\ndate[ \t]*:([^\r\n]*)", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]+", re.ASCII)


def promised_ns(answer: Answer, wall: Callable[[], float] = time.time) -> int | None:
    """The delay that the answer asks for, in ns from now; None if its Retry-After is missing or malformed.

    It is whole seconds, or a date in one of HTTP's three forms. A date counts from the answer's own Date, so
    that clocks may differ, else from `wall`, in seconds since 1970; one that has passed is no delay.
    """
    head = answer.head_text()
    found = _RETRY_AFTER.search(head)
    return None if found is None else delay_ns(found[1], head, wall)


def delay_ns(value: str, head: str, wall: Callable[[], float]) -> int | None:
    """The same of a field's value in this head."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(int(value[-12:]) if len(value.lstrip("0")) <= 12 else LONGEST_S, LONGEST_S) * SECOND
    until = _moment(value)
    if until is None:
        return None
    stated = _DATE.search(head)
    now = _moment(stated[1].strip()) if stated is not None else None
    if now is None:
        now = wall()
    return round(min(max(until - now, 0.0), LONGEST_S) * SECOND)


def _moment(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # the form of C's asctime names no zone, and means this one
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
