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

from loadtool.report.text import clean

INDENT: Final = 1
_GAPS: Final = (2, 1)  # cells between columns, where there is room
_LEAST_TEXT: Final = 12  # cells that a column of text may shrink to


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
    while (gap := next((g for g in _GAPS if _need(columns, lines, kept, g) <= width), 0)) == 0:
        droppable = [i for i in kept if columns[i].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda i: columns[i].drop))
    out = Table(
        box=None, padding=(0, gap or _GAPS[-1], 0, 0), pad_edge=False, header_style="dim", show_edge=False
    )
    for i in kept:
        c = columns[i]
        out.add_column(
            Text(c.header),
            justify="left" if c.text or c.left else "right",
            overflow="fold",
            no_wrap=not c.text,
            min_width=min(_LEAST_TEXT, _width(columns, lines, i)) if c.text else _width(columns, lines, i),
        )
    for line in lines:
        out.add_row(*(line[i] for i in kept))
    dropped = [c.header for i, c in enumerate(columns) if i not in kept]
    if not dropped:
        return out
    return Group(out, Text(f"no room for {', '.join(dropped)}", style="dim"))


def _width(columns: Sequence[Column], lines: Sequence[Sequence[Text]], i: int) -> int:
    return max([cell_len(columns[i].header), *(line[i].cell_len for line in lines)])


def _need(columns: Sequence[Column], lines: Sequence[Sequence[Text]], kept: Sequence[int], gap: int) -> int:
    widths = (
        min(_width(columns, lines, i), _LEAST_TEXT) if columns[i].text else _width(columns, lines, i)
        for i in kept
    )
    return sum(widths) + gap * (len(kept) - 1)


def pairs(rows: Iterable[tuple[str, str]], label_width: int = 11) -> Table:
    """Labels and texts, the texts wrapped beside their labels."""
    out = Table.grid(padding=(0, 1, 0, 0))
    out.add_column(width=label_width, style="dim", no_wrap=True)
    out.add_column(overflow="fold")
    for label, text in rows:
        out.add_row(Text(clean(label)), Text(clean(text)))
    return out


def heading(title: str, width: int) -> Text:
    """A section's title, ruled to the full width."""
    return Text.assemble((title, "bold"), " ", ("─" * max(width - cell_len(title) - 1, 0), "dim"))


def printed(parts: Iterable[RenderableType], *, width: int, color: bool) -> str:
    """The renderables as text of lines of at most `width` cells, without blanks at their ends."""
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
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"
