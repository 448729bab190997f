"""The error tree. Each class knows the exit code of design §7 that it leads to.

Messages are one line, and say where, what came and what was wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class LoadtoolError(Exception):
    """Any failure that a user is told about in one line instead of a traceback."""

    exit_code: ClassVar[int] = 3


class UsageError(LoadtoolError):
    """The command line, the profile or a file that they name is wrong; nothing was sent."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong in a profile."""

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ProfileError(UsageError):
    """Everything that is wrong in a profile, in the order of its lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (m.file, m.line or 0)))
        super().__init__("\n".join(str(m) for m in self.mistakes))


class SetupError(LoadtoolError):
    """The run could not begin: a `setup:` command, `wait_for`, the demo target or a worker did not start."""


class FaultError(LoadtoolError):
    """A fault could not be placed, removed or verified."""


class OutputError(LoadtoolError):
    """A result could not be written: a full or read-only disk."""
