"""TLS of one connection without I/O: what is to be written for what is said, what is said by what was read.

Python's SSLSocket reads and writes by itself, each record in two reads, with calls of Python around each.
Here the connection's own reads and writes do for TLS, too: a read takes what there is, and the kernel's
time stamps tell when it came.
"""

from __future__ import annotations

import ssl
from typing import Final

AT_ONCE: Final = 65536  # bytes that OpenSSL is given at a time: it keeps the room for them
RECORD: Final = 16384  # bytes that a record says at the most


class TlsStream:
    """The client's side. Its methods raise ssl.SSLError, and MemoryError.

    `over`: nothing more will be said, by the peer's word (close_notify) or as what it sent is not TLS.
    `problem`: why that is so, if something was said before it.
    """

    __slots__ = ("_coming", "_going", "_tls", "over", "problem")

    def __init__(self, context: ssl.SSLContext, server_name: str, session: ssl.SSLSession | None) -> None:
        """`session`: to be resumed. Raises ValueError for a name that TLS can't ask for."""
        self.over = False
        self.problem: ssl.SSLError | None = None
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_hostname=server_name, session=session)

    def handshake(self) -> bool:
        """Go on with it; whether it is done. If not, it wants more of what the peer says."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def receive(self, data: bytes) -> None:
        """This was read."""
        self._coming.write(data)

    def unheard(self) -> bool:
        """Whether more was received than the handshake took: no poller tells of that."""
        return self._coming.pending > 0

    def end_of_file(self) -> None:
        """The peer's side of the connection is closed."""
        self._coming.write_eof()

    def said(self, data: bytes) -> bytes:
        """What the peer has said with these bytes; b"" if that is nothing yet, or nothing more."""
        if self.problem is not None:
            return b""
        if data:
            self._coming.write(data)
        most = len(data) or RECORD  # no longer than its records
        pieces: list[bytes] = []
        try:
            while True:
                piece: bytes = self._tls.read(most)
                if not piece:
                    self.over = True
                    break
                pieces.append(piece)
                if len(piece) == most:
                    most = RECORD  # of which most had been read before
                elif not self._coming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as e:
            self.over = True
            if not pieces:
                raise
            # What was said before it is good. Without its traceback, in which this object is: nobody collects
            # cycles in a worker.
            self.problem = e.with_traceback(None)
        return b"".join(pieces)

    def sealed(self, data: bytes) -> bytes:
        """What is to be written to say this."""
        try:
            if len(data) <= AT_ONCE:
                self._tls.write(data)
                return self._going.read()
            pieces = []
            for begin in range(0, len(data), AT_ONCE):
                self._tls.write(data[begin : begin + AT_ONCE])
                pieces.append(self._going.read())
            return b"".join(pieces)
        except ssl.SSLWantReadError as e:
            raise ssl.SSLError("the server wants another handshake first") from e

    def unsaid(self) -> bytes:
        """What is to be written for TLS itself: handshakes, alerts."""
        return self._going.read() if self._going.pending else b""

    def fresh_session(self, known: ssl.SSLSession | None) -> ssl.SSLSession | None:
        """The session to resume with the next connection: `known`, unless this one is of another."""
        # Reading it copies it.
        return known if known is not None and self._tls.session_reused else self._tls.session
