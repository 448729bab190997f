"""units: what people write and the numbers that it means, and back without loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool import units

DURATIONS = [
    ("250ms", 250_000_000), ("1m30s", 90_000_000_000), ("2h", 7_200_000_000_000), ("1.5s", 1_500_000_000),
    ("10us", 10_000), ("10µs", 10_000), ("10μs", 10_000), ("1ns", 1), ("0", 0), (0, 0), ("0s", 0), (0.0, 0),
    ("1h2m3.5s", 3_723_500_000_000), ("1 m 30 s", 90_000_000_000), (" 5s ", 5_000_000_000),
    ("1_000ms", 10**9),
    ("2min", 120_000_000_000), ("1d", 86_400_000_000_000), ("366d", 366 * 86_400_000_000_000),
    ("0.000000001s", 1),
]  # fmt: skip
NOT_DURATIONS = [
    (5, "got 5, want a duration with its unit: write 5s or 5ms"),
    ("5", "got 5, want a duration with its unit: write 5s or 5ms"),
    (1.5, "got 1.5, want a duration with its unit: write 1.5s or 1.5ms"),
    ("9" * 5000, f"got {'9' * 79}…, want a duration such as 250ms, 5s or 1m30s"),
    pytest.param(
        10**5000, "got a number of very many digits, want a duration such as 250ms, 5s or 1m30s", id="huge"
    ),
    (-5, "got -5, want a duration such as 250ms, 5s or 1m30s"),
    ("-5s", "got -5s, want a duration such as 250ms, 5s or 1m30s"),
    ("", "got '', want a duration such as 250ms, 5s or 1m30s"),
    ("soon", "got soon, want a duration such as 250ms, 5s or 1m30s"),
    ("30s1m", "got 30s1m, want a duration such as 250ms, 5s or 1m30s"),
    ("1s1s", "got 1s1s, want a duration such as 250ms, 5s or 1m30s"),
    ("1m30", "got 1m30, want a duration such as 250ms, 5s or 1m30s"),
    (True, "got true, want a duration such as 250ms, 5s or 1m30s"),
    (None, "got nothing, want a duration such as 250ms, 5s or 1m30s"),
    ([5], "got a list, want a duration such as 250ms, 5s or 1m30s"),
    (math.nan, "got nan, want a duration such as 250ms, 5s or 1m30s"),
    ("367d", "got 367d, want a duration of at most 366d"),
    ("1.5ns", "got 1.5ns, want a duration of whole nanoseconds"),
]
RATES = [
    ("50/s", 50.0), ("30/m", 0.5), ("30/min", 0.5), ("100/h", 100 / 3600), ("5000 rpm", 5000 / 60),
    ("5000rpm", 5000 / 60), ("1_000/s", 1000.0), ("1.5k/s", 1500.0), ("2M/h", 2_000_000 / 3600),
    ("7 rps", 7.0),
    ("50 / s", 50.0), (50, 50.0), (0.25, 0.25), ("0", 0.0), (0, 0.0), ("0/s", 0.0), ("1e3/s", 1000.0),
]  # fmt: skip
SIZES = [
    ("512B", 512), ("64KB", 64_000), ("64kB", 64_000), ("64KiB", 65_536), ("1MB", 10**6), ("1MiB", 2**20),
    ("1.5KB", 1500), ("2GB", 2 * 10**9), (0, 0), (1500, 1500), ("1_000", 1000),
]  # fmt: skip
SHARES = [
    ("10%", 0.1),
    ("0.1%", 0.001),
    (0.1, 0.1),
    ("0.1", 0.1),
    (1, 1.0),
    (0, 0.0),
    ("100%", 1.0),
    ("5 %", 0.05),
]


@pytest.mark.parametrize(("text", "ns"), DURATIONS)
def test_duration(text: object, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize(("value", "message"), NOT_DURATIONS)
def test_not_a_duration(value: object, message: str) -> None:
    with pytest.raises(ValueError) as e:  # noqa: PT011 - the whole text is compared
        units.parse_duration(value)
    assert str(e.value) == message


def test_positive_duration() -> None:
    assert units.positive_duration(1) == 1
    with pytest.raises(ValueError, match=r"^got 0, want a duration above 0 such as 250ms, 5s or 1m30s$"):
        units.positive_duration(0)


@pytest.mark.parametrize(("text", "per_second"), RATES)
def test_rate(text: object, per_second: float) -> None:
    assert units.parse_rate(text) == per_second


@pytest.mark.parametrize(
    "value",
    [-5, "-5/s", "-0", math.nan, math.inf, "inf/s", "nan", "1e999/s", "5/x", "5 per s", "", "/s", True, None],
)
def test_not_a_rate(value: object) -> None:
    with pytest.raises(ValueError, match=r"^got .+, want a rate such as 50/s$"):
        units.parse_rate(value)


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_size(text: object, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("value", [-1, "-1B", "1.5B", 1.5, "64kb", "64 K", "", "KB", True, None, math.inf])
def test_not_a_size(value: object) -> None:
    with pytest.raises(ValueError, match=r"^got .+, want .*a size such as 512B, 64KB or 1MiB$"):
        units.parse_size(value)


def test_byte_rate() -> None:
    assert units.parse_byte_rate("64KB/s") == 64_000
    assert units.parse_byte_rate("1 MiB / s") == 2**20
    for value in (64, "64", "64KB", "64/s", "64KB/m", "-1KB/s", None, "x/s"):
        with pytest.raises(ValueError, match=r"^got .+, want a byte rate such as 64KB/s$"):
            units.parse_byte_rate(value)


@pytest.mark.parametrize(("text", "share"), SHARES)
def test_share(text: object, share: float) -> None:
    assert units.parse_share(text) == share


@pytest.mark.parametrize("value", [10, "140%", "-1%", -0.1, "10 percent", "%", "", True, None, math.nan])
def test_not_a_share(value: object) -> None:
    with pytest.raises(ValueError, match=r"^got .+, want a share such as 10% or 0\.1, from 0 to 1$"):
        units.parse_share(value)


@pytest.mark.parametrize(
    ("text", "ratio"),
    [("1.1", 1.1), (2, 2.0), ("2x", 2.0), ("2.5 x", 2.5), ("110%", 1.1), ("0", 0.0), ("1_000x", 1000.0)],
)
def test_ratio(text: object, ratio: float) -> None:
    assert units.parse_ratio(text) == ratio


@pytest.mark.parametrize("value", ["-1", -0.1, "2 times", "x", "2xx", "", True, None, math.nan, math.inf])
def test_not_a_ratio(value: object) -> None:
    with pytest.raises(ValueError, match=r"^got .+, want a ratio such as 1\.1 or 2x$"):
        units.parse_ratio(value)


@pytest.mark.parametrize(
    ("shown", "value", "text"),
    [
        (units.format_duration, 90 * units.SECOND, "1m30s"),
        (units.format_duration, 250 * units.MILLISECOND, "250ms"),
        (units.format_duration, 1500 * units.MILLISECOND, "1.5s"),
        (units.format_duration, 3_600_250_000_000, "1h0.25s"),
        (units.format_duration, 1_500, "1.5us"),
        (units.format_duration, 0, "0s"),
        (units.format_rate, 50.0, "50/s"),
        (units.format_rate, 0.5, "0.5/s"),
        (units.format_rate, 5000 / 60, "5000/m"),
        (units.format_rate, 100 / 3600, "100/h"),
        (units.format_rate, 0.0, "0/s"),
        (units.format_size, 64_000, "64KB"),
        (units.format_size, 65_536, "64KiB"),
        (units.format_size, 0, "0B"),
        (units.format_share, 0.1, "10%"),
        (units.format_share, 0.001, "0.1%"),
        (units.format_share, 1.0, "100%"),
        (units.format_byte_rate, 64_000, "64KB/s"),
        (units.format_ratio, 2.0, "2x"),
        (units.format_ratio, 1.1, "1.1x"),
    ],
)
def test_formats_read_well(shown: Callable[[float], str], value: float, text: str) -> None:
    assert shown(value) == text


@given(st.integers(0, units.LONGEST))
def test_durations_round_trip(ns: int) -> None:
    assert units.parse_duration(units.format_duration(ns)) == ns


@given(
    st.floats(0, allow_nan=False, allow_infinity=False)
    | st.builds(lambda n, per: n / per, st.integers(0, 10**9), st.sampled_from([1, 60, 3600]))
)
def test_rates_round_trip(rate: float) -> None:
    assert units.parse_rate(units.format_rate(rate)) == rate


@given(st.integers(0, 2**63))
def test_sizes_round_trip(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size
    assert units.parse_byte_rate(units.format_byte_rate(size)) == size


@given(st.floats(0, 1))
def test_shares_round_trip(share: float) -> None:
    assert units.parse_share(units.format_share(share)) == share


@given(st.floats(0, allow_nan=False, allow_infinity=False))
def test_ratios_round_trip(ratio: float) -> None:
    assert units.parse_ratio(units.format_ratio(ratio)) == ratio


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(st.integers()))
def test_anything_else_is_a_value_error(value: object) -> None:
    for parse in (
        units.parse_duration,
        units.parse_rate,
        units.parse_size,
        units.parse_byte_rate,
        units.parse_share,
        units.parse_ratio,
    ):
        message, number = "got ", 0.0
        try:
            number = parse(value)
        except ValueError as e:
            message = str(e)
        assert message.startswith("got ")
        assert number >= 0
        assert math.isfinite(number)


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("SLO",), "0 SLOs"),
        (1, ("SLO",), "1 SLO"),
        (1200, ("retry", "retries"), "1,200 retries"),
        (1, ("retry", "retries"), "1 retry"),
    ],
)
def test_things_are_counted(count: int, words: tuple[str, ...], text: str) -> None:
    assert units.counted(count, *words) == text
