"""Areas against heights known by arithmetic: eight lines, a value of 80 at the top, so that 10 are a line."""

from __future__ import annotations

import math

import pytest
from rich.text import Text

from loadtool.report.area import Area, heights, laid_over
from loadtool.report.axis import GUTTER

HEIGHT, TOP = 8, 80.0
BLANK = Text("\n").join([Text(" " * (GUTTER + 1))] * HEIGHT)


def column(ok: float | None, shed: float | None = 0.0, errors: float | None = 0.0) -> str:
    """The cells of one column from the bottom up."""
    areas = [Area([ok], "green"), Area([shed], "yellow", "▒"), Area([errors], "red", "×")]
    lines = laid_over(BLANK, areas, height=HEIGHT, top=TOP).plain.split("\n")
    assert len(lines) == HEIGHT
    return "".join(line[GUTTER] for line in reversed(lines)).rstrip()


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ((0.0,), ""),
        ((None,), ""),
        ((math.inf,), ""),
        ((30.0,), "███"),
        ((35.0,), "███▄"),
        ((0.01,), "▁"),
        ((80.0,), "████████"),
        ((999.0,), "████████"),
        ((30.0, 20.0), "███▒▒"),
        ((30.0, 20.0, 10.0), "███▒▒×"),
        ((26.0, 20.0), "███▒▒"),  # the third cell is more ok than shed, half of the fifth is shed
        ((26.0, 17.0), "███▒"),  # less than half of the fifth
        ((30.0, 0.0, 0.1), "███×"),  # a little shows
        ((30.0, 0.1, 0.1), "███▒×"),
        ((79.9, 0.0, 0.1), "███████×"),  # and finds its place at the very top
        ((33.0, 0.1), "███▒"),
        ((38.0, 0.1), "████▒"),
        ((1.0, 0.1), "█▒"),
        ((0.0, 0.1), "▒"),
        ((0.1, 0.0, 40.0), "█×××"),  # and lies below what is upon it
        ((20.0, 0.1, 40.0), "██▒×××"),
    ],
)
def test_a_column_is_as_high_as_its_values(values: tuple[float, ...], cells: str) -> None:
    assert column(*values) == cells


def test_areas_stand_together_as_high_as_their_sum() -> None:
    assert heights([Area([1.0, None, 2.0]), Area([1.0, 5.0, math.inf])]) == [2.0, 5.0, 2.0]


def test_what_was_drawn_above_and_beside_stays_as_it_was() -> None:
    picture = Text("\n").join([Text(" " * GUTTER + "──", "bold")] * HEIGHT)
    drawn = laid_over(picture, [Area([40.0], "green")], height=HEIGHT, top=TOP)
    lines = drawn.split("\n")
    assert [line.plain[GUTTER:] for line in lines] == ["──"] * 4 + ["█─"] * 4
    assert all(any(s.style == "bold" for s in line.spans) for line in lines)
    assert any("green" in str(s.style) and (s.start, s.end) == (GUTTER, GUTTER + 1) for s in lines[-1].spans)
