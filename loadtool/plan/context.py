"""Context: what the templates of one arrival can ask for, the same whatever worker renders it.

Everything random comes from (seed, arrival), never from a generator that other arrivals have moved on.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from loadtool.plan.rows import Feeder, Row
from loadtool.plan.template import text_of

_M64: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
# From one arrival's first state to the next one's. Not a small multiple of _GOLDEN, by which the states of
# one arrival follow each other: so neighbours share none.
_STRIDE: Final = 0xD1342543DE82EF95
_LETTERS: Final = string.ascii_letters + string.digits
LONGEST_STRING: Final = 1_000_000


class Draws(random.Random):
    """SplitMix64 as a `random.Random`: starting it anew costs nothing, where Random's own seeding takes 4 µs.

    Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (OOPSLA 2014). Not for secrets.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self._state = 0

    def restart(self, key: int) -> None:
        """Begin the stream of this 64-bit key."""
        self._state = key

    def next64(self) -> int:
        """64 random bits."""
        self._state = z = self._state + _GOLDEN & _M64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _M64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _M64
        return z ^ z >> 31

    def random(self) -> float:
        return (self.next64() >> 11) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        bits = 0
        for _ in range(-(-k // 64)):
            bits = bits << 64 | self.next64()
        return bits >> (-k % 64)

    def randint(self, a: int, b: int) -> int:
        span = b - a + 1
        if 0 < span <= 1 << 32:
            return a + (self.next64() * span >> 64)  # off from uniform by less than 2^-32
        return super().randint(a, b)


class Context:
    """The values of one arrival. `begin` moves it on to the next one."""

    def __init__(self, seed: int, nonce: str, feeders: Sequence[Feeder]) -> None:
        self.arrival = 0
        self.ordinal = 0
        self.draws = Draws()
        self.feeders = {feeder.name: feeder for feeder in feeders}
        key = hashlib.blake2b(f"{seed} {nonce}".encode(), digest_size=32).digest()
        self._uuids = hashlib.blake2b(key=key, digest_size=16)
        # The draws do not depend on the nonce: a run repeated sends the same but for its uuids.
        self._key = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "big")
        self._made = 0
        # The names are those of profile/template_names.py.
        self.functions: Mapping[str, Callable[..., object]] = {
            "randint": self.randint,
            "uniform": self.uniform,
            "choice": self.choice,
            "uuid": self.uuid,
            "random_string": self.random_string,
            "base64": encode_base64,
            "urlencode": urlencode,
        }

    def begin(self, arrival: int, ordinal: int) -> None:
        """From now on answer for this arrival of the run, whose feeder rows are those of `ordinal`."""
        self.arrival = arrival
        self.ordinal = ordinal
        self._made = 0
        self.draws.restart(self._key + arrival * _STRIDE & _M64)

    def randint(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        if type(low) is not int or type(high) is not int:
            raise ValueError(
                f"randint: got {low!r} and {high!r}, want two integers; `| int` makes one of a text"
            )
        if high < low:
            raise ValueError(f"randint: got {low} to {high}, want the smaller one first")
        return self.draws.randint(low, high)

    def uniform(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return self.draws.uniform(low, high)

    def choice(self, *options: object) -> object:
        """One of the arguments, or one item of the only argument."""
        if len(options) == 1 and isinstance(options[0], Sequence):
            options = tuple(options[0])
        if not options:
            raise ValueError("choice: got nothing to choose from")
        return options[self.draws.next64() * len(options) >> 64]

    def random_string(self, length: int) -> str:
        """That many letters and digits."""
        if not 0 <= length <= LONGEST_STRING:
            raise ValueError(f"random_string: got {length}, want a length from 0 to {LONGEST_STRING:,}")
        draw, size = self.draws.next64, len(_LETTERS)
        return "".join([_LETTERS[draw() * size >> 64] for _ in range(length)])

    def uuid(self) -> str:
        """A version 4 UUID (RFC 9562) from (seed, nonce, arrival, how many this arrival had before)."""
        made = self._uuids.copy()
        made.update(b"%d %d" % (self.arrival, self._made))
        self._made += 1
        h = made.hexdigest()
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"

    def row(self, feeder: str) -> Row:
        return self.feeders[feeder].row(self.ordinal)

    def value(self, name: str) -> object:
        """What a name that is no function stands for: a feeder's row, or one of `VARIABLES`."""
        return self.row(name) if name in self.feeders else VARIABLES[name](self)


def encode_base64(value: object) -> str:
    """The text in UTF-8 and standard base64 (RFC 4648, §4)."""
    return base64.b64encode(text_of(value).encode()).decode()


def urlencode(value: object) -> str:
    """The text percent-encoded, for places where that does not happen by itself."""
    return quote(text_of(value), safe="")


# Names that are neither functions nor feeders.
VARIABLES: Final[dict[str, Callable[[Context], object]]] = {
    "arrival": lambda context: context.arrival,
}
