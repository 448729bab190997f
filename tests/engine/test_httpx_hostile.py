"""Hostile servers and the transport httpx: the reactor's table, but for what httpx's parser sees differently.

httpx reads HTTP/1.1 with h11, the reactor with llhttp. Where the two differ, neither is wrong: what one takes
generously the other refuses, and what one refuses at once the other waits for in vain.
"""

from __future__ import annotations

import ssl
from dataclasses import replace

import engine_harness
import pytest
import test_hostile
from test_hostile import HALF_ANSWER, ROWS, Row

HEAD = "more than 100 KiB of head"
TAIL = "more than 100 KiB of chunk extensions or trailers"
# Row -> outcome and words.
DIFFERENT: dict[str, tuple[str, str]] = {
    # h11's bound on what it can't yet take apart
    "endless headers": ("protocol", HEAD),
    "endless header": ("protocol", HEAD),
    "endless status line": ("protocol", HEAD),
    "10 MB header": ("protocol", HEAD),
    "endless empty lines": ("protocol", "no response line received"),
    "endless chunk extension": ("protocol", TAIL),
    "endless trailers": ("protocol", TAIL),
    "endless trailer": ("protocol", TAIL),
    # h11 takes lengths of any size, and so waits for the rest
    "Content-Length that overflows": ("timeout", HALF_ANSWER),
    "a chunk size that overflows": ("timeout", HALF_ANSWER),
    # It takes what RFC 9112 lets a recipient take
    "two Content-Lengths, the same": ("ok", ""),
    "Content-Length and chunked": ("ok", ""),
    "chunked and Content-Length": ("ok", ""),
    "a trailer Content-Length": ("ok", ""),
    "bare LF": ("ok", ""),
    "a folded header": ("ok", ""),
    # It refuses what llhttp takes
    "a coding that is not chunked": ("protocol", "Transfer-Encoding"),
    "status 0": ("protocol", "status"),
    # It waits for the end of a line
    "bare CR": ("timeout", HALF_ANSWER),
    # It says it in other words
    "a chunk size that is none": ("protocol", "illegal chunk header"),
    "a negative chunk size": ("protocol", "illegal chunk header"),
    "an interim answer with a body": ("protocol", "illegal status line"),
}


@pytest.fixture(autouse=True)
def httpx_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_harness, "TRANSPORT", "httpx")


def test_each_difference_is_of_a_row_that_is_there() -> None:
    assert set(DIFFERENT) - {row.name for row in ROWS} == set()


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_hostile_over_httpx(row: Row, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    outcome, words = DIFFERENT.get(row.name, (row.outcome, row.words))
    await test_hostile.test_hostile(replace(row, outcome=outcome, words=words), contexts)
