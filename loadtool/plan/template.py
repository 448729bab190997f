"""Templates: texts with `{{ }}` compiled into literal parts and small functions that give the rest.

Jinja is imported only when there is a template (`plan/sandbox.py`), so a mix without any never loads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final
from urllib.parse import quote, quote_plus

from loadtool.plan.job import RequestSpec

# What a template compiles to: literals, and functions that give the current arrival's encoded text.
Part = str | Callable[[], str]

_MARKS: Final = ("{{", "{%", "{#")
# RFC 3986: what may stand in a path and query as it is. A literal part keeps these, and %XX, as written.
_URI: Final = "/?:@!$&'()*+,;=-._~%[]"

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")  # most values: they stay as they are
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_template(text: str) -> bool:
    """Whether Jinja would do anything to this text."""
    return any(mark in text for mark in _MARKS)


@lru_cache(maxsize=1024)
def names_in(text: str) -> frozenset[str]:
    """The names that a template looks up outside itself. Raises ValueError if it is no template."""
    if not is_template(text):
        return frozenset()
    from loadtool.plan.sandbox import undeclared

    return undeclared(text)


def texts_of(request: RequestSpec) -> Iterator[tuple[str, str]]:
    """Every text of a request that may be a template, with the name of its field."""
    yield "path", request.path
    for part, pairs in (("query", request.query), ("headers", request.headers)):
        for name, value in pairs:
            yield f"{part}.{name}", name
            yield f"{part}.{name}", value
    for text in _texts_in(request.body):
        yield request.body_kind, text


def _texts_in(body: object) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, Mapping):
        for key, value in body.items():
            yield str(key)
            yield from _texts_in(value)
    elif isinstance(body, list | tuple):
        for item in body:
            yield from _texts_in(item)


# -- encodings ---------------------------------------------------------------------------------------------


def text_of(value: object) -> str:
    """A value as text. What JSON has a word for is written as JSON writes it: true, null, [1, 2]."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | list | tuple | Mapping):
        return json_of(value)
    text = str(value)  # raises for an undefined name
    if callable(value):
        raise ValueError("got a function, want its value: write it with parentheses, such as uuid()")
    return text


def json_of(value: object) -> str:
    """A value as JSON, without spaces. Raises ValueError for one that JSON does not have."""
    if type(value) is int:  # as the encoder writes it, in a tenth of the time
        return str(value)
    if type(value) is str:
        return encode_basestring(value)
    try:
        return _JSON.encode(value)
    except (TypeError, RecursionError) as e:
        raise ValueError(f"no JSON value: {e}") from e


def _json_default(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if callable(value):
        raise ValueError("got a function, want its value: write it with parentheses, such as uuid()")
    raise ValueError(f"JSON has no {type(value).__name__}")


_JSON: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_default
)


def _json_inside(text: str) -> str:
    return json_of(text)[1:-1]


def _path_literal(text: str) -> str:
    if bad := next((c for c in text if c in "#\r\n"), None):
        what = "a fragment (#…), which is never sent" if bad == "#" else "a line break"
        raise ValueError(f"got {what}; want a path and query" + (", with # written as %23" * (bad == "#")))
    return quote(text, safe=_URI)


def _path_value(value: object) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return _quote(value)
    # `| safe` marks a text (jinja's Markup) whose slashes and question marks are meant as such.
    text = text_of(value)
    return _path_literal(text) if hasattr(value, "__html__") else quote(text, safe="")


def _header(text: str) -> str:
    if (found := _CONTROL.search(text)) is not None:
        what = "a line break" if found[0] in "\r\n" else f"the control character {found[0]!r}"
        raise ValueError(f"got {what} inside, want one line of text")
    return text if text.isascii() else text.encode().decode("latin-1")


def _quote(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) is not None else quote(text, safe="")


def _quote_plus(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) is not None else quote_plus(text)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a place in a request is written.

    A template's result is literal(what Jinja gives), where Jinja writes each value with `finalize`; the fast
    path writes literal(part) and value(value) instead, which must come to the same text.
    """

    literal: Callable[[str], str]
    value: Callable[[object], str]
    finalize: Callable[[object], str] = text_of

    @classmethod
    def of(cls, literal: Callable[[str], str]) -> Encoding:
        """The encoding of a place where values are written like literals."""
        return cls(literal, lambda value: literal(text_of(value)))


# `_path_literal` leaves alone what `_path_value` has encoded.
PATH: Final = Encoding(_path_literal, _path_value, _path_value)
QUERY: Final = Encoding.of(_quote)
FORM: Final = Encoding.of(_quote_plus)
HEADER: Final = Encoding.of(_header)
PLAIN: Final = Encoding.of(str)
JSON_STRING: Final = Encoding.of(_json_inside)
JSON_VALUE: Final = Encoding(json_of, json_of, json_of)


# -- formats -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Format:
    """A text with some of a message's values in it: values[start:stop], each between two of `pieces`.

    `pieces` has room for them, so that the text is all of it joined.
    """

    pieces: list[str]
    start: int
    stop: int

    def fill(self, values: tuple[str, ...]) -> str:
        number = self.stop - self.start
        if number == 0:
            return self.pieces[0]
        if number == 1:
            return f"{self.pieces[0]}{values[self.start]}{self.pieces[2]}"
        pieces = self.pieces.copy()
        pieces[1::2] = values[self.start : self.stop]
        return "".join(pieces)


class Leaves:
    """Gathers what one message must render afresh for each arrival: `functions`, each with its `fields`."""

    def __init__(self) -> None:
        self.functions: list[Callable[[], str]] = []
        self.fields: list[str] = []

    def format(self, parts: list[tuple[str, Part]]) -> Format:
        """The format of these parts, each with the name of its field, one after the other."""
        start = len(self.functions)
        pieces = [""]
        for field, part in parts:
            if isinstance(part, str):
                pieces[-1] += part
            else:
                pieces += ["", ""]
                self.functions.append(part)
                self.fields.append(field)
        return Format(pieces, start, len(self.functions))
