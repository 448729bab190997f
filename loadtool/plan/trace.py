"""Trace: the `traceparent` header of each attempt (W3C Trace Context, level 1), so that a slow arrival can be
found in the target's traces.

An arrival has one trace id, and each attempt at it a span id of its own, both made of (seed, nonce, arrival,
attempt): nothing has to be remembered of an arrival to name its trace.
"""

from __future__ import annotations

import hashlib
from typing import Final

HEADER: Final = "traceparent"
_END: Final = b"\r\n\r\n"
_FLAGS: Final = b"-01"  # sampled
_SPAN: Final = 16  # hexadecimal digits
_TRACE: Final = 32


class Tracer:
    """The ids of one run, whose `nonce` no other run has."""

    def __init__(self, seed: int, nonce: str) -> None:
        key = hashlib.blake2b(f"trace {seed} {nonce}".encode(), digest_size=32).digest()
        self._hash = hashlib.blake2b(key=key, digest_size=(_TRACE + _SPAN) // 2)

    def trace_id(self, arrival: int) -> str:
        """That of this arrival of the run: 32 hexadecimal digits."""
        return self._ids(arrival, 0)[:_TRACE]

    def span_id(self, arrival: int, attempt: int) -> str:
        """That of this attempt, 0 for the first one: 16 hexadecimal digits."""
        return self._ids(arrival, attempt)[_TRACE:]

    def parent(self, arrival: int, attempt: int = 0) -> str:
        """The header's value."""
        return f"00-{self.trace_id(arrival)}-{self.span_id(arrival, attempt)}{_FLAGS.decode()}"

    def stamp(self, data: bytes, arrival: int) -> bytes:
        """These bytes of a request with the header of its first attempt, as the last one of all."""
        ids = self._ids(arrival, 0).encode()
        end = data.index(_END)
        return b"%b\r\n%b: 00-%b-%b%b%b" % (
            data[:end], HEADER.encode(), ids[:_TRACE], ids[_TRACE:], _FLAGS, data[end:],
        )  # fmt: skip

    def stamp_again(self, data: bytes, arrival: int, attempt: int) -> bytes:
        """Bytes that `stamp` has made, for a later attempt at the same arrival."""
        at = data.index(_END) - len(_FLAGS)
        return b"%b%b%b" % (data[: at - _SPAN], self.span_id(arrival, attempt).encode(), data[at:])

    def _ids(self, arrival: int, attempt: int) -> str:
        made = self._hash.copy()
        made.update(b"%d %d" % (arrival, attempt))
        return made.hexdigest()


def tracer_of(seed: int, nonce: str, wanted: bool) -> Tracer | None:
    """None where no traces are wanted."""
    return Tracer(seed, nonce) if wanted else None
