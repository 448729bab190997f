"""Current: the arrival that templates speak for, with what is drawn for it.

Everything random comes from (seed, arrival), never from a generator that other arrivals have moved on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from loadtool.plan.splitmix import splitmix64

_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # RFC 9562, §4.1: bits 10xx


class Current:
    """One arrival, and the random `bits` at its place; `begin` moves it on to the next one."""

    __slots__ = ("_made", "_uuids", "arrival", "bits", "ordinal")

    def __init__(self, seed: int, nonce: str) -> None:
        self.arrival = 0
        self.ordinal = 0
        key = hashlib.blake2b(f"{seed} {nonce}".encode(), digest_size=32).digest()
        self._uuids = hashlib.blake2b(key=key, digest_size=16)
        # The draws do not depend on the nonce: a run repeated sends the same but for its uuids.
        self.bits = splitmix64(
            int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "big")
        )
        self._made = 0

    def begin(self, arrival: int, ordinal: int) -> None:
        """From now on speak for this arrival of the run, whose feeder rows are those of `ordinal`."""
        self.arrival = arrival
        self.ordinal = ordinal
        self._made = 0
        self.bits.begin(arrival)

    def uuid(self) -> str:
        """A version 4 UUID (RFC 9562) from (seed, nonce, arrival, how many this arrival had before)."""
        made = self._uuids.copy()
        made.update(b"%d %d" % (self.arrival, self._made))
        self._made += 1
        h = made.hexdigest()
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


def encoded(get: Callable[[], object], encode: Callable[[object], str]) -> Callable[[], str]:
    """What `get` gives, encoded for its place."""
    return lambda: encode(get())


def arrival_digits(current: Current) -> Callable[[], str]:
    """The arrival's number. Digits need no encoding anywhere in a request."""
    return lambda: str(current.arrival)


def drawn_digits(current: Current, low: int, high: int) -> Callable[[], str]:
    """An integer from `low` to `high`, at most WIDEST of them: digits, and at most a minus sign."""
    span = high - low + 1
    bits = current.bits
    return lambda: str(low + bits.below(span))


def column(current: Current, values: Callable[[int], tuple[object, ...]], place: int) -> Callable[[], object]:
    """This column of the arrival's row, of which there are `values` by ordinal."""
    return lambda: values(current.ordinal)[place]
