"""Recording: the requests of a log in columns, so that a million of them take a few tens of megabytes."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from typing import NamedTuple


class Recorded(NamedTuple):
    """One request as it was recorded. `target` is path and query in ASCII; without a body it is None."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None


class Named(NamedTuple):
    """Requests that go by one name; `requests` of the recording."""

    name: str
    method: str
    requests: int


class LeftOut(NamedTuple):
    """Lines that are not sent, and why; `line` is the first, from 1."""

    reason: str
    lines: int
    line: int


class Texts:
    """Many texts in one piece of memory, by number."""

    __slots__ = ("_bytes", "_ends")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def add(self, text: str) -> int:
        """Its number: they count from 0."""
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))
        return len(self._ends) - 2

    def __getitem__(self, number: int) -> str:
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode()

    def __len__(self) -> int:
        return len(self._ends) - 1


@dataclass(frozen=True, slots=True)
class Recording:
    """What a log holds: request i came `times[i]` ns after the first and is `texts[kinds[i]]`.

    Times ascend. Those of a log that knows seconds alone are spread evenly within each of them. `name_of`
    says for each kind which of `names` it goes by. `length_ns` is a whole number of seconds, above the last
    time. A text is method and target with a blank between, and headers and body as JSON on a second line, if
    it has any.
    """

    file: str
    began_ns: int  # since 1970, UTC
    times: array[int]
    kinds: array[int]
    texts: Texts
    names: tuple[Named, ...]  # the most frequent first
    name_of: array[int]
    length_ns: int
    lines: int
    broken: int
    first_broken: tuple[int, str]  # line and what is wrong with it
    left_out: tuple[LeftOut, ...]
    errors: tuple[tuple[int, int], ...]  # recorded statuses from 400 on, each with its count
    whole_seconds: bool  # the log knows no more
    unmatched: tuple[tuple[str, str], ...] = ()  # bodies that are given for none of it: the name, and a hint

    def __len__(self) -> int:
        return len(self.times)


def text_of(it: Recorded) -> str:
    """As `Recording.texts` has it; `plan/replay.py` takes it to pieces."""
    if not it.headers and it.body is None:
        return f"{it.method} {it.target}"
    return f"{it.method} {it.target}\n{json.dumps([it.headers, it.body], ensure_ascii=False)}"


def recorded_of(text: str) -> Recorded:
    """The request of such a text."""
    line, _, rest = text.partition("\n")
    method, _, target = line.partition(" ")
    headers, body = json.loads(rest) if rest else ((), None)
    return Recorded(method, target, tuple((name, value) for name, value in headers), body)
