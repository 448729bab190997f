"""Frames of HTTP/2 as a server sends them: what its GOAWAY says of the request under way (RFC 9113, 6.8).

h2 takes nothing after a GOAWAY, not even what comes in the same read. But a server that says goodbye without
complaint still answers what it has taken, and some say it with the last answer that they give.
"""

from __future__ import annotations

from typing import Final

from h2.errors import ErrorCodes

FRAME_HEAD: Final = 9  # bytes: length, type, flags, stream
_HEADERS: Final = b"\1"
_GOAWAY: Final = b"\7"
_LEAST: Final = 8  # bytes of a GOAWAY: the last stream, the error code
_MOST: Final = 1 << 14  # as we allow no longer frames; h2 refuses such a one
_STREAM: Final = 0x7FFF_FFFF  # without the reserved bit
_ANNOUNCED: Final = _STREAM  # as the last stream: the one that is the last will be named later


class Frames:
    """What comes over one connection, for one request at a time."""

    __slots__ = ("_answering", "_asked", "_held", "_left", "_said", "owed", "refused")

    def __init__(self) -> None:
        # As the server says of the request under way, when it takes no more over this connection.
        self.refused = False  # it has not taken it
        self.owed = False  # it has, and will answer it
        self._said = -1  # the error code of the last GOAWAY; -1: there was none
        self._asked = 0  # the stream of the request under way
        self._answering = False  # it has an answer, or the beginning of one
        self._held = b""  # the beginning of a frame, until one sees which it is
        self._left = 0  # bytes to come of a frame that has begun

    def ask(self, stream: int) -> None:
        """A request leaves on this stream."""
        self._asked = stream
        self._answering = False

    @property
    def leaving(self) -> bool:
        """Whether the server takes no more requests over this connection."""
        return self._said >= 0

    @property
    def complained(self) -> bool:
        """Whether it has said so because of an error, and had taken the request under way."""
        return self._said > ErrorCodes.NO_ERROR and not self.refused

    @property
    def words(self) -> str:
        """What the server has said."""
        known = self._said in frozenset(ErrorCodes)
        name = ErrorCodes(self._said).name if known else f"code {self._said}"
        return f"the server ended the connection ({name})"

    def pass_on(self, data: bytes) -> bytes:
        """What h2 is to see of `data`: all but goodbyes without complaint, and what follows a complaint.

        The beginning of a frame may be held back until the next bytes have come. Once the request is
        `refused`, the result is of no use.
        """
        data = self._held + data
        self._held = b""
        kept: list[bytes] = []
        begin = 0  # of what is not in `kept` yet
        at = min(self._left, len(data))
        self._left -= at
        while at < len(data):
            end = at + FRAME_HEAD + int.from_bytes(data[at : at + 3], "big")
            head = data[at : at + FRAME_HEAD]
            stream = int.from_bytes(head[5:], "big") & _STREAM
            goodbye = head[3:4] == _GOAWAY and not stream and _LEAST <= end - at - FRAME_HEAD <= _MOST
            if len(head) < FRAME_HEAD or (goodbye and end > len(data)):
                self._held = data[at:]
                data = data[:at]
                break
            if goodbye:
                self._hear(data[at + FRAME_HEAD : end])
                if self._said != ErrorCodes.NO_ERROR:
                    data = data[:end]
                    break
                kept.append(data[begin:at])
                begin = end
            elif head[3:4] == _HEADERS and stream == self._asked:
                self._answering = True
            at = min(end, len(data))
            self._left = end - at
        return b"".join((*kept, data[begin:]))

    def _hear(self, goodbye: bytes) -> None:
        last = int.from_bytes(goodbye[:4], "big") & _STREAM
        self._said = int.from_bytes(goodbye[4:_LEAST], "big")
        self.owed = self._said == ErrorCodes.NO_ERROR and self._asked <= last < _ANNOUNCED
        self.refused = self.refused or (self._asked > last and not self._answering)
