"""How figures are written beside the threshold that they meet or miss."""

from __future__ import annotations

import pytest
from judge_samples import Part, result_of

from loadtool.judge.verdict import judge
from loadtool.judge.words import digits_apart, number, written
from loadtool.profile.slo import Kind
from loadtool.report.junit import finding


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0123456, 3, "0.0123"),
        (250.36, 3, "250"),
        (250.36, 4, "250.4"),
        (999.4, 3, "999"),
        (999.7, 3, "1,000"),
        (1234.44, 3, "1,234"),
        (1234.44, 4, "1,234"),
        (1234.44, 5, "1,234.4"),
        (float("inf"), 5, "∞"),
    ],
)
def test_numbers(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.mark.parametrize(
    ("kind", "value", "threshold", "texts"),
    [
        ("time", 310.0, 250.0, ("310 ms", "250 ms")),
        ("time", 250.3, 250.0, ("250.3 ms", "250 ms")),
        ("time", 1234.4, 1234.0, ("1,234.4 ms", "1,234.0 ms")),
        ("share", 0.0500049, 0.05, ("5.0005%", "5%")),
        ("per_second", 100.02, 100.04, ("100.02/s", "100.04/s")),
        ("ratio", 1.1004, 1.1, ("1.1004x", "1.1x")),
    ],
)
def test_a_value_is_told_from_its_threshold(
    kind: Kind, value: float, threshold: float, texts: tuple[str, str]
) -> None:
    digits = digits_apart(kind, value, threshold)
    assert digits is not None
    assert (written(kind, value, digits), written(kind, threshold, digits)) == texts


def test_equal_but_for_float_error_reads_as_equal() -> None:
    assert digits_apart("time", 250.0, 250.0) is None
    assert digits_apart("per_second", 45.000000001, 45.0) is None


@pytest.mark.parametrize(
    ("slo", "us", "reason", "found"),
    [
        ("max < 250ms", 250_300, "250.3 ms", "measured 250.3 ms, threshold 250 ms, 1,000 samples"),
        ("max < 1234ms", 1_234_400, "1,234.4 ms", "measured 1,234.4 ms, threshold 1,234 ms, 1,000 samples"),
        ("max < 1233ms", 1_234_000, "1,234 ms", "measured 1,234 ms, threshold 1,233 ms, 1,000 samples"),
        ("max < 250ms", 250_000, "250 ms", "measured 250 ms, threshold 250 ms, 1,000 samples"),
        ("max < 200ms", 250_300, "250 ms", "measured 250 ms, threshold 200 ms, 1,000 samples"),
    ],
)
def test_reasons_and_junit_do_not_contradict_themselves(slo: str, us: int, reason: str, found: str) -> None:
    result = result_of(Part(ok=[us] * 1000), slos=[slo])
    assert judge(result).reasons == (f"{slo}: {reason}",)
    (figure,) = result.slos
    assert finding(figure) == found


def test_the_interval_is_written_as_its_value() -> None:
    result = result_of(Part(ok=[250_300] * 1000), slos=["p99 < 250ms"])
    assert judge(result).reasons == ("p99 < 250ms: 250.3 ms (95 % interval 250.3 ms to 250.3 ms)",)
    (figure,) = result.slos
    assert finding(figure) == (
        "measured 250.3 ms, threshold 250 ms, 95% interval 250.3 – 250.3 ms, 1,000 samples"
    )
