"""Context: what the templates of one arrival can ask for, the same whatever worker renders it.

Everything random comes from (seed, arrival), never from a generator that other arrivals have moved on.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from loadtool.plan.current import Current
from loadtool.plan.rows import Feeder, Row
from loadtool.plan.splitmix import WIDEST
from loadtool.plan.template import text_of

_LETTERS: Final = string.ascii_letters + string.digits
LONGEST_STRING: Final = 1_000_000


class Draws(random.Random):
    """The current arrival's bits as a `random.Random`: Random's own seeding takes 4 µs."""

    def __init__(self, current: Current) -> None:
        super().__init__(0)
        self.next64 = current.bits.next64
        self._below = current.bits.below

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
        if 0 < span <= WIDEST:
            return a + self._below(span)
        return super().randint(a, b)


class Context:
    """The values of one arrival, the one that `current` has been moved on to."""

    def __init__(self, seed: int, nonce: str, feeders: Sequence[Feeder]) -> None:
        self.current = Current(seed, nonce)
        self.draws = Draws(self.current)
        self.feeders = {feeder.name: feeder for feeder in feeders}
        # The names are those of profile/template_names.py.
        self.functions: Mapping[str, Callable[..., object]] = {
            "randint": self.randint,
            "uniform": self.uniform,
            "choice": self.choice,
            "uuid": self.current.uuid,
            "random_string": self.random_string,
            "base64": encode_base64,
            "urlencode": urlencode,
        }

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
        return options[self.current.bits.below(len(options))]

    def random_string(self, length: int) -> str:
        """That many letters and digits."""
        if not 0 <= length <= LONGEST_STRING:
            raise ValueError(f"random_string: got {length}, want a length from 0 to {LONGEST_STRING:,}")
        below, size = self.current.bits.below, len(_LETTERS)
        return "".join([_LETTERS[below(size)] for _ in range(length)])

    def row(self, feeder: str) -> Row:
        return self.feeders[feeder].row(self.current.ordinal)

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
    "arrival": lambda context: context.current.arrival,
}
