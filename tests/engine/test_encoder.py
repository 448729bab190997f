"""HTTP/1.1 without I/O: what is sent."""

from __future__ import annotations

import pytest

from loadtool.engine.encoder import MOST_HEADS, USER_AGENT, Encoder, encode
from loadtool.plan.job import Endpoint
from loadtool.plan.message import Message

ENDPOINT = Endpoint("http", "127.0.0.1", 8080, "shop.test:8080", "shop.test", "/api")


def lines_of(data: bytes) -> list[str]:
    return data.partition(b"\r\n\r\n")[0].decode().split("\r\n")


@pytest.mark.parametrize(
    ("message", "keepalive", "head"),
    [
        (Message("GET", "/x?a=1", (), b""), True,
         ["GET /api/x?a=1 HTTP/1.1", "Host: shop.test:8080", f"User-Agent: {USER_AGENT}", "Accept: */*"]),
        (Message("GET", "/", (), b""), False,
         ["GET /api/ HTTP/1.1", "Host: shop.test:8080", f"User-Agent: {USER_AGENT}", "Accept: */*",
          "Connection: close"]),
        (Message("POST", "/", (), b""), True,
         ["POST /api/ HTTP/1.1", "Host: shop.test:8080", f"User-Agent: {USER_AGENT}", "Accept: */*",
          "Content-Length: 0"]),
        (Message("DELETE", "/", (), b"why"), True,
         ["DELETE /api/ HTTP/1.1", "Host: shop.test:8080", f"User-Agent: {USER_AGENT}", "Accept: */*",
          "Content-Length: 3"]),
        (Message("GET", "/", (("HOST", "other"), ("user-agent", "me"), ("Accept", "text/html")), b""), True,
         ["GET /api/ HTTP/1.1", "HOST: other", "user-agent: me", "Accept: text/html"]),
    ],
)  # fmt: skip
def test_encode(message: Message, keepalive: bool, head: list[str]) -> None:
    data = encode(message, ENDPOINT, keepalive=keepalive)
    assert lines_of(data) == head
    assert data.endswith(b"\r\n\r\n" + message.body)


def test_encoder_fits_what_it_has_made_to_other_messages() -> None:
    """Formats are kept by header names: nothing of one message may get into the next one."""
    endpoint = Endpoint("http", "h", 80, "%s.test", "h", "/100%25%s")
    encoder = Encoder(endpoint)
    messages = [
        Message("GET", f"/{n}%d", (("X-%s", f"{n}%"), *((("Host", "o"),) if n & 1 else ())), b"x%d" * (n % 3))
        for n in range(12)
    ]
    made = [encoder.encode(message) for message in messages]
    assert made == [encode(message, endpoint) for message in messages]
    host = f"User-Agent: {USER_AGENT}"
    assert lines_of(made[1]) == [
        "GET /100%25%s/1%d HTTP/1.1", "X-%s: 1%", "Host: o", host, "Accept: */*", "Content-Length: 3",
    ]  # fmt: skip
    assert lines_of(made[6]) == [
        "GET /100%25%s/6%d HTTP/1.1", "Host: %s.test", "X-%s: 6%", host, "Accept: */*",
    ]  # fmt: skip


def test_encoder_keeps_only_so_many_formats() -> None:
    encoder = Encoder(ENDPOINT)
    for n in range(MOST_HEADS + 5):
        head = lines_of(encoder.encode(Message("GET", "/", ((f"X-{n}", str(n)),), b"")))
        assert head[2] == f"X-{n}: {n}"
        assert len(encoder._heads) <= MOST_HEADS


def test_messages_of_a_kind_share_their_head() -> None:
    encoder = Encoder(ENDPOINT, kinds=2)
    for n in range(3):
        for kind, message in enumerate(
            (
                Message("GET", f"/{n}", (("X-A", f"a{n}"), ("X-B", f"b{n}")), b""),
                Message("POST", f"/{n}{n}", (("X-C", f"c{n}"),), b"x" * (n + 9)),
            )
        ):
            assert encoder.encode(message, kind) == encode(message, ENDPOINT)
