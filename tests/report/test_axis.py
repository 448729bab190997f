from __future__ import annotations

import pytest
from rich.cells import cell_len

from loadtool.report.axis import GUTTER, TimeAxis, asked, lane, lanes, moments, ruler, sections, spark
from loadtool.report.stage import Bar

AXIS = TimeAxis(100.0, GUTTER + 50)  # a column is 2 s


@pytest.mark.parametrize(
    ("t", "column"), [(-5, 0), (0, 0), (1.9, 0), (2, 1), (50, 25), (99.9, 49), (100, 49), (500, 49)]
)
def test_a_column_holds_its_stretch(t: float, column: int) -> None:
    assert AXIS.column(t) == column


@pytest.mark.parametrize(
    ("start", "end", "columns"),
    [
        (34, 40, range(17, 20)),
        (34, 39, range(17, 20)),
        (35, 39.9, range(17, 20)),
        (10, 10, range(5, 6)),
        (0, 100, range(50)),
        (98, 1e18, range(49, 50)),  # what lasts for longer than the axis ends with it
    ],
)
def test_a_bar_covers_every_column_that_it_touches(start: float, end: float, columns: range) -> None:
    assert AXIS.span(Bar("x", start, end)) == columns


def test_means_and_peaks_of_the_slices_of_a_column() -> None:
    axis = TimeAxis(6.0, GUTTER + 3)
    slices = [(0.0, 1.0, 10.0), (1.0, 2.0, 20.0), (2.0, 3.0, None), (3.0, 4.0, 40.0), (6.0, 7.0, 99.0)]
    assert axis.spread(slices, peak=False) == [15.0, 40.0, None]
    assert axis.spread(slices, peak=True) == [20.0, 40.0, None]


def test_a_slice_longer_than_a_column_fills_all_its_columns() -> None:
    assert (
        TimeAxis(4.0, GUTTER + 8).spread([(0.0, 2.0, 7.0), (2.0, 4.0, 9.0)], peak=True)
        == [7.0] * 4 + [9.0] * 4
    )


def test_lanes_stand_under_their_columns() -> None:
    text = lane(AXIS, Bar("cut", 34, 40), style="red").plain
    assert [i - GUTTER for i, c in enumerate(text) if c == "█"] == [17, 18, 19]
    assert text.endswith("███ cut")


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        (Bar("cut", 0, 100), " " * GUTTER + "█" * 22 + " cut " + "█" * 23),
        (Bar("late-cut", 96, 100), " " * (GUTTER + 39) + "late-cut ██"),
        (Bar("x" * 60, 48, 52), " " * (GUTTER + 24) + "██"),
    ],
)
def test_a_lane_is_named_where_there_is_room(bar: Bar, text: str) -> None:
    assert lane(AXIS, bar, style="").plain == text


@pytest.mark.parametrize(
    ("name", "starts", "text"),
    [
        ("cut", (0, 20, 40), "██        ██        ██ cut"),
        ("blink", (60, 80, 96), "                        blink ██        ██      ██"),
        ("cut", (0, 40, 96), "██                  ██           cut            ██"),
        ("much-too-long", (0, 10, 20, 30, 40, 50, 60, 70, 80, 90), "██   " * 9 + "██"),
    ],
)
def test_a_fault_that_comes_again_has_one_lane(name: str, starts: tuple[float, ...], text: str) -> None:
    bars = [Bar(name, start, start + 4) for start in starts]
    assert lane(AXIS, *bars, style="").plain == " " * GUTTER + text


def test_each_name_has_its_lane() -> None:
    bars = [Bar("b", 0, 4), Bar("a", 10, 14), Bar("b", 20, 24)]
    assert [t.plain.strip() for t in lanes(AXIS, bars, style="")] == ["██        ██ b", "██ a"]


