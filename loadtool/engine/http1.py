"""HTTP/1.1 without I/O: a message as bytes, and an answer from bytes.

The parser is httptools (llhttp). What it does not do is done here: answers to HEAD, interim answers (1xx),
the end of a body by the end of the connection, a bound on the head, and telling bytes after the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httptools

from loadtool import __version__
from loadtool.engine.decoding import decoded
from loadtool.plan.job import Endpoint
from loadtool.plan.message import Message

USER_AGENT: Final = f"loadtool/{__version__}"
MAX_HEAD: Final = 256 * 1024  # bytes; nginx and browsers stop earlier
MAX_KEPT_BODY: Final = 16 * 1024 * 1024  # bytes of a body that `expect` looks at
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})


class ProtocolError(Exception):
    """The answer is not HTTP/1.x as RFC 9112 has it."""


def encode(message: Message, endpoint: Endpoint, *, keepalive: bool = True) -> bytes:
    """The request's bytes. Headers of the message win over our own (Host, User-Agent, Accept, Connection)."""
    given = {name.lower() for name, _ in message.headers}
    lines = [f"{message.method} {endpoint.base_path}{message.target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {endpoint.authority}")
    lines.extend(f"{name}: {value}" for name, value in message.headers)
    if "user-agent" not in given:
        lines.append(f"User-Agent: {USER_AGENT}")
    if "accept" not in given:
        lines.append("Accept: */*")
    chunked = "transfer-encoding" in given
    if not chunked and "content-length" not in given and (message.body or message.method in _BODY_METHODS):
        lines.append(f"Content-Length: {len(message.body)}")
    if not keepalive and "connection" not in given:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + message.body


class Answer:
    """One connection's reader of answers: `expect()` before each request, then `feed()` until `complete`.

    It is the parser's protocol object itself; `close()` breaks that cycle, as workers run without collector.
    """

    __slots__ = (
        "_fed", "_head", "_headless", "_no_body", "_parser", "body", "body_length", "complete", "extra",
        "head_done", "keep_alive", "keep_body", "started", "status", "truncated_ok",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self.expect(no_body=False, keep_body=False)

    def expect(self, *, no_body: bool, keep_body: bool) -> None:
        """Get ready for the next answer. `no_body`: to a HEAD; `keep_body`: collect it in `body`."""
        self._no_body = no_body
        self.keep_body = keep_body
        self.started = False  # a byte has come
        self.head_done = False
        self.complete = False
        self.extra = False  # bytes came after the end: the connection can't be used again
        self.keep_alive = False
        self.status = 0
        self.body: list[bytes] = []
        self.body_length = 0
        self._head = b""
        self._fed = 0

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.complete:
            self.extra = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.complete or parser is None:
            return
        self.status = parser.get_status_code()
        if self.status >= 200:
            self.keep_alive = parser.should_keep_alive()
            self.head_done = True
            if self._no_body:
                self.complete = True

    def on_body(self, data: bytes) -> None:
        if self._no_body or self.complete:
            self.extra = True
        elif self.keep_body and self.body_length < MAX_KEPT_BODY:
            self.body.append(data)
            self.body_length += len(data)

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.complete = True

    # What the reactor calls.

    def feed(self, data: bytes) -> bool:
        """Take bytes from the connection; True once the answer is complete. Raises ProtocolError."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        self.started = True
        if not self.head_done:
            self._head = self._head + data if self._head else data
            if len(self._head) > MAX_HEAD and not self._head_ends_within(MAX_HEAD):
                raise ProtocolError(f"a head of more than {MAX_HEAD // 1024} KiB")
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as e:
            raise ProtocolError(f"status {self.status or 101} switches protocols") from e
        except httptools.HttpParserError as e:
            if self.complete:  # rubbish after the end of a good answer
                self.extra = True
            else:
                raise ProtocolError(_reason(e, self._head)) from e
        if self.complete and self._no_body:
            # The parser still waits for the body that an answer to HEAD announces but never has.
            self._parser = None
            if self._final().partition(b"\r\n\r\n")[2]:
                self.extra = True
        return self.complete

    def end_of_file(self) -> bool:
        """The connection has ended. True: that completes a body without length (RFC 9112 6.3)."""
        if self.complete:
            return True
        if self.head_done and not self.keep_alive and not self._has_length():
            self.complete = True
        return self.complete

    def reusable(self) -> bool:
        """Whether another request may follow on the connection."""
        return self.complete and self.keep_alive and not self.extra

    def body_bytes(self) -> bytes:
        return b"".join(self.body)

    def decoded_body(self) -> bytes:
        """The body without its Content-Encoding. Raises ValueError if that can't be undone."""
        coding = next((value for name, value in self.headers() if name == "content-encoding"), "")
        body = self.body_bytes()
        return decoded(body, coding, MAX_KEPT_BODY) if coding else body

    def snippet(self, limit: int = 200) -> str:
        """The beginning of the answer's body as far as it is at hand, for an example."""
        text = self.body_bytes() if self.body else self._final().partition(b"\r\n\r\n")[2]
        return " ".join(text[:limit].decode("utf-8", "replace").split())

    def head_text(self) -> str:
        """Status line and headers as they came."""
        return self._final().partition(b"\r\n\r\n")[0].decode("latin-1")

    def headers(self) -> Sequence[tuple[str, str]]:
        """The answer's headers, names in lower case."""
        pairs = []
        for line in self.head_text().split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                pairs.append((name.strip().lower(), value.strip()))
        return pairs

    def close(self) -> None:
        self._parser = None

    def _has_length(self) -> bool:
        # Asked only for an answer that is not kept alive, so that no header is touched on the hot path.
        return any(name in ("content-length", "transfer-encoding") for name, _ in self.headers())

    def _final(self) -> bytes:
        """The head without interim answers before it."""
        head = self._head
        while head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            head = head.partition(b"\r\n\r\n")[2]
        return head

    def _head_ends_within(self, limit: int) -> bool:
        return self._head.find(b"\r\n\r\n", 0, limit + 4) >= 0


def _reason(error: Exception, head: bytes) -> str:
    text = str(error) or type(error).__name__
    start = head[:40]
    return f"{text}; it began {start!r}" if not start.startswith(b"HTTP/1.") else text
