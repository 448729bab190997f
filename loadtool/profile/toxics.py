"""Toxics: which attributes each has, how a profile writes them, and which values a real server survives.

A profile writes `toxic: latency, latency: 200ms, jitter: 50ms` straight in the fault; Toxiproxy wants whole
numbers in units of its own (ms, KB/s, bytes, µs). Ranges come from Toxiproxy 2.12's sources: what crashes or
wedges the server is refused here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtool import units
from loadtool.errors import got
from loadtool.profile import text_patterns as texts


@dataclass(frozen=True, slots=True)
class Unit:
    """A quantity as a profile writes it, and Toxiproxy's whole-number unit for it."""

    name: str
    parse: Callable[[object], int]  # to the finer unit that `loadtool.units` knows
    format: Callable[[int], str]
    scale: int  # of those in one of Toxiproxy's
    example: str
    pattern: str  # for editors


MS: Final = Unit(
    "ms", units.parse_duration, units.format_duration, units.MILLISECOND, "200ms", texts.DURATION
)
US: Final = Unit(
    "µs", units.parse_duration, units.format_duration, units.MICROSECOND, "500us", texts.DURATION
)
KBPS: Final = Unit("KB/s", units.parse_byte_rate, units.format_byte_rate, 1000, "64KB/s", texts.BYTE_RATE)
BYTES: Final = Unit("bytes", units.parse_size, units.format_size, 1, "512B", texts.SIZE)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One number of a toxic. `least` and `most` are in Toxiproxy's unit; `remedy` helps below `least`."""

    unit: Unit
    description: str
    required: bool = True
    least: int = 0
    most: int = 10**9
    remedy: str = ""

    def parse(self, value: object) -> int:
        """The value in Toxiproxy's unit. Raises ValueError."""
        number, rest = divmod(self.unit.parse(value), self.unit.scale)
        if rest:
            raise ValueError(got(value, f"whole {self.unit.name}, the unit that Toxiproxy counts in"))
        if number < self.least:
            hint = f"; {self.remedy}" if self.remedy else ""
            raise ValueError(f"{got(value, f'at least {self.format(self.least)}')}{hint}")
        if number > self.most:
            raise ValueError(got(value, f"at most {self.format(self.most)}"))
        return number

    def format(self, number: int) -> str:
        return self.unit.format(number * self.unit.scale)


_WEDGED = "a bandwidth of 0 wedges the connection for good; use toxic: timeout, or down: true"
_RECURSES = "without it Toxiproxy never ends cutting"

TOXICS: Final[Mapping[str, Mapping[str, Attribute]]] = {
    "latency": {
        "latency": Attribute(MS, "delay added to everything that passes"),
        "jitter": Attribute(MS, "the delay varies by up to so much either way", required=False),
    },
    "bandwidth": {
        "rate": Attribute(KBPS, "limit; a KB is 1000 bytes", least=1, most=10**7, remedy=_WEDGED),
    },
    "slow_close": {
        "delay": Attribute(MS, "how long the close of a connection is held back"),
    },
    "timeout": {
        "timeout": Attribute(
            MS, "nothing passes, and the connection closes after this; 0: only when the fault ends"
        ),
    },
    "reset_peer": {
        "timeout": Attribute(MS, "the connection is reset after this; 0: at once", required=False),
    },
    "slicer": {
        "average_size": Attribute(BYTES, "mean size of a slice", least=1, remedy=_RECURSES),
        "size_variation": Attribute(BYTES, "slices vary by up to so much either way", required=False),
        "delay": Attribute(US, "pause between slices", required=False),
    },
    "limit_data": {
        "bytes": Attribute(BYTES, "the connection closes after so many bytes"),
    },
    "noop": {},
}  # fmt: skip

# Attributes that `ramp:` moves, and where from. Not those of toxics that close connections, nor a slicer's
# sizes, which cannot be 0.
RAMPED: Final[Mapping[str, Mapping[str, int]]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 1},  # at 0 nothing passes
    "slow_close": {"delay": 0},
    "slicer": {"delay": 0},
}

ATTRIBUTES: Final = frozenset(name for row in TOXICS.values() for name in row)


def collect(toxic: str, fault: Mapping[str, Any]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The attributes of a known toxic from the keys of a fault: values in Toxiproxy's units, and flaws.

    A flaw is the key that it is about and what is wrong with it.
    """
    values: dict[str, int] = {}
    flaws: list[tuple[str, str]] = []
    for name, attribute in TOXICS[toxic].items():
        if fault.get(name) is None:
            if attribute.required:
                hint = f"; {attribute.remedy}" if attribute.remedy and name not in fault else ""
                flaws.append(
                    (name, f"missing: toxic {toxic} needs {name}, such as {attribute.unit.example}{hint}")
                )
            continue
        try:
            values[name] = attribute.parse(fault[name])
        except ValueError as e:
            flaws.append((name, str(e)))
    if toxic == "slicer" and values.get("size_variation", 0) >= values.get("average_size", 2**63):
        flaws.append(("size_variation", got(fault["size_variation"], "less than average_size")))
    return values, flaws


def as_written(toxic: str, attributes: Mapping[str, int]) -> dict[str, str]:
    """The attributes as a profile writes them."""
    return {name: TOXICS[toxic][name].format(number) for name, number in attributes.items()}
