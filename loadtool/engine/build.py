"""Which build of the engine this is."""

from __future__ import annotations

from loadtool.engine import reactor


def compiled() -> bool:
    """Whether the hot modules were compiled at install."""
    return not reactor.__file__.endswith(".py")
