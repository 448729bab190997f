"""Places in a profile, for messages about what is wrong or doubtful there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtool.errors import Mistake
from loadtool.profile.keys import show_path

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded

Place = tuple[str | int, ...]  # of a value, such as ("requests", 0, "headers", "X-Id")


def mistake(loaded: Loaded, place: Place, message: str) -> Mistake:
    """The message at this place, with the nearest line that the file has for it, secrets masked."""
    lines = (loaded.line_of(*place[:end]) for end in range(len(place), 0, -1))
    line = next((line for line in lines if line is not None), None)
    return Mistake(loaded.file, line, show_path(place), loaded.secrets.mask(message))
