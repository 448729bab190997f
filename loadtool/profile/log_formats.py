"""Lines of logs: when each request came, and what it was.

A format is a function that turns lines into (line number, time, key, status): the time in ns since 1970, the
key whatever tells requests apart, for `recorded` to take to pieces once for each. A broken line has the time
`BROKEN` and its flaw as key. Blank lines are skipped.
"""

from __future__ import annotations

import csv
import json
import re
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from loadtool.errors import shown
from loadtool.profile.readers import ENGINE_HEADERS
from loadtool.profile.recording import Recorded
from loadtool.profile.secrets import URI_SAFE

BROKEN: Final = -1
SECOND: Final = 1_000_000_000
Key = bytes | tuple[str, str, tuple[tuple[str, str], ...], str | None]
Entry = tuple[int, int, Key | str, int]

# What a field may be called, the likeliest first.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("time", "timestamp", "@timestamp", "time_iso8601", "ts", "msec", "time_local"),
    "method": ("method", "request_method", "verb"),
    "path": ("path", "request_uri", "uri", "url", "target"),
    "request": ("request",),  # a whole request line, for logs without method and path
    "status": ("status", "status_code"),
    "headers": ("headers",),
    "body": ("body", "request_body"),
}
BODILESS: Final = frozenset(("GET", "HEAD", "DELETE", "OPTIONS"))
BODIED: Final = ("POST", "PUT", "PATCH")
METHODS: Final = BODILESS.union(BODIED)

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_CLF: Final = re.compile(rb"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_ESCAPE: Final = re.compile(r"\\x([0-9A-Fa-f]{2})")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9/?&=._~%+:,-]*")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HALF: Final = r"holds half of a surrogate pair, such as \ud800, which can't be sent"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = 2**63 - SECOND  # recordings keep times in 64 bits, and spread those of whole seconds


def clf_time(stamp: bytes) -> int:
    """The time of 10/Oct/2000:13:55:36 -0700, in ns since 1970. Raises ValueError."""
    match = _CLF.fullmatch(stamp)
    month = _MONTHS.get(match[2]) if match else None
    if match is None or month is None:
        raise ValueError("no time such as [10/Oct/2000:13:55:36 -0700]")
    day, year, hour, minute, second = (int(match[i]) for i in (1, 3, 4, 5, 6))
    datetime(year, month, day, hour, minute, min(second, 59))  # raises for the 31st of February
    offset = (int(match[8]) * 60 + int(match[9])) * 60
    utc = timegm((year, month, day, hour, minute, second)) - (offset if match[7] == b"+" else -offset)
    return _within(utc * SECOND, stamp.decode("latin-1"))


def time_of(value: Any) -> int:
    """A time of a JSON or CSV log: seconds, milli-, micro- or nanoseconds since 1970 by their size, or text
    as 2026-11-21T12:00:00.5Z (without a zone UTC) or as in an access log. Raises ValueError.
    """
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            if re.match(r"\[?[0-9]{2}/", text):
                return clf_time(text.strip("[]").encode())
            try:
                at = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError(f"no time: {shown(value)}") from None
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            since = at - _EPOCH
            us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
            return _within(us * 1000, value)
        value = float(text) if "." in text else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**63:
        raise ValueError(f"no time: {shown(value)}")
    unit = SECOND
    while value * unit >= 10**20:  # the year 5138 in seconds; whatever is larger is in a smaller unit
        unit //= 1000
    if isinstance(value, int):
        return _within(value * unit, value)
    micros = value * (unit // 1000) if unit > 1 else value / 1000  # a float of today knows no nanoseconds
    return _within(round(micros) * 1000, value)


def _within(ns: int, value: Any) -> int:
    """A time that a recording can keep. Raises ValueError for others."""
    if not 0 <= ns < _END:
        raise ValueError(f"no time from 1970 to 2262: {shown(value)}")
    return ns


def combined(lines: Iterable[bytes], fields: Mapping[str, str]) -> Iterator[Entry]:
    """nginx's and Apache's combined and common formats."""
    last, ns = b"", 0
    for number, line in enumerate(lines, 1):
        opened = line.find(b" [")
        closed = line.find(b'] "', opened)
        if opened < 0 or closed < 0:
            if line.strip():
                yield number, BROKEN, 'no [time] and "request"', 0
            continue
        stamp = line[opened + 2 : closed]
        if stamp != last:
            try:
                ns = clf_time(stamp)
            except ValueError as e:
                yield number, BROKEN, str(e), 0
                continue
            last = stamp
        end = line.find(b'" ', closed + 3)
        while end > 0 and line[end - 1] == 0x5C:  # Apache writes a quotation mark as \"
            end = line.find(b'" ', end + 1)
        status = line[end + 2 : end + 5]
        if end < 0 or not status.isdigit():
            yield number, BROKEN, 'no status after "request"', 0
            continue
        yield number, ns, line[closed + 3 : end], int(status)


def json_lines(lines: Iterable[bytes], fields: Mapping[str, str]) -> Iterator[Entry]:
    """A JSON object a line."""
    loads = json.loads
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = loads(line)
        except (ValueError, RecursionError):
            yield number, BROKEN, "not JSON", 0
            continue
        if isinstance(row, dict):
            yield _entry(number, row, fields)
        else:
            yield number, BROKEN, "not a JSON object", 0


def csv_lines(lines: Iterable[bytes], fields: Mapping[str, str]) -> Iterator[Entry]:
    """CSV whose first line names the columns.

    A row may go on over several lines within quotes. Of one that is broken each line is; its number is that
    of the line on which it begins.
    """
    taken: list[str] = []  # lines of the row that is being read

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line.decode("utf-8-sig", "replace"))
            yield taken[-1]

    reader = csv.reader(texts(), strict=True)
    header: list[str] | None = None
    while True:
        first = reader.line_num + 1
        taken.clear()
        row: list[str] = []
        flaw = ""
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            flaw = f"not CSV: {e}"
        if header is None:
            if flaw:
                yield from _broken_rows(first, len(taken), flaw)
            else:
                header = [name.strip() for name in row]
        elif flaw or (row and len(row) != len(header)):
            flaw = flaw or f"{len(row)} values for {len(header)} columns"
            yield from _broken_rows(first, len(taken), flaw)
        elif any(_csv_entry(first, text, header, fields) for text in taken[1:]):
            # Two stray quotes: what lies between them looks like a value of many lines.
            yield from _broken_rows(first, len(taken), "a value takes in other rows")
        elif row:
            yield _entry(first, _filled(header, row), fields)


