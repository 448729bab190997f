"""`${NAME}`, `${NAME:-default}` and `$$` in a profile's values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

WANT: Final = "${NAME}, ${NAME:-default} or $$ for a dollar"
# A default has no brace in it: where one with `${B}` or `{{ }}` in it ends could be read in two ways.
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{")
_OPENING = re.compile(r"\{(?=[{%#]|\Z)")


class Origin(Enum):
    LITERAL = auto()
    ENVIRONMENT = auto()
    DEFAULT = auto()
    UNSET = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a value's text, and where it came from. `name` is the variable's, if it is of one."""

    text: str
    origin: Origin = Origin.LITERAL
    name: str = ""


def split(text: str, environment: Mapping[str, str]) -> tuple[Piece, ...]:
    """The value's text in pieces, references replaced; the text of an unset one is empty.

    As in a shell, a default also stands in for an empty variable. A lone `$` is a dollar. Raises ValueError
    for a `${` that is no reference.
    """
    pieces, at = [], 0
    for match in _REFERENCE.finditer(text):
        if match.start() > at:
            pieces.append(Piece(text[at : match.start()]))
        at = match.end()
        name, default = match["name"], match["default"]
        if match[0] == "$$":
            pieces.append(Piece("$"))
        elif name is None:
            raise ValueError(f"got {text[match.start() :][:20]}, want {WANT}")
        elif name in environment and (environment[name] or default is None):
            if not _is_text(environment[name]):
                raise ValueError(f"the value of {name} is not UTF-8 text")
            pieces.append(Piece(environment[name], Origin.ENVIRONMENT, name))
        elif default is not None:
            pieces.append(Piece(default, Origin.DEFAULT, name))
        else:
            pieces.append(Piece("", Origin.UNSET, name))
    if at < len(text):
        pieces.append(Piece(text[at:]))
    return tuple(pieces)


def _is_text(value: str) -> bool:
    """False for bytes that Python could only smuggle in: half surrogates."""
    return not re.search("[\ud800-\udfff]", value)


def join(pieces: Sequence[Piece], *, template: bool, unset: str = "") -> str:
    """The value's text. In a template, a variable's value is data: braces in it stand for themselves.

    `unset` stands in for unset variables.
    """
    return "".join(_text(piece, template=template, unset=unset) for piece in pieces)


def _text(piece: Piece, *, template: bool, unset: str) -> str:
    if piece.origin is Origin.UNSET:
        return unset
    if template and piece.origin is Origin.ENVIRONMENT:
        return _OPENING.sub("{{ '{' }}", piece.text)
    return piece.text


def escape(text: str) -> str:
    """The text as a profile must write it, so that nothing in it is taken for a reference."""
    return re.sub(r"\$(?=[${])", "$$", text)


def unescape(text: str) -> str:
    """What a text that `escape` has made stands for."""
    return text.replace("$$", "$")
