"""HTTP/1.1 as the demo service speaks it: requests out of bytes, answers into bytes. No I/O here."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import httptools

LONGEST_HEAD = 16 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

NO_ANSWER = 444  # a status of nginx's: close the connection without a word

_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole. Header names are in lower case; of a repeated one the last value counts."""

    method: str
    target: str  # as in the request line
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    version: str = "1.1"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `headers` are those beyond the usual ones."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


def json_response(status: int, value: Any, *headers: tuple[str, str]) -> Response:
    return Response(status, json.dumps(value).encode() + b"\n", headers)


class BadRequest(Exception):
    """A request that cannot be understood. Its connection is closed after the answer."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.response = json_response(status, {"error": problem})


@dataclass(slots=True)
class _Draft:
    """A request of which not all has come yet."""

    target: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    keep_alive: bool = False
    in_body: bool = False


class RequestReader:
    """Bytes of one connection in, whole requests out, in order."""

    def __init__(self, max_body_bytes: int) -> None:
        self.requests: deque[Request] = deque()
        self.closing = False  # the client asked for another protocol after this: nothing more can be read
        self._max_body_bytes = max_body_bytes
        self._draft: _Draft | None = None
        self._head_bytes = 0
        self._problem: BadRequest | None = None
        self._parser = httptools.HttpRequestParser(self)

    def close(self) -> None:
        """The parser and this reader hold each other; let go without waiting for the garbage collector."""
        del self._parser

    @property
    def mid_request(self) -> bool:
        """Whether a request has begun that is not whole yet."""
        return self._draft is not None

    def wants_continue(self) -> bool:
        """Whether the client now waits for `100 Continue`; true once per request."""
        draft = self._draft
        return (
            draft is not None
            and draft.in_body
            and not draft.body
            and draft.headers.pop("expect", "").lower() == "100-continue"
        )

    def feed(self, data: bytes | bytearray) -> None:
        """Take bytes that came. Raises BadRequest."""
        in_head = self._draft is None or not self._draft.in_body
        self._head_bytes = self._head_bytes + len(data) if in_head else 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.closing = True
        except httptools.HttpParserError as e:
            raise self._problem or BadRequest(400, f"not an HTTP/1.1 request: {e}") from e
        if self._problem is not None:
            raise self._problem
        if self._draft is None or self._draft.in_body:
            self._head_bytes = 0
        elif self._head_bytes > LONGEST_HEAD:
            raise BadRequest(431, f"request head of more than {LONGEST_HEAD} bytes")

    # Called by the parser. What is wrong is kept for feed(): an exception raised here would arrive wrapped.

    def on_message_begin(self) -> None:
        self._draft = _Draft()

    def on_url(self, part: bytes) -> None:
        if self._draft is not None:
            self._draft.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._draft is not None and not self._draft.in_body:  # what comes after a chunked body is ignored
            self._draft.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        draft = self._draft
        if draft is None:
            return
        draft.in_body = True
        draft.keep_alive = self._parser.should_keep_alive()  # right only here
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._problem = BadRequest(505, f"HTTP/{version} is not spoken here, want HTTP/1.1")
        elif version == "1.1" and "host" not in draft.headers:
            self._problem = BadRequest(400, "no Host header")
        length = draft.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            self._too_large()

    def on_body(self, part: bytes) -> None:
        if self._draft is None or self._problem is not None:
            return
        self._draft.body += part
        if len(self._draft.body) > self._max_body_bytes:
            self._too_large()

    def on_message_complete(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None and self._problem is None:
            self.requests.append(
                Request(
                    self._parser.get_method().decode("ascii"),
                    draft.target.decode("latin-1"),
                    draft.headers,
                    bytes(draft.body),
                    draft.keep_alive,
                    self._parser.get_http_version(),
                )
            )

    def _too_large(self) -> None:
        self._problem = BadRequest(413, f"body of more than {self._max_body_bytes} bytes")


def render(response: Response, *, method: str, version: str, keep_alive: bool, now_s: float) -> bytes:
    """The bytes of an answer to a request of this method and version, at this wall-clock time."""
    head = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}",
        "Server: loadtool-demo",
        f"Date: {formatdate(now_s, usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
    ]
    head += [f"{name}: {value}" for name, value in response.headers]
    if not keep_alive:
        head.append("Connection: close")
    elif version == "1.0":
        head.append("Connection: keep-alive")
    text = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"
    return text if method == "HEAD" else text + response.body
