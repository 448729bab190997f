"""Draft: a profile on its way from YAML to a checked Profile, and the mistakes found so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from loadtool.errors import Mistake, ProfileError
from loadtool.profile.environment import Piece
from loadtool.profile.keys import show_path
from loadtool.profile.secrets import Secrets
from loadtool.profile.yaml_tree import Path


@dataclass(slots=True)
class Draft:
    """`data` is plain data as the profile has it, on which each step works in turn."""

    file: str
    data: dict[str, Any]
    lines: dict[Path, int]
    sources: dict[Path, str]  # of values that are not text
    places: dict[Path, str] = field(default_factory=dict)  # what the command line has set: "--set …"
    unset: dict[Path, tuple[Piece, ...]] = field(default_factory=dict)  # texts with unset variables
    pending: set[str] = field(default_factory=set)  # unset variables that `setup:` may yet set
    unsettled: set[Path] = field(default_factory=set)  # texts with variables that it may set, or set anew
    masked: dict[Path, str] = field(default_factory=dict)  # texts to show instead of the real ones
    # Texts with variables in pieces, as they may be shown, and which are a variable's value or default.
    shown: dict[Path, tuple[tuple[str, bool], ...]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    mistakes: list[Mistake] = field(default_factory=list)
    reported: set[Path] = field(default_factory=set)

    def report(self, path: Path, message: str, *, about: Path | None = None) -> None:
        """Note a mistake at a place; `about` is where to look for it if the place itself is not there.

        What is said of a value that waits for a variable is dropped: it is not known yet.
        """
        self.reported.add(path)
        if not self.waits(path):
            self.mistakes.append(self._mistake(path, message, about))

    def _mistake(self, path: Path, message: str, about: Path | None) -> Mistake:
        at = about if about is not None else path
        while True:
            if at in self.places:
                # "--set phases.spike.rate" says the path already.
                return Mistake(self.places[at], None, "" if at == path else show_path(path), message)
            if at in self.lines:
                return Mistake(self.file, self.lines[at], show_path(path), message)
            if not at:
                return Mistake(self.file, None, show_path(path), message)
            at = at[:-1]

    def waits(self, path: Path) -> bool:
        """Whether the value at this place, or one around it, contains an unset variable."""
        return any(path[:n] in self.unset for n in range(len(path) + 1))

    def waits_within(self, path: Path) -> bool:
        """Whether some value at or below this place contains an unset variable."""
        return any(p[: len(path)] == path for p in self.unset)

    def fail_if_mistaken(self) -> None:
        """Raises ProfileError with all mistakes so far, secrets masked."""
        if self.mistakes:
            secrets = Secrets.of(self.secrets)
            raise ProfileError([replace(m, message=secrets.mask(m.message)) for m in self.mistakes])


def get(data: Any, path: Path) -> Any:
    """The value at a place of plain data; None if there is none."""
    for element in path:
        match data:
            case dict() if element in data:
                data = data[element]
            case list() if isinstance(element, int) and element < len(data):
                data = data[element]
            case _:
                return None
    return data


def put(data: Any, path: Path, value: Any) -> None:
    """Set the value at a place that exists."""
    get(data, path[:-1])[path[-1]] = value


def texts(data: Any, path: Path = ()) -> list[tuple[Path, str]]:
    """Every text in plain data, with its place; keys of mappings are not among them."""
    match data:
        case str():
            return [(path, data)]
        case dict():
            return [found for key, value in data.items() for found in texts(value, (*path, key))]
        case list():
            return [found for i, value in enumerate(data) for found in texts(value, (*path, i))]
    return []
