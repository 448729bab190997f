"""Link of the transport httpx: when a silent connection is taken for dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import httpcore
import pytest

from loadtool.engine.httpx_link import Link
from loadtool.engine.httpx_stream import Stream


@dataclass
class Heard:
    """A stream that knows when the last byte came."""

    last: int


@pytest.mark.parametrize(
    ("asked", "heard", "silent"),
    [
        ([], 0, 0),  # nobody asked
        ([100], 0, 400),
        ([100], 99, 400),
        ([100], 100, 0),
        ([100], 300, 0),
        ([100, 490], 50, 400),  # the last one left with little time, and proves nothing by itself
    ],
)
def test_silence_counts_from_the_first_request_that_nothing_came_after(
    asked: list[int], heard: int, silent: int
) -> None:
    link = Link(cast(httpcore.AsyncConnectionInterface, None), http2=True)
    link.stream = cast(Stream, Heard(heard))
    for now in asked:
        link.asked(now)
    assert link.silent_for(500) == silent


def test_what_has_come_ends_a_silence() -> None:
    link = Link(cast(httpcore.AsyncConnectionInterface, None), http2=True)
    stream = Heard(0)
    link.stream = cast(Stream, stream)
    link.asked(100)
    stream.last = 200
    link.asked(300)
    assert link.silent_for(500) == 200
