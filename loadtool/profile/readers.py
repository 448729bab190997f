"""Readers of single values of a profile. Each returns the value that the model keeps, or raises ValueError
with "got X, want …" (see `errors.got`), so that no message of pydantic's own is needed.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from loadtool import units
from loadtool.errors import got
from loadtool.profile.text_patterns import NUMBER, SHARE, WHOLE

NAME_PATTERN: Final = r"[A-Za-z][\w-]*"
MOST_CONNECTIONS: Final = 1_000_000
LEAST_DIAL_RATE: Final = 1e-6  # per second; from one to the next, nanoseconds still fit in 64 bits
MOST_SEED: Final = 2**63 - 1
MOST_RETRIES: Final = 100
# Outcomes after which another attempt makes sense.
RETRIABLE: Final = (
    "shed", "status", "check", "timeout", "unsent", "connect", "tls", "dns", "reset", "protocol",
)  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Headers that decide how a message is framed or a connection is used are the engine's business.
ENGINE_HEADERS: Final[Mapping[str, str]] = {
    "content-length": "set by loadtool from the body",
    "transfer-encoding": "set by loadtool from the body",
    "connection": "set by loadtool; use client: {keepalive: false}",
    "keep-alive": "set by loadtool; use client: {keepalive: false}",
    "upgrade": "not built yet",
    "expect": "not built yet",
    "trailer": "not built yet",
    "te": "not built yet",
}


def pattern(regex: str, want: str) -> Callable[[object], str]:
    """A reader of text that matches the whole regular expression."""
    compiled = re.compile(regex)

    def read(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(got(value, want))
        return value

    return read


def text(value: object) -> str:
    if not isinstance(value, str):
        hint = " (put it in quotes)" if isinstance(value, Mapping | list) else ""
        raise ValueError(got(value, f"text{hint}"))
    return value


def some_text(value: object) -> str:
    if not text(value).strip():
        raise ValueError(got(value, "text"))
    return str(value)


def line(value: object) -> str:
    """Text that fits on one line of a report."""
    if not some_text(value).isprintable():
        raise ValueError(got(value, "text on one line, of printable characters"))
    return str(value)


def whole(least: int, most: int, want: str) -> Callable[[object], int]:
    """A reader of whole numbers in [least, most]; digits as text are one, since ${…} gives text."""

    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(WHOLE, value) and len(value) < 40:
            number: object = int(value)
        else:
            number = value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ValueError(got(value, want))
        return number

    return read


def number(least: float, most: float, want: str) -> Callable[[object], float]:
    """A reader of numbers in [least, most]; text is one if it looks like it, since ${…} gives text."""

    def read(value: object) -> float:
        found = _real(value, want)
        if not least <= found <= most:
            raise ValueError(got(value, want))
        return found

    return read


def _real(value: object, want: str) -> float:
    """The number, also of text that looks like one. Raises ValueError with what is wanted."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(got(value, want))
    if isinstance(value, str) and not re.fullmatch(NUMBER, value):
        raise ValueError(got(value, want))
    try:
        return float(value)
    except OverflowError:
        raise ValueError(got(value, want)) from None


def positive_share(value: object) -> float:
    share = units.parse_share(value)
    if share <= 0:
        raise ValueError(got(value, "a share above 0, such as 10%"))
    return share


def budget_or_none(value: object) -> object:
    """`none`, which is None; a share and a mapping have readers of their own."""
    if value == "none":
        return None
    if isinstance(value, bool | list) or (isinstance(value, str) and not re.fullmatch(SHARE, value)):
        want = "none, a share such as 10%, {share: 10%, min: 1/s} or {tokens: 10, ratio: 0.1}"
        raise ValueError(got(value, want))
    return value


def dial_rate(value: object) -> float:
    rate = units.positive_rate(units.parse_rate(value))
    if rate < LEAST_DIAL_RATE:
        raise ValueError(got(value, "a rate of at least 0.000001/s, such as 50/s"))
    return rate


def weight(value: object) -> float:
    want = "a weight above 0, such as 1 or 2.5"
    number = _real(value, want)
    if not 0 < number <= 1e9 or number < 1e-9:
        raise ValueError(got(value, want))
    return number


def factor(value: object) -> float:
    want = "a number above 0, such as 2 or 0.5"
    number = _real(value, want)
    if not 1e-4 <= number <= 1e4:
        raise ValueError(got(value, f"{want}, from 0.0001 to 10000" if number > 0 else want))
    return number


LOG_FIELDS: Final = ("time", "method", "path", "request", "status", "headers", "body")


def log_fields(value: object) -> object:
    """Looks at the keys of a replay's `fields` only."""
    for key in value if isinstance(value, Mapping) else ():
        if key not in LOG_FIELDS:
            hint = did_you_mean(str(key), LOG_FIELDS)
            raise ValueError(got(key, f"one of {', '.join(LOG_FIELDS)}{hint}"))
    return value


