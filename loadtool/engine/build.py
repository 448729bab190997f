"""Which build of the engine this is."""

from __future__ import annotations

from importlib.util import find_spec


def compiled() -> bool:
    """Whether the hot modules were compiled at install."""
    found = find_spec("loadtool.engine.reactor")  # not loaded: that is the workers' business
    return found is not None and not str(found.origin).endswith(".py")
