"""HTTP/1.1 without I/O: an answer from bytes.

The parser is httptools (llhttp). What it does not do is done here: answers to HEAD, interim answers (1xx),
the end of a body by the end of the connection, telling bytes after the end, and bounds: on what is not body
(heads, interim answers, chunk extensions, trailers) and on the bodies that are kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import httptools

from loadtool.engine.decoding import decoded, quotable
from loadtool.engine.known_answers import KnownAnswers

MAX_HEAD: Final = 256 * 1024  # bytes without a byte of a body among them; nginx and browsers stop earlier
MAX_KEPT_BODY: Final = 16 * 1024 * 1024  # bytes of a body that `expect` looks at
MAX_KEPT: Final = 512 * 1024 * 1024  # bytes of all bodies that are kept at a time in this process
AT_HAND: Final = 16 * 1024  # bytes of a body that are looked at for an example
_VERSION: Final = b"HTTP/1."
_EMPTY_LINES: Final = re.compile(rb"[\r\n]*")


class ProtocolError(Exception):
    """The answer is not HTTP/1.x as RFC 9112 has it. `began`: how it began, if that does not look like it."""

    def __init__(self, reason: str, began: bytes = b"") -> None:
        super().__init__(reason)
        self.began = began


class _Kept:
    """How many bytes of bodies all answers of this process keep."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


KEPT: Final = _Kept()