def flag(value: object) -> bool:
    if isinstance(value, str):  # ${…} gives text
        value = {"true": True, "false": False}.get(value, value)
    if not isinstance(value, bool):
        raise ValueError(got(value, "true or false"))
    return value


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the known words, or nothing."""
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f", did you mean {by_lower[near[0]]}?" if near else ""


def one_of(*names: str) -> Callable[[object], str]:
    """A reader of one of these words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            hint = did_you_mean(value, names) if isinstance(value, str) else ""
            raise ValueError(got(value, f"one of {', '.join(names)}{hint}"))
        return value

    return read


def as_list(value: object) -> object:
    """A value that stands alone where a list is meant."""
    return value if isinstance(value, list | tuple) else (value,)


def path(value: object) -> str:
    """Path and query of a request, as a template."""
    if not isinstance(value, str) or not value:
        raise ValueError(got(value, "a path such as /products"))
    if re.match(r"(?i)https?://", value):
        raise ValueError(got(value, "a path such as /products; scheme and host come from `target`"))
    if not value.startswith(("/", "{{", "{%")):
        raise ValueError(got(value, f"a path that begins with /, such as /{value.lstrip()}"))
    literal = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", value, flags=re.DOTALL)
    if "#" in literal:
        raise ValueError(got(value, "a path without #…, which is never sent; write %23 for a #"))
    if not literal.isprintable() or " " in literal:
        raise ValueError(got(value, "a path without spaces or control characters; write %20 for a space"))
    return value


def header_value(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(got(value, "text"))
    if re.search(r"[\r\n\0]", value):
        raise ValueError(got(value, "a header on one line"))
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(got(value, "a header of Latin-1 characters")) from None
    return value


def headers(value: object) -> object:
    """Looks at the names only; values have a reader of their own. `header_flaws` tells of every bad name."""
    if isinstance(value, Mapping):
        for _, message in header_flaws(value):
            raise ValueError(message)
    return value


def header_flaws(value: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """What is wrong with the names of these headers: name, message."""
    flaws, seen = [], dict[str, str]()
    for name in map(str, value):
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            flaws.append((name, got(name, "a header name such as X-Request-Id")))
        elif lower in ENGINE_HEADERS:
            flaws.append((name, ENGINE_HEADERS[lower]))
        elif lower in seen:
            flaws.append((name, f"given twice, first as {seen[lower]}"))
        seen.setdefault(lower, name)
    return flaws


def regex(value: object) -> str:
    want = "a regular expression"
    if not isinstance(value, str) or not value:
        raise ValueError(got(value, want))
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as e:
        raise ValueError(f"{got(value, want)}: {e}") from None
    return value


def sought(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(got(value, "text to look for in the body"))
    return value


def field_value(value: object) -> str | tuple[str, ...]:
    """A query or form value; a list repeats the key."""
    if isinstance(value, list | tuple):
        if all(isinstance(v, str) for v in value):
            return tuple(value)
        raise ValueError(got(next(v for v in value if not isinstance(v, str)), "text or a number"))
    if not isinstance(value, str):
        raise ValueError(got(value, "text, a number or a list of them"))
    return value


def part(value: object) -> str | dict[str, str]:
    """A part of a multipart body: text, or a file to upload."""
    if isinstance(value, str):
        return value
    want = "text, or a file such as {file: avatar.png, type: image/png}"
    if not isinstance(value, Mapping) or not isinstance(value.get("file"), str) or not value["file"]:
        raise ValueError(got(value, want))
    for key, item in value.items():
        if key not in ("file", "type", "filename") or not isinstance(item, str) or not item.isprintable():
            raise ValueError(f"{got(value, want)}: {key} is not one of file, type, filename with text")
    return dict(value)


def json_value(value: object) -> Any:
    """Any value that JSON can carry."""
    match value:
        case float() if not math.isfinite(value):
            raise ValueError(got(value, "a value that JSON knows"))
        case Mapping():
            return {str(k): json_value(v) for k, v in value.items()}
        case list() | tuple():
            return [json_value(v) for v in value]
        case None | bool() | str() | int() | float():
            return value
    raise ValueError(got(value, "a value that JSON knows"))


def command(value: object) -> str | tuple[str, ...]:
    """A command: a line for the shell, or a program and its arguments."""
    want = "a command such as ./fetch-token.sh, or a list of program and arguments"
    words = (value,) if isinstance(value, str) else value
    texts = isinstance(words, list | tuple) and all(isinstance(w, str) and "\0" not in w for w in words)
    if isinstance(words, list | tuple) and texts and words and words[0].strip():
        return value if isinstance(value, str) else tuple(words)
    raise ValueError(got(value, want))
