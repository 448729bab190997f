"""HTTP/1.1 without I/O: answers cut and mangled in every way."""

from __future__ import annotations

import tracemalloc

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.engine.http1 import (
    KEPT,
    MAX_HEAD,
    MAX_KEPT,
    MAX_KEPT_BODY,
    Answer,
    ProtocolError,
)


def read(chunks: list[bytes], *, no_body: bool = False, keep_body: bool = True) -> Answer:
    answer = Answer()
    answer.expect(no_body=no_body, keep_body=keep_body)
    for chunk in chunks:
        answer.feed(chunk)
    return answer


VALID = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nT: x\r\n\r\n",
     200, b"hello", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, b"ok", True),
    (b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 503, b"", False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status", "body", "reusable"), VALID)
def test_a_valid_answer_split_anywhere_is_the_same_answer(
    data: bytes, status: int, body: bytes, reusable: bool
) -> None:
    for at in range(1, len(data)):
        answer = read([data[:at], data[at:]])
        assert (answer.complete, answer.status, answer.body_bytes()) == (True, status, body), at
        assert answer.reusable() is reusable, at
    bytewise = read([data[i : i + 1] for i in range(len(data))])
    assert (bytewise.complete, bytewise.status, bytewise.body_bytes()) == (True, status, body)


@pytest.mark.parametrize(("data", "status", "body", "reusable"), VALID)
def test_incomplete_is_not_complete(data: bytes, status: int, body: bytes, reusable: bool) -> None:
    for at in range(1, len(data)):
        answer = read([data[:at]])
        assert not answer.complete
        assert not answer.end_of_file(), f"cut after {at} bytes"


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    answer = read([b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", b"all", b" of it"])
    assert not answer.complete
    assert answer.end_of_file()
    assert answer.body_bytes() == b"all of it"
    assert not answer.reusable()


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\n", b"junk", VALID[0][0]])
def test_bytes_after_the_end_spoil_the_connection_and_not_the_answer(extra: bytes) -> None:
    answer = read([VALID[0][0] + extra])
    assert (answer.complete, answer.status, answer.body_bytes()) == (True, 200, b"hello")
    assert not answer.reusable()


def test_head_has_no_body() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    answer = read([data], no_body=True)
    assert answer.complete
    assert answer.reusable()
    assert not read([data + b"hello"], no_body=True).reusable()
    # and the parser is as good as new for the next answer
    answer.expect(no_body=False, keep_body=True)
    assert answer.feed(VALID[0][0])
    assert answer.body_bytes() == b"hello"


def test_one_reader_reads_many_answers() -> None:
    answer = Answer()
    for data, status, body, _ in VALID[:5] * 3:
        answer.expect(no_body=False, keep_body=True)
        assert answer.feed(data)
        assert (answer.status, answer.body_bytes()) == (status, body)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "Expected HTTP/"),
        (b"\x16\x03\x01\x02\x00", "Expected HTTP/"),
        (b"<html>old</html>", "Expected HTTP/"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk size"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "101"),
    ],
)
def test_what_is_not_http(data: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        read([data])


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"\r\nRTSP/1.0 200 OK\r\n\r\n"]
)
def test_what_does_not_look_like_http_is_shown(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read([data])
    assert caught.value.began == data.lstrip()


@pytest.mark.parametrize(
    ("head", "ended"),
    [
        (b"Transfer-Encoding: gzip", True),
        (b"Transfer-Encoding: chunked, gzip", True),
        (b"Transfer-Encoding: gzip, chunked", False),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", False),
        (b"Content-Length: 9\r\nConnection: close", False),
        (b"X-Content-Length: 9", True),
        (b"Transfer-Encoding: gzip, Chunked\r\nConnection: close", False),
        (b"Transfer-Encoding: chunked\r\nConnection: close", False),
    ],
)
def test_which_bodies_end_with_the_connection(head: bytes, ended: bool) -> None:
    for before in (b"", b"\r\n", b"HTTP/1.1 103 Wait\r\n\r\n"):
        answer = read([before + b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n", b"5\r\nhe"])
        assert not answer.complete
        assert answer.end_of_file() is ended


@pytest.mark.parametrize(
    ("start", "fields", "kept"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200 OK", b"Connection: x, Close\r\n", False),
        (b"HTTP/1.0 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"Connection: keep-alive\r\n", True),
        (b"HTTP/1.1 103 Wait\r\n\r\nHTTP/1.0 200 OK", b"", False),
    ],
)
def test_an_answer_to_head_without_a_length_keeps_its_connection(
    start: bytes, fields: bytes, kept: bool
) -> None:
    assert read([start + b"\r\n" + fields + b"\r\n"], no_body=True).reusable() is kept


def test_a_body_beyond_the_bound_is_read_and_not_kept() -> None:
    answer = Answer()
    answer.expect(no_body=False, keep_body=True)
    size = MAX_KEPT_BODY + (2 << 20)
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    block = b"x" * (1 << 20)
    for _ in range(size // len(block)):
        answer.feed(block)
    assert answer.complete
    assert answer.body_length == len(answer.body_bytes()) == MAX_KEPT_BODY
    assert answer.truncated
    assert not answer.starved
    answer.close()


def test_a_body_in_the_smallest_parts_takes_no_more_room() -> None:
    answer = Answer()
    answer.expect(no_body=False, keep_body=True)
    answer.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    tracemalloc.start()
    try:
        for _ in range(100):
            answer.feed(b"1\r\nx\r\n" * 1000)
        assert answer.body_length == 100_000
        assert tracemalloc.get_traced_memory()[0] < 2 * answer.body_length
    finally:
        tracemalloc.stop()
    answer.close()


def test_all_bodies_together_have_a_bound_too() -> None:
    before = KEPT.bytes
    KEPT.bytes = MAX_KEPT  # as if others kept so much
    try:
        starved = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"])
        assert starved.complete
        assert (starved.body_bytes(), starved.truncated, starved.starved) == (b"", True, True)
        KEPT.bytes -= 10
        starved.expect(no_body=False, keep_body=True)
        starved.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        assert (starved.body_bytes(), starved.truncated, starved.starved) == (b"hello", False, False)
        assert KEPT.bytes == MAX_KEPT - 5
        starved.close()
        assert KEPT.bytes == MAX_KEPT - 10
    finally:
        KEPT.bytes = before


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"HTTP/1.1 103 Wait\r\n\r\n" * 100),
        (b"", b"\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 2000),
    ],
)
def test_what_is_kept_of_endless_heads_is_bounded(start: bytes, more: bytes) -> None:
    answer = Answer()
    answer.feed(start + more)
    for _ in range((MAX_HEAD - len(start)) // len(more) - 1):
        answer.feed(more)
    with pytest.raises(ProtocolError, match="more than 256 KiB of head"):
        answer.feed(more)


def test_our_own_errors_are_not_the_answers() -> None:
    error = httptools.HttpParserCallbackError("the user callback failed")
    error.__context__ = MemoryError()
    with pytest.raises(MemoryError):
        Answer()._stopped(error)


def test_a_head_without_end_is_given_up() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\n")
    answer.feed(b"X-Header: " + b"x" * (MAX_HEAD - 40))
    with pytest.raises(ProtocolError, match=r"^more than 256 KiB of head$"):
        answer.feed(b"x" * 40)


@given(st.sampled_from([v[0] for v in VALID]), st.data())
def test_mangled_answers_end_in_an_answer_or_a_protocol_error(valid: bytes, data: st.DataObject) -> None:
    mangled = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mangled) - 1))
        mangled[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(mangled)))
    answer = Answer()
    try:
        answer.feed(bytes(mangled[:cut]))
        answer.feed(bytes(mangled[cut:]))
    except ProtocolError:
        assert not answer.complete
        return
    answer.end_of_file()
    assert answer.complete in (True, False)
    assert answer.reusable() <= answer.complete
