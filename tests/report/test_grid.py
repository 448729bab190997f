from __future__ import annotations

import pytest
from rich.text import Text

from loadtool.report.grid import Column, printed, table

COLUMNS = (Column("name", text=True), Column("kept"), Column("spare", drop=1), Column("first to go", drop=2))
ROW = ("a rather long name", "12,345,678", "1,234 ms", "987,654,321")


def lines(width: int) -> list[str]:
    return printed([table(COLUMNS, [ROW], width)], width=width, color=False).splitlines()


@pytest.mark.parametrize(
    ("width", "gone"),
    [(80, ""), (55, ""), (40, "no room for first to go"), (30, "no room for spare, first to go")],
)
def test_the_least_important_columns_go_first(width: int, gone: str) -> None:
    shown = lines(width)
    assert all(len(line) <= width for line in shown)
    assert "12,345,678" in "\n".join(shown)
    assert [line for line in shown if line.startswith("no room")] == ([gone] if gone else [])


def test_a_long_name_wraps_and_loses_nothing() -> None:
    assert lines(24)[1:3] == ["a rather      12,345,678", "long name"]


def test_markup_in_a_cell_is_text() -> None:
    assert "[bold]x[/bold]" in printed(
        [table(COLUMNS, [("[bold]x[/bold]", "1", "2", "3")], 80)], width=80, color=True
    )


def test_without_colour_there_are_no_escapes() -> None:
    part = Text("red", style="bold red")
    assert printed([part], width=80, color=False) == "red\n"
    assert "\x1b[1;31mred" in printed([part], width=80, color=True)
