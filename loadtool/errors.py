"""The error tree. Each class knows the exit code that it leads to.

Messages are one line, and say where, what came and what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHOWN_LENGTH = 80  # of a refused value in a message


def shown(value: object) -> str:
    """A value of a profile as its writer would recognise it, on one line and not too long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "a mapping"
        case list() | tuple() | set() | frozenset():
            return "a list"
        case bytes():
            return "binary data"
        case int() if abs(value) >= 10**SHOWN_LENGTH:
            return "a number of very many digits"
    text = str(value)
    if isinstance(value, str) and (not text or not text.isprintable() or text != text.strip()):
        text = repr(text)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def got(value: object, want: str) -> str:
    """The wording of every refused value: what came and what was wanted."""
    return f"got {shown(value)}, want {want}"


class LoadtoolError(Exception):
    """Any failure that a user is told about in one line instead of a traceback."""

    exit_code: int = 3


class UsageError(LoadtoolError):
    """The command line, the profile or a file that they name is wrong; nothing was sent."""

    exit_code: int = 2


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong in a profile."""

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        """One line that a terminal takes as it is: what cannot be printed is escaped."""
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        text = f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


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


class Interrupted(LoadtoolError):
    """Ctrl-C, SIGTERM or a closed terminal before the load began."""

    def __init__(self, number: int) -> None:
        """`number`: of the signal."""
        super().__init__("interrupted before the load began; nothing was sent")
        self.exit_code = 128 + number


def lone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception that a nursery's group stands for: the first LoadtoolError, else the first of all.

    Several at once have one cause as a rule, and one line is all that a user gets.
    """
    leaves: list[BaseException] = []
    queue: list[BaseException] = [group]
    while queue:
        error = queue.pop(0)
        if isinstance(error, BaseExceptionGroup):
            queue = [*error.exceptions, *queue]
        else:
            leaves.append(error)
    return next((e for e in leaves if isinstance(e, LoadtoolError)), leaves[0])
