from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.report.text import clean, clip, defuse


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("Zürich 漢字 😀 ±50ms", "Zürich 漢字 😀 ±50ms"),
        ("\x1b[31mred", "\\e[31mred"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("abc\u202edef\u2028", "abc\\u202edef\\u2028"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        (42, "42"),
        (None, "None"),
    ],
)
def test_clean_shows_what_cannot_be_printed(raw: object, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text(st.characters()))
def test_clean_text_is_printable_and_fits_any_encoding_of_unicode(raw: str) -> None:
    text = clean(raw)
    assert not any(unicodedata.category(c)[0] == "C" for c in text)
    assert len(text.splitlines()) <= 1
    text.encode("utf-8")
    assert clean(text) == text


def test_clip() -> None:
    assert clip("slow-store", 10) == "slow-store"
    assert clip("slow-store", 6) == "slow-…"
    assert clip("\n\n", 3) == "\\n…"


@pytest.mark.parametrize(
    ("line", "harmless"),
    [
        ("::error::x", "∶:error::x"),
        ("  ::stop-commands::x", "  ∶:stop-commands::x"),
        ("\x1b[1m ::add-mask::x", "\x1b[1m ∶:add-mask::x"),
        ("first\n::debug::x", "first\n∶:debug::x"),
        ("see ##[error]x", "see #♯[error]x"),
        ("on [::1]:8080", "on [::1]:8080"),
        ("a::b", "a::b"),
        ("## heading", "## heading"),
    ],
)
def test_no_line_of_a_report_speaks_to_a_ci_runner(line: str, harmless: str) -> None:
    assert defuse(line) == harmless
