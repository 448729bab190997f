"""Expectation: what an answer must be to count as ok."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from loadtool.plan.job import ExpectSpec

# Content-Encodings that are undone before `expect` sees a body.
CODINGS: Final = ("gzip", "x-gzip", "deflate", "identity")
_FINE: Final = frozenset(range(200, 400))


@dataclass(frozen=True, slots=True)
class Expectation:
    """The compiled form of `expect`. `status` None: 200 to 399.

    Patterns are searched in the body read as UTF-8, so that `.` and `\\w` mean characters, not bytes.
    """

    status: frozenset[int] | None
    contains: tuple[bytes, ...]
    matches: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, spec: ExpectSpec) -> Expectation:
        """Raises ValueError for a pattern that is no regular expression."""
        try:
            matches = tuple(re.compile(pattern) for pattern in spec.matches)
        except (re.error, OverflowError, RecursionError) as e:
            raise ValueError(f"not a regular expression: {e}") from e
        contains = tuple(text.encode() for text in spec.contains)
        return cls(frozenset(spec.status) or None, contains, matches)

    @property
    def needs_body(self) -> bool:
        """Whether the answer's body must be kept to decide."""
        return bool(self.contains or self.matches)

    @property
    def fine(self) -> frozenset[int]:
        """The statuses that make an answer ok, whatever else it says; empty if its body matters."""
        if self.needs_body:
            return frozenset()
        return _FINE if self.status is None else self.status

    def problem(self, status: int, body: bytes) -> tuple[Literal["status", "check"], str] | None:
        """None if the answer is as expected, else the error kind and what was wrong, in words."""
        wanted = self.status
        if status not in (_FINE if wanted is None else wanted):
            want = "200 to 399" if wanted is None else " or ".join(map(str, sorted(wanted)))
            return "status", f"got status {status}, want {want}"
        for part in self.contains:
            if part not in body:
                return "check", f"the body does not contain {part.decode('utf-8', 'replace')!r}"
        if self.matches:
            text = body.decode("utf-8", "replace")
            for pattern in self.matches:
                if pattern.search(text) is None:
                    return "check", f"the body does not match {pattern.pattern!r}"
        return None
