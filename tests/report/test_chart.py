from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import pytest

from loadtool.report import figures
from loadtool.report.area import Area
from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.chart import Curve, nice_top, panel, upright

AXIS = TimeAxis(20.0, GUTTER + 20)  # a column a second
EMPTY = "⠀ "


def drawn(*curves: Curve, height: int = 4, areas: Sequence[Area] = ()) -> list[str]:
    picture = panel(AXIS, curves, areas=areas, height=height, label=figures.rate)
    lines = [line.plain for line in picture.split("\n", allow_blank=True)]
    assert len(lines) == height
    assert all(len(line) == AXIS.width for line in lines)
    return [line[GUTTER:] for line in lines]


@pytest.mark.parametrize(
    ("largest", "top"),
    [
        (0, 0),
        (-1, 0),
        (1, 1),
        (3, 3),
        (7, 8),
        (9, 10),
        (12, 15),
        (500, 500),
        (501, 600),
        (0.021, 0.025),
        (999, 1000),
    ],
)
def test_the_axis_ends_at_a_round_number_that_holds_everything(largest: float, top: float) -> None:
    assert nice_top(largest) == pytest.approx(top)


def test_a_column_of_the_axis_is_a_column_of_the_picture() -> None:
    lines = drawn(Curve([None] * 7 + [100.0] + [None] * 12))
    assert [i for i, c in enumerate(lines[0]) if c not in EMPTY] == [7]
    assert all(c in EMPTY for line in lines[1:] for c in line)


def test_an_area_is_as_high_as_its_value() -> None:
    lines = drawn(areas=[Area([100.0] * 10 + [50.0] * 10)])
    assert lines[0][:10] == "█" * 10
    assert all(c in EMPTY for c in lines[0][10:])
    assert lines[2] == lines[3] == "█" * 20


def test_the_axis_holds_areas_that_stand_on_each_other() -> None:
    areas = [Area([100.0] * 20), Area([100.0] * 20, glyph="▒")]
    assert drawn(Curve([50.0] * 20), areas=areas) == ["▒" * 20] * 2 + ["█" * 20] * 2


def test_what_lies_beyond_every_answer_shows_at_the_top_and_leaves_a_gap() -> None:
    lines = drawn(Curve([10.0] * 5 + [math.inf] * 3 + [10.0] * 12))
    assert lines[0][5:8] == "∞∞∞"
    assert all(c in EMPTY for line in lines[1:] for c in line[5:8])


@pytest.mark.parametrize("height", range(2, 12))
@pytest.mark.parametrize("value", [0.19, 1.0, 2.5, 4.99, 5.0, 7.3, 99.0, 100.0])
def test_a_curve_is_seen_below_the_infinity_of_another(value: float, height: int) -> None:
    low = Curve([value] * 20)
    lines = drawn(low, Curve([math.inf] * 20), height=height)
    assert lines[0] == "∞" * 20
    assert any(set(line).isdisjoint(EMPTY) for line in lines[1:])


def test_infinity_elsewhere_leaves_the_axis_as_it_is() -> None:
    curves = [Curve([500.0] * 10 + [None] * 10), Curve([None] * 10 + [math.inf] * 10)]
    text = panel(AXIS, curves, height=5, label=figures.rate).plain
    assert text.startswith("    500/s")


def test_nothing_but_infinity_has_no_scale() -> None:
    text = panel(AXIS, [Curve([math.inf] * 20)], height=5, label=figures.duration).plain
    assert text.count("∞") == 20
    assert "0 ms" in text
    assert "1 ms" not in text


def test_values_are_labelled() -> None:
    lines = panel(AXIS, [Curve([480.0] * 20)], height=5, label=figures.rate).plain.split("\n")
    assert [line[: GUTTER - 1].strip() for line in lines] == ["500/s", "", "250/s", "", "0/s"]


def test_an_axis_can_have_room_above() -> None:
    text = panel(AXIS, [Curve([500.0] * 20)], height=5, label=figures.rate, at_least=600.0).plain
    assert text.startswith("    600/s")


def test_a_mark_stands_behind_the_curves_and_a_cursor_over_them() -> None:
    areas = [Area([100.0] * 10 + [0.0] * 10)]
    picture = panel(AXIS, [Curve([0.0] * 20)], areas=areas, height=4, label=figures.rate)
    marked = upright(upright(picture, 3, "┊", style="dim"), 15, "┊", style="dim").plain.split("\n")
    assert [line[GUTTER + 3] for line in marked] == ["█"] * 4
    assert [line[GUTTER + 15] for line in marked][:3] == ["┊"] * 3
    over = upright(picture, 3, "┃", style="", over=True).plain.split("\n")
    assert [line[GUTTER + 3] for line in over] == ["┃"] * 4


def test_without_plotext_the_report_says_why_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *rest: Any, **more: Any) -> Any:
        if name == "plotext":
            raise ImportError("its compiled part is missing")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fail)
    text = panel(TimeAxis(20.0, 60), [Curve([1.0] * 50)], height=4, label=figures.rate)
    assert text.plain == "(no chart: its compiled part is missing)"
