"""The terminal's second screen, drawn in place: cells that have not changed are not sent again.

A frame goes out in one write, between the marks of a synchronised update (terminals that do not know them
ignore them), so that nobody sees half of one, and a slow line carries some hundred bytes a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from rich.text import Text

from loadtool.report.palette import darkened

AFRESH_EVERY: Final = 40  # frames: what others have written into ours is gone by then

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_ERASE_ALL: Final = "\x1b[2J"
_NEAR: Final = 8  # equal cells between two changes that cost less than another move of the cursor

# What stands in a cell, with its style; the second cell of a wide character holds nothing.
_Cell = tuple[str, Style]
_BLANK: Final[_Cell] = (" ", Style.null())


class Screen:
    """`take`, then `draw` as often as wanted, then `give_back`; nothing of it scrolls."""

    def __init__(self, console: Console, *, light: bool = False) -> None:
        """`light`: its background is."""
        self.taken = False
        self._console = console
        self._light = light
        self._colours = COLOR_SYSTEMS.get(console.color_system or "")
        self._size = (0, 0)
        self._lines: list[Text] = []
        self._cells: list[list[_Cell]] = []
        self._frames = 0

    def take(self) -> None:
        """Leave the first screen as it is. Taken already, this one is left as it is, too."""
        if self.taken:
            return
        self.taken, self._size, self._frames = True, (0, 0), 0
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)

    def draw(self, lines: Sequence[Text], size: tuple[int, int]) -> None:
        """Show lines, each of at most the columns of `size` and together of at most its lines."""
        parts = []
        whole = size != self._size or self._frames % AFRESH_EVERY == 0
        if size != self._size:  # terminals disagree about what they keep of a screen that is resized
            parts.append(_ERASE_ALL)
        before = [] if whole else self._cells
        cells = []
        for row, line in enumerate(lines):
            if row < len(before) and _same(line, self._lines[row]):
                cells.append(before[row])
                continue
            cells.append(self._rendered(line, size[0]))
            parts += self._changes(row, cells[-1], before[row] if row < len(before) else None)
        self._size, self._lines, self._cells = size, list(lines), cells
        self._frames += 1
        if parts:
            text = "".join(parts)
            self._console.file.write(f"{_BEGIN}{darkened(text) if self._light else text}{_END}")
            self._console.file.flush()

    def give_back(self) -> None:
        """May be called twice."""
        if not self.taken:
            return
        self.taken = False
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)

    def _rendered(self, line: Text, width: int) -> list[_Cell]:
        """The cells of a line, all of them."""
        cells: list[_Cell] = []
        for text, style, control in Text(end="").append_text(line).render(self._console):
            if control:
                continue
            shown = style or Style.null()
            if self._console.no_color:
                shown = shown.without_color
            for char in text:
                room = cell_len(char)
                if room:
                    cells += [(char, shown), *[("", shown)] * (room - 1)]
                elif cells:  # it combines with the one before
                    cells[-1] = (cells[-1][0] + char, cells[-1][1])
        return cells[:width] + [_BLANK] * (width - len(cells))

    def _changes(self, row: int, cells: list[_Cell], before: list[_Cell] | None) -> Iterator[str]:
        """What makes a row that holds `before` hold `cells`; before None, nothing is known of it."""
        for first, last in _stretches(cells, before):
            yield f"\x1b[{row + 1};{first + 1}H"
            for style, group in groupby(cells[first : last + 1], key=lambda cell: cell[1]):
                text = "".join(char for char, _ in group)
                yield style.render(text, color_system=self._colours)


def _same(a: Text, b: Text) -> bool:
    return a == b and a.style == b.style


def _stretches(cells: list[_Cell], before: list[_Cell] | None) -> Iterator[tuple[int, int]]:
    """First and last cells of what has changed, near ones taken together."""
    if before is None:
        yield 0, len(cells) - 1
        return
    first = last = -1
    for i, (new, old) in enumerate(zip(cells, before, strict=True)):
        if new == old:
            continue
        if first >= 0 and i - last > _NEAR:
            yield first, last
            first = -1
        if first < 0:
            first = i - 1 if i and not new[0] else i  # a wide character is written from its beginning
        last = i
    if first >= 0:
        yield first, last
