"""Long texts in narrow places: broken between words, else at the joints of paths, queries and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from loadtool.report.text import clean

# Stands for a blank at which no line may end; `printed` makes it one. Text from outside can't hold it.
GLUE: Final = "\ue000"

_JOINTS: Final = frozenset("/?&=,;:_.-|)]}")
_UNIT: Final = re.compile(r"(?<=[\d∞]) (?=(?:ms|s|%)(?![\w]))|(?<=\d) (?==)|(?<=[=+]) (?=\d)|(?<=·) ")


def glued(text: str) -> str:
    """The text, in which a number stays with its unit when lines are broken."""
    return _UNIT.sub(GLUE, text)


def folded(text: Text, room: int) -> Text:
    """The text in lines of at most `room` cells, its own lines kept; nothing of it is lost but blanks."""
    lines = [part for line in text.split("\n", allow_blank=True) for part in _parts(line, max(room, 1))]
    return Text("\n", style=text.style).join(lines)


def fitted(value: object, room: int) -> str:
    """`clean` text of at most `room` cells; what was cut shows as an ellipsis."""
    text = clean(value)
    if cell_len(text) <= room:
        return text
    kept, left = 0, room - 1
    for char in text:
        left -= cell_len(char)
        if left < 0:
            break
        kept += 1
    return f"{text[:kept]}…" if room > 0 else ""


def _parts(line: Text, room: int) -> Iterator[Text]:
    rest = line
    while cell_len(rest.plain) > room and len(rest.plain) > 1:
        end = _end(rest.plain, room)
        head, rest = rest.divide([end])
        head.rstrip()
        yield head
        rest = rest[len(rest.plain) - len(rest.plain.lstrip(" ")) :]
    yield rest


def _end(plain: str, room: int) -> int:
    """Where the first line of a text ends that is wider than `room` cells."""
    most = 0
    width = 0
    for char in plain:
        width += cell_len(char)
        if width > room:
            break
        most += 1
    most = max(most, 1)
    blank = plain.rfind(" ", 1, most + 1)
    following = plain[blank + 1 :].split(" ", 1)[0]
    if blank > 0 and (blank * 2 >= room or cell_len(following) <= room):
        return blank
    joint = max((i + 1 for i in range(most // 3, most) if plain[i] in _JOINTS), default=0)
    return joint or (blank if blank > 0 else most)
