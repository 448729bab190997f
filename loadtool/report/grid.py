"""Tables for terminals: figures are never cut; where a table is too wide, its least important columns go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtool.report.folding import GLUE, folded, glued
from loadtool.report.text import clean, defuse

INDENT: Final = 1
_GAPS: Final = (2, 1)  # cells between columns, where there is room
_LEAST_TEXT: Final = 16  # cells that a column of text may shrink to


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `drop` above 0 may be left out, the highest first; a text column shrinks and wraps."""

    header: str
    text: bool = False
    left: bool = False
    drop: int = 0


def table(columns: Sequence[Column], rows: Iterable[Sequence[Text | str]], width: int) -> RenderableType:
    """The table within `width` cells; a last line names the columns that there was no room for."""
    lines = [[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows]
    kept = list(range(len(columns)))
    while _need(columns, lines, kept, _GAPS[-1]) > width:
        droppable = [i for i in kept if columns[i].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: columns[i].drop))
    # Closer together rather than in more lines.
    natural = sum(_width(columns, lines, i) for i in kept)
    gap = next((g for g in _GAPS if natural + g * (len(kept) - 1) <= width), _GAPS[-1])
    widths = _shared(columns, lines, kept, width - gap * (len(kept) - 1))
    # The gaps are columns: rich counts a padding behind the last column, too, where there is none.
    out = Table(box=None, padding=0, pad_edge=False, header_style="dim", show_edge=False)
    for i in kept:
        c = columns[i]
        if i != kept[0]:
            out.add_column(width=gap)
        out.add_column(
            Text(c.header),
            justify="left" if c.text or c.left else "right",
            overflow="fold",
            no_wrap=not c.text,
            width=widths[i],
        )
    for line in lines:
        cells = [folded(line[i], widths[i]) if columns[i].text else line[i] for i in kept]
        out.add_row(*[part for cell in cells for part in ("", cell)][1:])
    dropped = [c.header for i, c in enumerate(columns) if i not in kept]
    if not dropped:
        return out
    return Group(out, Text(f"no room for {', '.join(dropped)}", style="dim"))


def _width(columns: Sequence[Column], lines: Sequence[Sequence[Text]], i: int) -> int:
    cells = (part.cell_len for line in lines for part in line[i].split("\n", allow_blank=True))
    return max([cell_len(columns[i].header), *cells])


def _least(columns: Sequence[Column], lines: Sequence[Sequence[Text]], i: int) -> int:
    natural = _width(columns, lines, i)
    return min(natural, _LEAST_TEXT) if columns[i].text else natural


def _need(columns: Sequence[Column], lines: Sequence[Sequence[Text]], kept: Sequence[int], gap: int) -> int:
    return sum(_least(columns, lines, i) for i in kept) + gap * (len(kept) - 1)


def _shared(
    columns: Sequence[Column], lines: Sequence[Sequence[Text]], kept: Sequence[int], width: int
) -> dict[int, int]:
    """The width of each column, `width` together at most: columns of text share what figures leave."""
    widths = {i: _least(columns, lines, i) for i in kept}
    wanting = {i: _width(columns, lines, i) for i in kept if columns[i].text}
    left = width - sum(widths.values())
    while left < 0 and (wide := [i for i in wanting if widths[i] > 1]):
        widths[max(wide, key=lambda i: widths[i])] -= 1
        left += 1
    while left > 0 and (short := [i for i in wanting if widths[i] < wanting[i]]):
        widths[min(short, key=lambda i: widths[i])] += 1
        left -= 1
    return widths


def pairs(rows: Iterable[tuple[str, str]], label_width: int = 11) -> Table:
    """Labels and texts, the texts wrapped beside their labels."""
    out = Table.grid(padding=(0, 1, 0, 0))
    out.add_column(width=label_width, style="dim", no_wrap=True)
    out.add_column(overflow="fold")
    for label, text in rows:
        out.add_row(Text(clean(label)), Text(glued(clean(text))))
    return out


def listed(mark: Text, body: Text, width: int) -> Table:
    """A text behind its mark, its further lines below its first, in `width` cells."""
    out = Table.grid(padding=(0, 1, 0, 0))
    out.add_column(no_wrap=True, width=mark.cell_len)
    out.add_column()
    out.add_row(mark, folded(body, width - mark.cell_len - 1))
    return out


def heading(title: str, width: int) -> Text:
    """A section's title, ruled to the full width."""
    return Text.assemble((title, "bold"), " ", ("─" * max(width - cell_len(title) - 1, 0), "dim"))


def printed(parts: Iterable[RenderableType], *, width: int, color: bool) -> str:
    """The renderables as text of lines of at most `width` cells, without blanks at their ends.

    No line of it is a workflow command: what is printed may be the log of a CI job.
    """
    # The caller has decided on width and colours; the environment has no say any more.
    page = StringIO()
    console = Console(
        file=page,  # not even nothing may be written to standard output here: its disk may be full
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        soft_wrap=False,
        _environ={},
    )
    for part in parts:
        console.print(part)
    text = page.getvalue().replace(GLUE, " ")
    return defuse("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
