from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.text import Text

from loadtool.report.folding import GLUE, folded, glued
from loadtool.report.grid import listed, printed


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("short", 10, ["short"]),
        ("", 10, [""]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 7, ["one two", "three"]),
        ("first\nsecond line", 8, ["first", "second", "line"]),
        ("/products/{id}/reviews", 16, ["/products/{id}/", "reviews"]),
        ("GET /products/{id}/reviews?page=3", 20, ["GET /products/{id}/", "reviews?page=3"]),
        ("checkout_of_a_very_long_name", 12, ["checkout_of_", "a_very_long_", "name"]),
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
        ("商品商品商品", 5, ["商品", "商品", "商品"]),
        ("商品", 1, ["商", "品"]),
    ],
)
def test_lines_end_between_words_or_at_joints(text: str, room: int, lines: list[str]) -> None:
    assert folded(Text(text), room).plain.split("\n") == lines


@pytest.mark.parametrize("room", range(1, 40))
def test_nothing_but_blanks_is_lost_and_nothing_is_too_wide(room: int) -> None:
    text = "GET /products/{id}/reviews?with=a-query and 12,345 words, 商品 too"
    lines = folded(Text(text), room).plain.split("\n")
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(cell_len(line) for line in lines) <= max(room, 2)  # a wide character can't be halved


def test_styles_stay_with_their_words() -> None:
    text = Text.assemble("one ", ("two", "red"), " three")
    (line,) = [line for line in folded(text, 5).split("\n") if line.plain == "two"]
    assert [str(span.style) for span in line.spans] == ["red"]


@pytest.mark.parametrize("text", ["good within 500 ms", "from 6 s on", "95 % of", "in 1.23 s, then"])
def test_a_number_stays_with_its_unit(text: str) -> None:
    assert glued(text).count(GLUE) == 1
    for room in range(8, 20):
        for line in folded(Text(glued(text)), room).plain.split("\n"):
            assert not line.startswith(("ms", "s", "%"))


def test_words_are_no_units() -> None:
    assert glued("12 samples of 3 shed") == "12 samples of 3 shed"


def test_printed_text_holds_blanks_again_and_hangs_below_its_mark() -> None:
    part = listed(Text("  ·"), Text(glued("a reason that takes 12 ms")), 24)
    assert printed([part], width=24, color=False) == "  · a reason that takes\n    12 ms\n"
