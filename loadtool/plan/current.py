"""Current: the arrival that templates speak for, with what is drawn for it.

Everything random comes from (seed, arrival), never from a generator that other arrivals have moved on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

_M64: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
# From one arrival's first state to the next one's. Not a small multiple of _GOLDEN, by which the states of
# one arrival follow each other: so neighbours share none.
_STRIDE: Final = 0xD1342543DE82EF95
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # RFC 9562, §4.1: bits 10xx
WIDEST: Final = 1 << 32  # span of integers that one draw is enough for: off from uniform by less than 2^-32


class Current:
    """One arrival; `begin` moves it on to the next one. Random bits are SplitMix64's, not for secrets.

    Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (OOPSLA 2014).
    """

    __slots__ = ("_key", "_made", "_state", "_uuids", "arrival", "ordinal")

    def __init__(self, seed: int, nonce: str) -> None:
        self.arrival = 0
        self.ordinal = 0
        key = hashlib.blake2b(f"{seed} {nonce}".encode(), digest_size=32).digest()
        self._uuids = hashlib.blake2b(key=key, digest_size=16)
        # The draws do not depend on the nonce: a run repeated sends the same but for its uuids.
        self._key = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "big")
        self._made = 0
        # Not int: mypyc's own takes a detour past 62 bits, three times as long.
        self._state: Any = 0

    def begin(self, arrival: int, ordinal: int) -> None:
        """From now on speak for this arrival of the run, whose feeder rows are those of `ordinal`."""
        self.arrival = arrival
        self.ordinal = ordinal
        self._made = 0
        self._state = self._key + arrival * _STRIDE & _M64

    def next64(self) -> int:
        """64 random bits."""
        z = self._state = self._state + _GOLDEN & _M64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _M64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _M64
        bits: int = z ^ z >> 31
        return bits

    def below(self, span: int) -> int:
        """An integer from 0 to `span` − 1; `span` is at most WIDEST."""
        bits: Any = self.next64()
        number: int = bits * span >> 64
        return number

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
    return lambda: str(low + current.below(span))


def column(current: Current, values: Callable[[int], tuple[object, ...]], place: int) -> Callable[[], object]:
    """This column of the arrival's row, of which there are `values` by ordinal."""
    return lambda: values(current.ordinal)[place]
