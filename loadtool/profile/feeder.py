"""Feeders: rows for the templates, from CSV with a header line or JSONL (one object a line), in UTF-8."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from loadtool.errors import Mistake, ProfileError, shown
from loadtool.profile.files import NotText, read_text

MOST_TOLD: Final = 10  # bad rows; past these, it is another kind of file


class Rows(NamedTuple):
    """`rows` in file order, each with a value for every column: text from CSV, any JSON value from JSONL."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class _Record(NamedTuple):
    """A row as it stands in the file: `fields` by column, or what is wrong with it."""

    line: int
    values: tuple[object, ...] = ()
    flaw: str = ""


def read_rows(path: str | Path) -> Rows:
    """All rows of a feeder's file. Blank lines are skipped.

    Raises ProfileError for a file that is missing, unreadable, of another kind or without rows, and for
    every bad row (the first ten), each with the file's own line.
    """
    path = Path(path)
    if (reader := READERS.get(path.suffix.lower())) is None:
        kinds = " or ".join(f"*{suffix}" for suffix in READERS)
        raise ProfileError([Mistake(str(path), None, "", f"want a file named {kinds}")])
    try:
        columns, records = reader(read_text(path))
    except ValueError as e:
        line = e.line if isinstance(e, NotText) else None
        raise ProfileError([Mistake(str(path), line, "", str(e))]) from None
    rows: list[tuple[object, ...]] = []
    mistakes: list[Mistake] = []
    for record in records:
        if not record.flaw:
            rows.append(record.values)
        elif len(mistakes) < MOST_TOLD:
            mistakes.append(Mistake(str(path), record.line, "", record.flaw))
    if not rows and not mistakes:
        mistakes.append(Mistake(str(path), None, "", "has no rows"))
    if mistakes:
        raise ProfileError(mistakes)
    return Rows(columns, tuple(rows))


def _csv(text: str, delimiter: str = ",") -> tuple[tuple[str, ...], Iterator[_Record]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def raw() -> Iterator[tuple[int, list[str] | str]]:
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as e:
                yield line, f"not CSV: {e}"
                return  # what follows an open quote is anybody's guess
            if fields:
                yield line, fields

    records = raw()
    line, header = next(records, (1, "has no header line"))
    if isinstance(header, str):
        return (), iter([_Record(line, flaw=header)])
    columns = tuple(name.strip() for name in header)
    if flaw := _column_flaw(columns):
        return columns, iter([_Record(line, flaw=flaw)])

    def checked() -> Iterator[_Record]:
        for line, fields in records:
            if isinstance(fields, str):
                yield _Record(line, flaw=fields)
            elif len(fields) != len(columns):
                want = f"{len(columns)}, as in the header"
                yield _Record(line, flaw=f"got {len(fields)} value{'s' * (len(fields) != 1)}, want {want}")
            else:
                yield _Record(line, tuple(fields))

    return columns, checked()


def _column_flaw(columns: Sequence[str]) -> str:
    if "" in columns:
        return f"column {columns.index('') + 1} of the header has no name"
    twice = next((name for name in columns if columns.count(name) > 1), None)
    return f"the header names {shown(twice)} twice" if twice is not None else ""


def _jsonl(text: str) -> tuple[tuple[str, ...], Iterator[_Record]]:
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    start, line = next(lines, (1, ""))
    first = _object(start, line)
    if isinstance(first, _Record):
        return (), iter([first] if line else [])
    columns = tuple(first)

    def checked() -> Iterator[_Record]:
        yield _Record(start, tuple(first.values()))
        for number, line in lines:
            row = _object(number, line)
            if isinstance(row, _Record):
                yield row
            elif missing := [c for c in columns if c not in row]:
                yield _Record(number, flaw=f"has no {shown(missing[0])}, which line {start} has")
            elif added := [c for c in row if c not in columns]:
                yield _Record(number, flaw=f"has {shown(added[0])}, which line {start} has not")
            else:
                yield _Record(number, tuple(row[c] for c in columns))

    return columns, checked()


def _object(number: int, line: str) -> dict[str, object] | _Record:
    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is no JSON value")

    want = 'want a JSON object such as {"cart": 1}'
    try:
        row = json.loads(line, parse_constant=refuse)
    except json.JSONDecodeError as e:
        return _Record(number, flaw=f"not JSON: {e.msg} at column {e.colno}; {want}")
    except (ValueError, RecursionError) as e:
        return _Record(number, flaw=f"not JSON: {e}")
    if not isinstance(row, dict) or not row:
        return _Record(number, flaw=f"got {shown(row)}, {want}")
    return row


READERS: Final[dict[str, Callable[[str], tuple[tuple[str, ...], Iterator[_Record]]]]] = {
    ".csv": _csv,
    ".tsv": lambda text: _csv(text, "\t"),
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}
