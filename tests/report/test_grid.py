from __future__ import annotations

import re

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
    assert lines(24)[1:3] == ["a rather long 12,345,678", "name"]


@pytest.mark.parametrize("width", [12, 24, 33, 60])
def test_figures_are_never_cut(width: int) -> None:
    assert "12,345,678" in "\n".join(lines(width))


def test_columns_come_closer_before_a_text_wraps() -> None:
    columns = (Column("", text=True), Column("n"), Column("m"))
    shown = printed([table(columns, [("sixteen letters,", "1", "2")], 20)], width=20, color=False)
    assert shown.splitlines()[1] == "sixteen letters, 1 2"


def test_texts_share_what_figures_leave() -> None:
    columns = (Column("", text=True), Column("", text=True), Column("n"))
    row = ("a short one", "a text that is longer than all of its line", "1,234")
    shown = printed([table(columns, [row], 40)], width=40, color=False)
    assert shown.splitlines()[1:] == [
        "a short one a text that is longer  1,234",
        "            than all of its line",
    ]


def test_markup_in_a_cell_is_text() -> None:
    assert "[bold]x[/bold]" in printed(
        [table(COLUMNS, [("[bold]x[/bold]", "1", "2", "3")], 80)], width=80, color=True
    )


def test_without_colour_there_are_no_escapes() -> None:
    part = Text("red", style="bold red")
    assert printed([part], width=80, color=False) == "red\n"
    assert "\x1b[1;31mred" in printed([part], width=80, color=True)


@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_a_command_to_a_ci_runner(color: bool) -> None:
    rows = [("::error::x", "1", "2", "3"), ("see ##[error]y", "1", "2", "3")]
    shown = printed([Text("::add-mask::x", style="red"), table(COLUMNS, rows, 80)], width=80, color=color)
    assert not re.search(r"^(\s|\x1b\[[\d;]*m)*::|##\[", shown, flags=re.MULTILINE)
    assert "∶:add-mask::x" in shown