def _broken_rows(first: int, lines: int, flaw: str) -> Iterator[Entry]:
    if lines > 1:
        flaw += f", in quotes that go on to line {first + lines - 1}"
    return ((number, BROKEN, flaw, 0) for number in range(first, first + lines))


def _csv_entry(number: int, text: str, header: list[str], fields: Mapping[str, str]) -> Entry | None:
    """What a line says if it is a row of its own."""
    try:
        row = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
    entry = _entry(number, _filled(header, row), fields) if len(row) == len(header) else None
    return entry if entry is not None and entry[1] != BROKEN else None


def _filled(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in zip(header, row, strict=True) if value}


FORMATS: Final[Mapping[str, Callable[[Iterable[bytes], Mapping[str, str]], Iterator[Entry]]]] = {
    "combined": combined,
    "json": json_lines,
    "csv": csv_lines,
}


def _entry(number: int, row: Mapping[str, Any], fields: Mapping[str, str]) -> Entry:
    """`fields`: what they are called here, where that is not one of `FIELDS`."""

    def value(field: str) -> Any:
        names = (fields[field],) if field in fields else FIELDS[field]
        return next((row[name] for name in names if row.get(name) is not None), None)

    try:
        at = value("time")
        if at is None:
            raise ValueError(f"has no {fields.get('time', 'time')}")
        ns = time_of(at)
        status = value("status")
        code = int(status) if str(status).isdecimal() else 0
        path = value("path")
        if path is None and isinstance(line := value("request"), str):
            return number, ns, line.encode(), code
        if not isinstance(path, str) or not path:
            raise ValueError(f"has no {fields.get('path', 'path')}")
        body = _body(value("body"))
        for text in (path, body or ""):
            text.encode()  # here, so that what can't be sent is this line's flaw
        method = str(value("method") or "GET").upper()
        return number, ns, (method, path, _headers(value("headers")), body), code
    except UnicodeEncodeError:
        return number, BROKEN, _HALF, 0
    except ValueError as e:
        return number, BROKEN, str(e), 0


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    """The recorded headers but those that loadtool sets itself, and Host, which is the target's."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("headers are no JSON object") from None
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise ValueError("headers are no JSON object")
    kept = []
    for name, text in value.items():
        if name.lower() in ENGINE_HEADERS or name.lower() == "host" or text is None:
            continue
        if not _TOKEN.fullmatch(name) or isinstance(text, dict | list) or re.search(r"[\r\n\0]", str(text)):
            raise ValueError(f"the header {shown(name)} can't be sent")
        kept.append((name, str(text).encode("utf-8").decode("latin-1")))
    return tuple(kept)


def _body(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def recorded(key: Key) -> Recorded | str:
    """The request of this key, or why it can't be sent."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    if isinstance(key, bytes):
        text = key.decode("latin-1")
        if "\\" in text:
            text = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text.replace('\\"', '"'))
        method, _, rest = text.partition(" ")
        target, blank, protocol = rest.rpartition(" ")
        if not blank or not protocol.startswith("HTTP/"):
            return "no HTTP request"
        raw = target.encode("latin-1", "replace")
    else:
        method, target, headers, body = key
        raw = target.encode()
    if method not in METHODS:
        return f"{shown(method)} is not sent" if method.isascii() and method.isalpha() else "no HTTP request"
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return "the path can't be sent"
        if parts.scheme not in ("http", "https"):
            return "the path can't be sent"
        raw = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode()
    path = raw.decode() if _PLAIN.fullmatch(raw) else quote(raw.partition(b"#")[0], safe=URI_SAFE)
    return Recorded(method, path, headers, body)
