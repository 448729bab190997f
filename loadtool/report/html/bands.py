"""Phases and faults as bands behind the charts on the time axis, each with its name above the plot."""

from __future__ import annotations

import math
from typing import Any, Final

from loadtool.report.html.drawing import rounded
from loadtool.report.html.story import Story, Window
from loadtool.report.text import clean

MOST_LANES: Final = 3  # rows of names of faults above a plot
MOST_BANDS: Final = 400  # of faults: more would be a solid wall, and slow to draw


def phases(story: Story) -> list[dict[str, Any]]:
    """One a phase; `spike` phases stand out."""
    return [
        {
            "name": clean(p.name),
            "from": rounded(p.start_s),
            "to": rounded(p.end_s),
            "spike": p.role == "spike",
        }
        for p in story.phases
    ]


def faults(story: Story) -> list[dict[str, Any]]:
    """One a coming of a fault, in the order in which they came.

    A name stands in `lane` (0 is next to the plot) over the first of a row of bands of the same name, and may
    use the room as far as `room`. `lane` is None where no lane had room for the name.
    """
    windows = sorted(story.faults, key=lambda w: (w.start_s, w.end_s))[:MOST_BANDS]
    lanes = _lanes(windows)
    made = []
    last: dict[int, str] = {}
    for i, window in enumerate(windows):
        lane = lanes.get(window.name)
        named = lane is not None and last.get(lane) != window.name
        if lane is not None:
            last[lane] = window.name
        later = (w.start_s for w in windows[i + 1 :] if lanes.get(w.name) == lane and w.name != window.name)
        made.append(
            {
                "name": clean(window.name),
                "from": rounded(window.start_s),
                "to": rounded(window.end_s),
                "lane": lane if named else None,
                "room": rounded(min(later, default=max(story.end_s, window.end_s))),
            }
        )
    return made


def _lanes(windows: list[Window]) -> dict[str, int]:
    """A lane for each name, such that names of one lane follow one another in time."""
    spans: dict[str, tuple[float, float]] = {}
    for w in windows:
        start, end = spans.get(w.name, (math.inf, -math.inf))
        spans[w.name] = min(start, w.start_s), max(end, w.end_s)
    free = [-math.inf] * MOST_LANES
    lanes = {}
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        lane = next((i for i, until in enumerate(free) if until <= start), None)
        if lane is not None:
            lanes[name] = lane
            free[lane] = end
    return lanes
