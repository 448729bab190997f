"""SplitMix64: 64 random bits at a time, not for secrets, from a key and a place.

Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (OOPSLA 2014). It is written twice, to the
same numbers: in Python's integers, which suits plain Python best, and in limbs of 22 bits, whose products
compiled code makes by itself, in a sixth of the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

_M64: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_30: Final = 0xBF58476D1CE4E5B9
_MIX_27: Final = 0x94D049BB133111EB
# From one place's first state to the next one's. Not a small multiple of _GOLDEN, by which the states of one
# place follow each other: so neighbours share none.
_STRIDE: Final = 0xD1342543DE82EF95
WIDEST: Final = 1 << 32  # span of integers that one draw is enough for: off from uniform by less than 2^-32

# A limb times a limb is a small integer to mypyc, and so is a sum of some of them. The third one has 20 bits.
_M22: Final = (1 << 22) - 1
_M20: Final = (1 << 20) - 1
_GOLDEN_0: Final = _GOLDEN & _M22
_GOLDEN_1: Final = _GOLDEN >> 22 & _M22
_GOLDEN_2: Final = _GOLDEN >> 44
_MIX_30_0: Final = _MIX_30 & _M22
_MIX_30_1: Final = _MIX_30 >> 22 & _M22
_MIX_30_2: Final = _MIX_30 >> 44
_MIX_27_0: Final = _MIX_27 & _M22
_MIX_27_1: Final = _MIX_27 >> 22 & _M22
_MIX_27_2: Final = _MIX_27 >> 44
_STRIDE_0: Final = _STRIDE & _M22
_STRIDE_1: Final = _STRIDE >> 22 & _M22
_STRIDE_2: Final = _STRIDE >> 44


class SplitMix64(ABC):
    """Random bits at a place: `begin` goes to one, and each draw then moves on."""

    __slots__ = ()

    @abstractmethod
    def begin(self, place: int) -> None:
        """Go to the first draw of this place, 0 … 2^62."""

    @abstractmethod
    def next64(self) -> int:
        """64 random bits."""

    @abstractmethod
    def below(self, span: int) -> int:
        """An integer from 0 to `span` − 1; `span` is at most WIDEST."""


class IntegerSplitMix64(SplitMix64):
    """In Python's integers."""

    __slots__ = ("_key", "_state")

    def __init__(self, key: int) -> None:
        self._key = key
        self._state = key

    def begin(self, place: int) -> None:
        self._state = self._key + place * _STRIDE & _M64

    def next64(self) -> int:
        z = self._state = self._state + _GOLDEN & _M64
        z = (z ^ z >> 30) * _MIX_30 & _M64
        z = (z ^ z >> 27) * _MIX_27 & _M64
        return z ^ z >> 31

    def below(self, span: int) -> int:
        return self.next64() * span >> 64


class LimbSplitMix64(SplitMix64):
    """In limbs of 22 bits, the lowest first: a product modulo 2^64 needs six of the nine of limbs."""

    __slots__ = (
        "_key_0", "_key_1", "_key_2", "_state_0", "_state_1", "_state_2", "_z_0", "_z_1", "_z_2",
    )  # fmt: skip

    def __init__(self, key: int) -> None:
        self._key_0 = key & _M22
        self._key_1 = key >> 22 & _M22
        self._key_2 = key >> 44 & _M20
        self._state_0 = self._key_0
        self._state_1 = self._key_1
        self._state_2 = self._key_2
        self._z_0 = 0
        self._z_1 = 0
        self._z_2 = 0

    def begin(self, place: int) -> None:
        a, b, c = place & _M22, place >> 22 & _M22, place >> 44
        low = a * _STRIDE_0 + self._key_0
        middle = a * _STRIDE_1 + b * _STRIDE_0 + self._key_1 + (low >> 22)
        high = a * _STRIDE_2 + b * _STRIDE_1 + c * _STRIDE_0 + self._key_2 + (middle >> 22)
        self._state_0 = low & _M22
        self._state_1 = middle & _M22
        self._state_2 = high & _M20

    def next64(self) -> int:
        self._step()
        return self._z_0 | self._z_1 << 22 | self._z_2 << 44

    def below(self, span: int) -> int:
        self._step()
        low, high = span & _M22, span >> 22
        b = self._z_1
        c = self._z_2
        middle = self._z_0 * high + b * low + (self._z_0 * low >> 22)
        return b * high + c * low + (middle >> 22) + (c * high << 22) >> 20

    def _step(self) -> None:
        a = self._state_0 + _GOLDEN_0
        b = self._state_1 + _GOLDEN_1 + (a >> 22)
        c = self._state_2 + _GOLDEN_2 + (b >> 22) & _M20
        a &= _M22
        b &= _M22
        self._state_0 = a
        self._state_1 = b
        self._state_2 = c
        # z ^ z >> 30, times the first constant; a call for each product would take as long as it.
        a ^= b >> 8 | (c & 0xFF) << 14
        b ^= c >> 8
        low = a * _MIX_30_0
        middle = a * _MIX_30_1 + b * _MIX_30_0 + (low >> 22)
        c = a * _MIX_30_2 + b * _MIX_30_1 + c * _MIX_30_0 + (middle >> 22) & _M20
        a = low & _M22
        b = middle & _M22
        # z ^ z >> 27, times the second
        a ^= b >> 5 | (c & 0x1F) << 17
        b ^= c >> 5
        low = a * _MIX_27_0
        middle = a * _MIX_27_1 + b * _MIX_27_0 + (low >> 22)
        c = a * _MIX_27_2 + b * _MIX_27_1 + c * _MIX_27_0 + (middle >> 22) & _M20
        a = low & _M22
        b = middle & _M22
        # z ^ z >> 31
        self._z_0 = a ^ (b >> 9 | (c & 0x1FF) << 13)
        self._z_1 = b ^ c >> 9
        self._z_2 = c


def splitmix64(key: int) -> SplitMix64:
    """The quicker ones here. `key`: 64 bits."""
    compiled = not __file__.endswith((".py", ".pyc"))
    return LimbSplitMix64(key) if compiled else IntegerSplitMix64(key)
