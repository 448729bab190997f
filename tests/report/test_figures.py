from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.report import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (50.0, "50"),
        (12.34, "12.3"),
        (9.996, "10.0"),
        (99.96, "100"),
        (999.6, "1,000"),
        (1234.5, "1,234"),
        (12345678.9, "12,345,679"),
        (0.3123, "0.312"),
        (0.00123, "0.00123"),
        (-12.34, "-12.3"),
        (1e-9, "1.00e-09"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "n/a"),
    ],
)
def test_number_has_three_significant_digits_and_never_less_than_its_whole_part(
    value: float, text: str
) -> None:
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.0, "0 ms"),
        (0.0004, "0 ms"),
        (0.012, "0.012 ms"),
        (0.3, "0.300 ms"),
        (12.34, "12.3 ms"),
        (250, "250 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1000, "1 s"),
        (1234, "1.23 s"),
        (59999, "60.0 s"),
        (3.6e6, "3,600 s"),
        (math.inf, "∞"),
        (None, "n/a"),
    ],
)
def test_duration_switches_from_ms_to_s(ms: float | None, text: str) -> None:
    assert figures.duration(ms) == text


def test_a_duration_that_failures_took_out_of_reach_is_infinite() -> None:
    assert figures.duration(None, failed=True) == "∞"
    assert figures.duration(12.0, failed=True, space="") == "12ms"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0.0, "0%"),
        (0.000001, "<0.001%"),
        (0.00012, "0.0120%"),
        (0.0123, "1.23%"),
        (0.5, "50%"),
        (0.99996, ">99.9%"),
        (1.0, "100%"),
        (1.5, "150%"),
    ],
)
def test_share(value: float | None, text: str) -> None:
    assert figures.share(value) == text


@given(st.floats(min_value=0, max_value=1))
def test_a_share_is_never_rounded_to_nothing_or_to_everything(value: float) -> None:
    text = figures.share(value)
    assert (text == "0%") == (value == 0)
    assert (text == "100%") == (value == 1)


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_a_number_reads_back_to_three_digits(value: float) -> None:
    assert float(figures.number(value).replace(",", "")) == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(
    ("s", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (0.2, "1s"),
        (7, "7s"),
        (60, "1m00s"),
        (65, "1m05s"),
        (3600, "1h00m"),
        (7500, "2h05m"),
    ],
)
def test_clock(s: float, text: str) -> None:
    assert figures.clock(s) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("1.20 ms", "203 ms", "1.20 – 203 ms"),
        ("900 ms", "1.10 s", "900 ms – 1.10 s"),
        ("1 s", "2 s", "1 – 2 s"),
        ("0.1%", "0.2%", "0.1 – 0.2%"),
        ("5/s", "6/s", "5 – 6/s"),
        ("96 ms", "∞", "96 ms – ∞"),
        ("n/a", "n/a", "n/a – n/a"),
    ],
)
def test_between_names_a_shared_unit_once(low: str, high: str, text: str) -> None:
    assert figures.between(low, high) == text


def test_words() -> None:
    assert figures.count(1234567) == "1,234,567"
    assert figures.plural(1, "SLO") == "1 SLO"
    assert figures.plural(1200, "process", "processes") == "1,200 processes"
    assert figures.rate(None) == "n/a"
    assert figures.rate(12345.0) == "12,345/s"
    assert figures.seconds(35.21) == "35.2 s"
    assert figures.seconds(None) == "n/a"
