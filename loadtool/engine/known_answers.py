"""KnownAnswers: tells an answer that looks like one that the parser has read before.

A service answers a request with the same header lines again and again. What differs is a value here and
there: a date, an id, a length. So an answer whose bytes are those of a known one, but for values that mean
nothing to a parser of HTTP/1.1, means the same; to compare them takes a fraction of the time of parsing.
Whatever is not plainly alike goes to the parser, which alone decides what is an answer.

Answers that are whole in one read and say their length can be known; in the values that differ there may be
printable ASCII alone, which every parser takes.
"""

from __future__ import annotations

from typing import Final

MOST_STATUSES: Final = 16  # per request
STATUS_ENDS: Final = 12  # bytes: "HTTP/1.1 200"
MOST_SKIPPED: Final = 1023  # answers
RENEWED: Final = 16  # answers that were known: after so many, other values are new ones, not ones that vary
MOST_DIGITS: Final = 9  # of a length; more is no answer that comes in one read
LENGTH: Final = b"content-length"
# Besides, these say where an answer ends and what follows on its connection (RFC 9110 7.6.1 and 7.8, RFC 9112
# 6.1); proxy-connection is of no RFC, but parsers take it for connection. With other values, it is not known.
FRAMING: Final = frozenset({b"connection", b"transfer-encoding", b"proxy-connection", b"upgrade"})
WITHOUT_BODY: Final = frozenset({204, 304})  # whatever length they say: those that say one are not known
# Printable ASCII as a letter, all else as none: `translate` and `isalpha` are quicker than a pattern.
LETTERS: Final = bytes(ord("a") if 0x20 <= byte <= 0x7E else 0 for byte in range(256))


class Shape:
    """What the answers of one status have looked like: text that stays, and values that vary between.

    It learns: `end_of_head` says whether it knows an answer, and `learn` takes one that it did not know.
    """

    __slots__ = (
        "_after", "_body", "_first", "_hits", "_length_at", "_lines", "_penalty", "_skip", "_values",
        "_varying", "_widths", "curious", "keep_alive", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.curious = True  # the last answer was compared and not known
        self.status = 0
        self.keep_alive = False  # whether they leave the connection open
        self._first = b""  # the text before the first value that varies
        self._widths: list[int] = []  # bytes of each such value; 0: they vary, too
        self._after: list[bytes] = []  # the text after each
        self._length_at = -1  # which of them is the body's length
        self._body = 0  # bytes, if its length does not vary
        self._lines: list[bytes] = []  # each up to its value, in the last answer that was learned
        self._values: list[bytes] = []
        self._varying: list[bool] = []
        self._hits = 0  # since then
        self._skip = 0  # answers that are not even compared
        self._penalty = 0  # ... after the next one that is not known; falls with each one that is

    def end_of_head(self, data: bytes) -> int:
        """Where the head ends, if this is a whole answer of this shape and no more; otherwise 0."""
        if self._skip:
            self._skip -= 1
            return 0
        end = self._match(data)
        if end:
            self._hits += 1
            if self._penalty:
                self._penalty -= 1
        else:
            # What never looks alike costs next to nothing in the long run.
            self._skip = self._penalty
            self._penalty = min(2 * self._penalty + 1, MOST_SKIPPED)
            self.curious = True
        return end

    def _match(self, data: bytes) -> int:
        first = self._first
        at = len(first)
        if not at or not data.startswith(first):
            return 0
        body = self._body
        for i in range(len(self._widths)):
            width = self._widths[i]
            end = at + width if width else data.find(b"\r", at)
            if end < at:
                return 0
            value = data[at:end]
            if i == self._length_at:
                if not value.isdigit() or len(value) > MOST_DIGITS:
                    return 0
                body = int(value)
            elif not value.isalnum() and not value.translate(LETTERS).isalpha():
                return 0
            after = self._after[i]
            at = end + len(after)
            if data[end:at] != after:
                return 0
        return at if len(data) == at + body else 0

    def learn(self, data: bytes, status: int, keep_alive: bool) -> None:
        """The parser says: one whole answer and no more. `keep_alive`: the connection stays open after it."""
        self.curious = False
        end = data.find(b"\r\n\r\n") + 4
        lines: list[bytes] = []
        values: list[bytes] = []
        length: int | None = None
        for number, line in enumerate(data[: end - 4].split(b"\r\n")):
            if not line.translate(LETTERS).isalpha():
                return  # no text that every parser takes alike
            if number == 0:
                lines.append(line)
                values.append(b"")
                continue
            name, colon, value = line.partition(b":")
            if not colon:
                return
            lines.append(name + (b": " if value[:1] == b" " else b":"))
            values.append(value[1:] if value[:1] == b" " else value)
            if name.lower() == LENGTH:
                if not values[-1].isdigit() or len(values[-1]) > MOST_DIGITS:
                    return
                length = int(values[-1])
        if len(data) != end + (length or 0) or (status in WITHOUT_BODY) != (length is None):
            return
        self._remember(lines, values)
        self.status = status
        self.keep_alive = keep_alive
        self._body = length or 0
        self._hits = 0

    def _remember(self, lines: list[bytes], values: list[bytes]) -> None:
        """The shape of an answer of these lines, and of the last one if that has the same."""
        varying = [False] * len(lines)
        widths = [len(value) for value in values]
        if lines == self._lines:
            for i, (value, before) in enumerate(zip(values, self._values, strict=True)):
                if self._varying[i] or (value != before and self._hits < RENEWED):
                    varying[i] = True
                    if len(value) != len(before) or (self._varying[i] and not self._width(i)):
                        widths[i] = 0
        texts = [b""]
        places: list[int] = []
        for i, (line, value) in enumerate(zip(lines, values, strict=True)):
            texts[-1] += line
            if varying[i] and line.partition(b":")[0].lower() not in FRAMING:
                places.append(i)
                texts.append(b"\r\n")
            else:
                varying[i] = False
                texts[-1] += value + b"\r\n"
        texts[-1] += b"\r\n"
        self._first = texts[0]
        self._after = texts[1:]
        self._widths = [widths[i] for i in places]
        self._length_at = -1
        for place, i in enumerate(places):
            if lines[i].partition(b":")[0].lower() == LENGTH:
                self._length_at = place
                self._widths[place] = 0  # lengths that differ differ in width soon
        self._lines, self._values, self._varying = lines, values, varying

    def _width(self, line: int) -> int:
        """Of the value in that line, which varies."""
        return self._widths[sum(self._varying[:line])]


class KnownAnswers:
    """The shapes of the answers to one request, by status."""

    __slots__ = ("_last", "_last_status", "_shapes")

    def __init__(self) -> None:
        self._shapes: dict[bytes, Shape] = {}
        self._last: Shape | None = None  # most answers have the status of the one before
        self._last_status = b""

    def shape_of(self, data: bytes) -> Shape | None:
        """The shape of answers that begin like this one; it may not have learned any yet."""
        last = self._last
        if last is not None and data.startswith(self._last_status):
            return last
        status = data[:STATUS_ENDS]
        shape = self._shapes.get(status)
        if shape is None:
            whole = len(status) == STATUS_ENDS  # else it came in pieces, as slow answers do
            if not whole or status[:7] != b"HTTP/1." or len(self._shapes) == MOST_STATUSES:
                return None
            shape = self._shapes[status] = Shape()
        self._last, self._last_status = shape, status
        return shape
