"""Areas that stand on each other, in blocks: what became of the arrivals, as one column of a picture each.

The lowest area is solid and exact to an eighth of a line; those upon it have a glyph of their own, so that
they can be told apart without colours, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from loadtool.report.axis import GUTTER

SOLID: Final = "█"
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_HALF: Final = 0.5  # of a line, from which on it is drawn


@dataclass(frozen=True, slots=True)
class Area:
    """One value a column, drawn upon the areas before it; nothing is drawn for 0, None and infinity."""

    values: Sequence[float | None]
    style: str = ""
    glyph: str = SOLID


def heights(areas: Sequence[Area]) -> list[float]:
    """How high the areas stand together, column by column."""
    return [math.fsum(_known(a.values[c]) for a in areas) for c in range(len(areas[0].values))]


def laid_over(picture: Text, areas: Sequence[Area], *, height: int, top: float) -> Text:
    """The picture of `height` lines, whose values reach from 0 to `top`, with the areas over its curves."""
    columns = [_column(areas, c, height, top) for c in range(len(areas[0].values))]
    lines = []
    for row, line in enumerate(picture.split("\n", allow_blank=True)):
        cells = {
            GUTTER + c: column[height - 1 - row]
            for c, column in enumerate(columns)
            if len(column) > height - 1 - row
        }
        line.pad_right(max(max(cells, default=0) + 1 - len(line.plain), 0))
        plain = list(line.plain)
        for at, (glyph, _) in cells.items():
            plain[at] = glyph
        drawn = Text("".join(plain), no_wrap=True, end="")
        for span in line.spans:
            drawn.stylize(span.style, span.start, span.end)
        for at, (_, style) in cells.items():
            drawn.stylize(f"not dim {style}".strip(), at, at + 1)
        lines.append(drawn)
    return Text("\n", no_wrap=True, end="").join(lines)


def _column(areas: Sequence[Area], column: int, height: int, top: float) -> list[tuple[str, str]]:
    """Glyph and style of each cell from the bottom up, as far as something is drawn."""
    parts = [min(_known(a.values[column]) / top, 1.0) * height if top else 0.0 for a in areas]
    total = min(math.fsum(parts), float(height))
    cells: list[tuple[int, float]] = []  # the area that has most of the cell, and how much is filled
    for row in range(math.ceil(total - 1e-9)):
        filled = min(total - row, 1.0)
        shares, low = [], 0.0
        for part in parts:
            shares.append(max(min(low + part, row + filled) - max(low, row), 0.0))
            low += part
        cells.append((max(range(len(parts)), key=lambda i: shares[i]), filled))
    if cells and areas[cells[-1][0]].glyph != SOLID and cells[-1][1] < _HALF and len(cells) > 1:
        cells.pop()
    # What is there shows, however little it is, and in its place.
    for i, part in enumerate(parts):
        if part > 0 and all(owner != i for owner, _ in cells):
            place = sum(owner < i for owner, _ in cells)
            if place < len(cells):  # others stand upon it: it takes the cell of one of them
                cells[place] = (i, 1.0)
                continue
            # Nothing floats: the cell below is filled or, where it is nearly empty, taken.
            if cells and (len(cells) == height or (cells[-1][1] < _HALF and len(cells) > 1)):
                cells.pop()
            elif cells:
                cells[-1] = (cells[-1][0], 1.0)
            cells.append((i, 1.0))
    return [(_glyph(areas[i], filled), areas[i].style) for i, filled in cells]


def _glyph(area: Area, filled: float) -> str:
    if area.glyph != SOLID:
        return area.glyph
    return _EIGHTHS[max(math.ceil(filled * (len(_EIGHTHS) - 1) - 1e-9), 1)]


def _known(value: float | None) -> float:
    return 0.0 if value is None or math.isinf(value) else max(value, 0.0)
