"""Colours on a light background, where a terminal's own yellow, cyan and green are often too pale to read.

Terminals are asked for their standard colours, which their users have chosen, unless they say that their
background is light: then each is replaced by a darker one of the 256 that nearly all terminals know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# Of the colour cube, by the number of the standard colour: each has a contrast to white of 4.5 or more.
DARKER: Final = {1: 160, 2: 28, 3: 94, 4: 20, 5: 127, 6: 24}
LIGHT_BACKGROUNDS: Final = frozenset({"7", *map(str, range(9, 16))})  # as vim reads COLORFGBG

_STYLE: Final = re.compile(r"\x1b\[([0-9;]+)m")
_INK, _PAPER = 30, 40  # what is added to a standard colour's number
_EXTENDED: Final = {_INK: "38;5", _PAPER: "48;5"}


def is_light(environment: Mapping[str, str]) -> bool:
    """Does the terminal say that its background is light, and has it darker colours to offer?

    COLORFGBG is `15;0` or `0;default;15`, the background last; iTerm2, Konsole, rxvt and others set it.
    """
    many = "256" in environment.get("TERM", "") or "COLORTERM" in environment
    return many and environment.get("COLORFGBG", "").rpartition(";")[2] in LIGHT_BACKGROUNDS


def darkened(text: str) -> str:
    """The same text with its standard colours made darker."""
    return _STYLE.sub(lambda found: f"\x1b[{_codes(found[1])}m", text)


def _codes(codes: str) -> str:
    parts = codes.split(";")
    if "38" in parts or "48" in parts:  # a colour of its own choice, with numbers that are no codes
        return codes
    return ";".join(_darker(part) for part in parts)


def _darker(part: str) -> str:
    for base, extended in _EXTENDED.items():
        number = DARKER.get(int(part or 0) - base)
        if number is not None:
            return f"{extended};{number}"
    return part