def test_a_ramp_rises() -> None:
    text = lane(AXIS, Bar("slow", 20, 60, ramp_s=16), style="").plain
    assert text == " " * (GUTTER + 10) + "▁▂▃▄▅▆▇█" + "██ slow ██" + "██"
    assert lane(AXIS, Bar("slow", 20, 36, ramp_s=16), style="").plain.endswith("▁▂▃▄▅▆▇█ slow")
    # However short, it is there, and a ramp within one column is none.
    assert lane(AXIS, Bar("slow", 20, 21, ramp_s=1), style="").plain.endswith(" █ slow")


def test_what_is_asked_all_along_spans_the_axis() -> None:
    text = asked(AXIS, "steady?").plain
    assert text == "  steady?▲" + "·" * 49 + "▲"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("漢字", "     漢字"),
        ("漢字漢字の長い", "漢字漢字…"),
        ("x漢字漢字の", "x漢字漢…"),
        ("queue-length", "queue-le…"),
        ("🚀e\u0301", "      🚀e\u0301"),
    ],
)
def test_a_label_of_wide_characters_keeps_its_row_on_the_axis(name: str, shown: str) -> None:
    row = spark(AXIS, name, [1.0] * AXIS.columns, top=1.0, style="")
    assert row.plain == f"{shown.rjust(len(shown) + GUTTER - 1 - cell_len(shown))} {'█' * AXIS.columns}"
    assert row.cell_len == asked(AXIS, name).cell_len == AXIS.width
    assert moments(AXIS, name, [99.0]).cell_len == AXIS.width


def test_a_name_of_wide_characters_that_is_cut_says_so() -> None:
    assert sections(AXIS, [Bar("a漢字漢字漢字", 0, 20), Bar("b", 20, 100)]).plain.startswith(
        f"{' ' * (GUTTER - 1)}│a漢字漢… │b"
    )


def test_sections_begin_at_their_columns_and_the_present_one_stands_out() -> None:
    bars = [Bar("warmup", 0, 4), Bar("spike", 4, 60), Bar("recovery", 60, 100)]
    text = sections(AXIS, bars, here=10.0)
    assert text.plain[GUTTER - 1 :] == "│…│" + "spike".ljust(27) + "│" + "recovery".ljust(20)
    assert [text.plain[s.start : s.end] for s in text.spans if "reverse" in str(s.style)] == ["spike"]


def test_ticks_are_round_and_do_not_touch() -> None:
    line, labels = (t.plain for t in ruler(TimeAxis(74.0, 80)).split("\n"))
    assert labels.split() == ["0s", "15s", "30s", "45s", "1m00s"]
    assert [i for i, c in enumerate(line) if c == "┬"] == [
        GUTTER + TimeAxis(74.0, 80).column(t) for t in (0, 15, 30, 45, 60)
    ]
    assert len(line) == 80
    assert len(TimeAxis(1e9, 80).ticks()) == 5  # days of 31 years: as many as there is room for, no more


@pytest.mark.parametrize("end_s", [0.0, 0.5, 1.0, 59.0, 3600.0, 86400.0, 366 * 86400.0])
@pytest.mark.parametrize("width", [1, GUTTER + 1, 40, 80, 200])
def test_any_length_fits_any_width(end_s: float, width: int) -> None:
    axis = TimeAxis(end_s, width)
    for text in (
        *ruler(axis).split("\n"),
        sections(axis, [Bar("all", 0, end_s)]),
        lane(axis, Bar("f", 0, end_s), style=""),
        lane(axis, Bar("漢字f", 0, end_s / 3), Bar("漢字f", end_s / 2, end_s, end_s / 5), style=""),
        asked(axis, "f"),
    ):
        assert text.cell_len <= max(width, GUTTER + 1)


def test_what_is_there_shows_however_small() -> None:
    assert (
        spark(AXIS, "shed", [None, 0.0, 0.001, 50.0, 100.0, float("inf")], top=100.0, style="").plain
        == "     shed   ▁▄█×"
    )