class Answer:
    """One connection's reader of answers: `expect()` before each request, then `feed()` until `complete`.

    It is the parser's protocol object itself; `close()` breaks that cycle, as workers run without collector.
    """

    __slots__ = (
        "_barren", "_head", "_known", "_no_body", "_odd", "_parser", "body", "body_length", "complete",
        "extra", "head_done", "interims", "keep_alive", "keep_body", "started", "starved", "status",
        "truncated",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self.complete = self.extra = self.keep_alive = self.truncated = False
        self.body_length = 0
        self.drop_body()
        self.expect(no_body=False, keep_body=False)

    def expect(self, *, no_body: bool, keep_body: bool, known: KnownAnswers | None = None) -> None:
        """Get ready for the next answer.

        `no_body`: to a HEAD. `keep_body`: collect it in `body`. `known`: what answers to it have looked like.
        """
        if self.extra or not self.complete or not self.keep_alive:
            self._parser = None  # it is in the middle of something, or done
        if self.body_length or self.truncated:
            self.drop_body()
        self._no_body = no_body
        self._known = None if no_body else known
        self.keep_body = keep_body
        self.started = False  # a byte has come
        self.head_done = False
        self.complete = False
        self.extra = False  # bytes came after the end: the connection can't be used again
        self.keep_alive = False
        self.status = 0
        self._head: bytes | bytearray = b""
        self._odd = False  # its first bytes are not those of HTTP/1.x
        self.interims = 0  # answers (1xx) before the final one
        self._barren = 0  # bytes since the last one of a body

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.complete:
            self.extra = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.complete or parser is None:
            return
        self.status = parser.get_status_code()
        if 100 <= self.status < 200:
            self.interims += 1
            return
        self.keep_alive = parser.should_keep_alive()
        self.head_done = True
        if self._no_body:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        self._barren = 0
        if self._no_body or self.complete:
            self.extra = True
        elif self.keep_body:
            self._keep(data)

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True

    # What the reactor calls.

    def feed(self, data: bytes) -> bool:
        """Take bytes from the connection; True once the answer is complete. Raises ProtocolError."""
        known = self._known
        if known is None or self.started:
            return self._parse(data)
        shape = known.shape_of(data)
        if shape is None:
            return self._parse(data)
        end = shape.end_of_head(data)
        if end:
            self.adopt(shape.status, data)
            self.complete = True
            self.keep_alive = shape.keep_alive
            if self.keep_body:
                self._keep(data[end:])
            return True
        complete = self._parse(data)
        if shape.curious and complete and not self.extra and not self.interims:
            shape.learn(data, self.status, self.keep_alive)
        return complete

    def _parse(self, data: bytes) -> bool:
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        self.started = True
        self._barren += len(data)
        in_head = not self.head_done
        if in_head:
            if self._head:
                self._add_to_head(data)
            else:
                self._head = data
                self._odd = data[:7] != _VERSION
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as e:
            self._stopped(e)
        if in_head and self.head_done and (self._odd or self._no_body or self.interims):
            self._look_at_head()
        if self._barren > MAX_HEAD and not self.complete:
            what = "chunk extensions or trailers" if self.head_done else "head"
            raise self._refused(f"more than {MAX_HEAD // 1024} KiB of {what}")
        return self.complete

    def end_of_file(self) -> bool:
        """The connection has ended. True: that completes a body without length (RFC 9112 6.3)."""
        if not self.complete and self.head_done and not self.keep_alive and not self._has_length():
            self.complete = True
            self._parser = None
        return self.complete

    def adopt(self, status: int, head: bytes) -> None:
        """Take the status and head of an answer that another reader takes apart; `on_body` takes its body.

        What stands behind the head's empty line is the beginning of the body, for an example.
        """
        self.started = self.head_done = True
        self.status = status
        self._head = head

    def reusable(self) -> bool:
        """Whether another request may follow on the connection."""
        return self.complete and self.keep_alive and not self.extra

    def body_bytes(self) -> bytes:
        return bytes(self.body)

    def decoded_body(self) -> bytes:
        """The body without its Content-Encoding, as far as it is looked at: `truncated` says if that is all.

        Raises ValueError if it can't be undone.
        """
        coding = self._coding()
        body = self.body_bytes()
        if coding:
            body = decoded(body, coding, MAX_KEPT_BODY + 1, whole=not self.truncated)
        if len(body) > MAX_KEPT_BODY:
            self.truncated = True
            body = body[:MAX_KEPT_BODY]
        return body

    def snippet(self, limit: int = 200) -> str:
        """The beginning of the answer's body as far as it is at hand, for an example."""
        body = self.body or self._final().partition(b"\r\n\r\n")[2]
        return quotable(bytes(body[:AT_HAND]), self._coding(), limit)

    def _coding(self) -> str:
        return ",".join(value for name, value in self.headers() if name == "content-encoding")

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

    def drop_body(self) -> None:
        """Forget the body that was kept: it has been looked at."""
        KEPT.bytes -= self.body_length
        self.body = bytearray()  # not a list of parts: a server chooses how small they are
        self.body_length = 0
        self.truncated = False  # the body goes on after what was kept or decoded of it
        self.starved = False  # ... because other answers took up the memory for that

    def close(self) -> None:
        """The connection is gone. What was kept goes, too, as the object may live on for a while."""
        self._parser = None
        self.drop_body()
        self._head = b""

    def _keep(self, data: bytes) -> None:
        if self.body_length >= MAX_KEPT_BODY:
            self.truncated = True
        elif KEPT.bytes >= MAX_KEPT:
            self.truncated = self.starved = True
        else:
            self.body += data
            self.body_length += len(data)
            KEPT.bytes += len(data)

    def _add_to_head(self, data: bytes) -> None:
        head = self._head
        if isinstance(head, bytearray):
            head += data
        else:
            self._head = bytearray(head) + data

    def _look_at_head(self) -> None:
        """Refuse what the parser lets pass, and know what it can't."""
        head = self._final()
        if not head.startswith(b"HTTP/1."):
            raise self._refused("not HTTP/1.x", head)
        if self._no_body:
            # The parser waits for the body that an answer to HEAD announces but never has.
            self._parser = None
            if head.partition(b"\r\n\r\n")[2]:
                self.extra = True
            if not self.keep_alive and not self._has_length():
                # To the parser, only the end of the connection ends this answer.
                self.keep_alive = self._wants_to_be_kept()

    def _stopped(self, error: Exception) -> None:
        """The parser has given up: raises ProtocolError, unless that was after the end of a good answer."""
        if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
            raise error.__context__  # our own, such as a MemoryError: not the answer's fault
        if self.complete:
            self.extra = True
        elif isinstance(error, httptools.HttpParserUpgrade) or self.status == 101:
            raise self._refused("status 101 switches protocols") from error
        else:
            head = self._final()
            began = b"" if head.startswith(b"HTTP/1.") else head
            raise self._refused(str(error) or type(error).__name__, began) from error

    def _refused(self, reason: str, began: bytes | bytearray = b"") -> ProtocolError:
        self._parser = None
        self.complete = self.head_done = False
        return ProtocolError(reason, bytes(began))

    def _has_length(self) -> bool:
        # Asked only for an answer that is not kept alive, so that no header is touched on the hot path.
        headers = self.headers()
        codings = [value for name, value in headers if name == "transfer-encoding"]
        if codings:
            return codings[-1].rpartition(",")[2].strip().lower() == "chunked"
        return any(name == "content-length" for name, _ in headers)

    def _wants_to_be_kept(self) -> bool:
        options = {
            option.strip().lower()
            for name, value in self.headers()
            if name == "connection"
            for option in value.split(",")
        }
        return "close" not in options and (
            "keep-alive" in options or not self._final().startswith(b"HTTP/1.0")
        )

    def _final(self) -> bytes | bytearray:
        """The head without interim answers before it."""
        head = self._head
        at = 0
        for _ in range(self.interims):
            at = head.find(b"\r\n\r\n", _start(head, at)) + 4
        at = _start(head, at)
        return head[at:] if at else head


def _start(head: bytes | bytearray, at: int) -> int:
    """Where the next head starts: some servers send empty lines before it."""
    found = _EMPTY_LINES.match(head, at)
    return found.end() if found is not None else at
