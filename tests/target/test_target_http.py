from __future__ import annotations

import pytest

from loadtool.target.http import LONGEST_HEAD, BadRequest, Request, RequestReader, Response, render

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


def read(data: bytes, step: int | None = None, max_body_bytes: int = 100) -> list[Request]:
    reader = RequestReader(max_body_bytes)
    step = step or len(data)
    for i in range(0, len(data), step):
        reader.feed(data[i : i + step])
    assert not reader.mid_request
    return list(reader.requests)


@pytest.mark.parametrize("step", [None, 1, 3, 7], ids=["whole", "bytewise", "by 3", "by 7"])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GET, [("GET", "/a?b=1", b"")]),
        (POST, [("POST", "/c", b"hello")]),
        (CHUNKED, [("POST", "/c", b"hello")]),
        (GET + POST + CHUNKED + GET, [("GET", "/a?b=1", b""), ("POST", "/c", b"hello"),
                                      ("POST", "/c", b"hello"), ("GET", "/a?b=1", b"")]),
        (b"\r\n\r\n" + GET, [("GET", "/a?b=1", b"")]),
    ],
)  # fmt: skip
def test_requests_however_the_bytes_are_cut(
    data: bytes, expected: list[tuple[str, str, bytes]], step: int | None
) -> None:
    assert [(r.method, r.target, r.body) for r in read(data, step)] == expected


@pytest.mark.parametrize(
    ("data", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keep_alive(data: bytes, keep_alive: bool) -> None:
    assert read(data)[0].keep_alive is keep_alive


def test_header_names_are_lower_case_and_trailers_ignored() -> None:
    assert read(b"GET / HTTP/1.1\r\nHost: x\r\nX-Trace: AbC\r\n\r\n")[0].headers["x-trace"] == "AbC"
    assert "x-trailer" not in read(CHUNKED)[0].headers


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a TLS hello
        (b"\x00\x00\x00\x00", 400),
        (b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\n c\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + b"x" * 101, 413),
        (b"GET /" + b"a" * LONGEST_HEAD, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * LONGEST_HEAD, 431),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        read(data)
    assert caught.value.response.status == status


def test_a_head_that_never_ends_is_refused_though_it_comes_in_drops() -> None:
    reader = RequestReader(100)
    reader.feed(b"GET / HTTP/1.1\r\n")
    line = b"A: " + b"x" * 1019 + b"\r\n"
    for _ in range(LONGEST_HEAD // len(line) - 1):
        reader.feed(line)
    with pytest.raises(BadRequest) as caught:
        reader.feed(line)
    assert caught.value.response.status == 431


def test_what_came_before_a_bad_request_is_kept() -> None:
    reader = RequestReader(100)
    with pytest.raises(BadRequest):
        reader.feed(GET + b"\x00\x00")
    assert [r.target for r in reader.requests] == ["/a?b=1"]


def test_a_long_body_is_no_long_head() -> None:
    size = 3 * LONGEST_HEAD
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    assert len(read(data, step=1000, max_body_bytes=size)[0].body) == size


@pytest.mark.parametrize("data", [b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b""])
def test_another_protocol_is_not_entered(data: bytes) -> None:
    reader = RequestReader(100)
    method = b"GET /" if data else b"CONNECT x:1"
    reader.feed(method + b" HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n")
    assert len(reader.requests) == 1
    assert reader.closing


def test_continue_is_wanted_once_and_only_before_the_body() -> None:
    reader = RequestReader(100)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
    reader.feed(head)
    assert not reader.wants_continue()
    reader.feed(b"\r\n")
    assert reader.wants_continue()
    assert not reader.wants_continue()
    reader.feed(b"ab")
    assert not reader.wants_continue()
    reader.feed(head + b"\r\na")
    assert not reader.wants_continue()


@pytest.mark.parametrize(
    ("method", "version", "keep_alive", "connection", "body"),
    [
        ("GET", "1.1", True, None, b"hi"),
        ("GET", "1.1", False, "close", b"hi"),
        ("GET", "1.0", True, "keep-alive", b"hi"),
        ("GET", "1.0", False, "close", b"hi"),
        ("HEAD", "1.1", True, None, b""),
    ],
)
def test_render(method: str, version: str, keep_alive: bool, connection: str | None, body: bytes) -> None:
    response = Response(503, b"hi", (("Retry-After", "1"),), content_type="text/plain")
    data = render(response, method=method, version=version, keep_alive=keep_alive, now_s=784111777)
    head, _, sent = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert sent == body
    assert headers.pop("Connection", None) == connection
    assert headers == {
        "Server": "loadtool-demo",
        "Date": "Sun, 06 Nov 1994 08:49:37 GMT",  # the example of RFC 9110
        "Content-Type": "text/plain",
        "Content-Length": "2",
        "Retry-After": "1",
    }
