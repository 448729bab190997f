"""Tests that need a machine which is not too busy: they try again, then skip, and the skip is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

TRIES = 3


class Busy(Exception):
    """The machine, not loadtool, was too late: says how that is known."""


def tried(attempt: Callable[[], Awaitable[list[str]]]) -> None:
    """Attempt it, in trio, until it finds nothing wrong.

    An attempt returns what is wrong, or raises Busy if what is wrong proves nothing. Skips if the machine was
    too busy each time, and fails if it was not.
    """
    excuses: list[str] = []
    found: list[str] = []
    for _ in range(TRIES):
        try:
            wrong = trio.run(attempt)
        except Busy as e:
            excuses.append(str(e))
            continue
        if not wrong:
            return
        found += wrong
    if found:
        pytest.fail("; ".join(found))
    pytest.skip(f"this machine was too busy, {TRIES} times over: {'; '.join(excuses)}")
