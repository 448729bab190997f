"""environment: ${NAME}, ${NAME:-default}, $$."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.profile.environment import Origin, Piece, escape, join, split, unescape

ENVIRONMENT = {"A": "1", "EMPTY": "", "LONG": "a b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"), ("x${A}y${A}", "x1y1"), ("${EMPTY}", ""), ("${EMPTY:-d}", "d"), ("${A:-d}", "1"),
        ("${NO:-d}", "d"), ("${NO:-}", ""), ("${NO:-http://h:1/?a=b}", "http://h:1/?a=b"), ("$$", "$"),
        ("$${A}", "${A}"), ("$$${A}", "$1"), ("^ok$", "^ok$"), ("$5", "$5"), ("$A", "$A"), ("", ""),
        ("${LONG}", "a b"),
    ],
)  # fmt: skip
def test_references(text: str, value: str) -> None:
    assert join(split(text, ENVIRONMENT), template=False) == value


@pytest.mark.parametrize(
    "text",
    [
        "${", "${}", "${1}", "${A", "${A:d}", "${A-d}", "${ A }", "x${a.b}", "${A:-${B}}", "${NO:-$${B}}",
        "${NO:-{{ 1 }}}", "${NO:-{}",
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^got \$\{.*, want \$\{NAME\}, \$\{NAME:-default\} or \$\$ for a dollar$"
    ):
        split(text, ENVIRONMENT)


def test_pieces_know_their_origin() -> None:
    assert split("x${A}${NO}${B:-d}", ENVIRONMENT) == (
        Piece("x"),
        Piece("1", Origin.ENVIRONMENT, "A"),
        Piece("", Origin.UNSET, "NO"),
        Piece("d", Origin.DEFAULT, "B"),
    )
    assert join(split("x${NO}", {}), template=False, unset="?") == "x?"


def test_bytes_that_are_no_text_are_refused_by_name_alone() -> None:
    with pytest.raises(ValueError, match=r"^the value of A is not UTF-8 text$"):
        split("${A}", {"A": "\udcff"})


@given(st.text(alphabet="{}%#$a ", max_size=12))
def test_a_variable_in_a_template_is_data(value: str) -> None:
    text = join(split("x ${A} {{ 1 }}", {"A": value}), template=True)
    assert jinja2.Template(text, keep_trailing_newline=True).render() == f"x {value} 1"


@given(st.text(alphabet="${}AB:-", max_size=12))
def test_escaped_text_means_itself(text: str) -> None:
    assert join(split(escape(text), {}), template=False) == text
    assert unescape(escape(text)) == text
