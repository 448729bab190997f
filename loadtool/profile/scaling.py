"""`--scale 2`: the same profile with so many times the load."""

from __future__ import annotations

from typing import Any

from loadtool import units
from loadtool.profile import readers
from loadtool.profile.draft import Draft


def scale_load(draft: Draft, factor: float) -> None:
    """Multiply the rate of every phase, or the number of requests of a replay.

    Values that can't be read are left as they are, for those who tell of mistakes. What is stated about the
    service (`capacity:`, SLOs, limits of the clients) stays.
    """
    if factor == 1:
        return
    phases = draft.data.get("phases")
    for i, phase in enumerate(phases if isinstance(phases, list) else ()):
        if isinstance(phase, dict) and "rate" in phase and not draft.waits(("phases", i, "rate")):
            phase["rate"] = _scaled_rate(phase["rate"], factor)
    replay = draft.data.get("replay")
    if isinstance(replay, str):
        replay = draft.data["replay"] = {"file": replay}
    if isinstance(replay, dict) and not draft.waits(("replay", "scale")):
        scale = replay.get("scale")
        if scale is None and draft.sources.get(("replay", "scale")) != "":  # else empty, which is a mistake
            scale = 1
        replay["scale"] = _scaled_factor(scale, factor)


def _scaled_rate(value: Any, factor: float) -> Any:
    try:
        return units.parse_rate(value) * factor
    except ValueError:
        return value


def _scaled_factor(value: Any, factor: float) -> Any:
    try:
        return readers.factor(value) * factor
    except ValueError:
        return value
