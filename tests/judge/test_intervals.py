"""Confidence intervals: against exact probabilities and published tables."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.judge.intervals import poisson, proportion, quantile_ranks

PERCENTS = (1, 10, 50, 90, 95, 99)


def exactly(n: int, q: Fraction) -> list[Fraction]:
    """P(B = k) of a binomial distribution, in exact arithmetic."""
    return [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)]


@pytest.mark.parametrize("n", [1, 2, 5, 10, 20, 59, 100, 299, 300])
@pytest.mark.parametrize("percent", PERCENTS)
def test_ranks_cover_the_quantile_with_exactly_the_probability_asked(n: int, percent: int) -> None:
    probabilities = exactly(n, Fraction(percent, 100))
    lo, hi = quantile_ranks(percent / 100, n)
    assert 0 <= lo < hi <= n + 1
    tail = Fraction(25, 1000)
    # X(lo) is above the quantile if fewer than lo samples lie below it, X(hi) is not if hi or more do.
    assert sum(probabilities[:lo]) <= tail
    assert sum(probabilities[hi:]) <= tail
    # One rank further in on either side would be too much.
    assert sum(probabilities[: lo + 1]) > tail
    assert hi == 0 or sum(probabilities[hi - 1 :]) > tail


@pytest.mark.parametrize(
    ("q", "n", "ranks"),
    [
        (0.5, 5, (0, 6)),  # five samples say nothing about the median with 95 %
        (0.5, 6, (1, 6)),  # six do: 2 · 2^-6 = 3.1 %
        (0.5, 100, (40, 61)),  # Hahn & Meeker's table of the median
        (0.99, 100, (97, 101)),
        (0.99, 367, (359, 368)),  # 0.99^367 is 2.501 %: one sample too few for an upper end,
        (0.99, 368, (360, 368)),  # and 0.99^368 is 2.476 %: the longest of them is one
        (0.99, 10, (9, 11)),
    ],
)
def test_ranks_known(q: float, n: int, ranks: tuple[int, int]) -> None:
    lo, hi = quantile_ranks(q, n)
    assert (lo, hi) == ranks


@pytest.mark.parametrize(("q", "n"), [(0.99, 10**6), (0.5, 10**6), (0.999, 10**7), (0.9999, 10**5)])
def test_ranks_of_many_samples_are_where_the_normal_limit_says(q: float, n: int) -> None:
    lo, hi = quantile_ranks(q, n)
    half = 1.959963984540054 * math.sqrt(n * q * (1 - q))
    for rank, wanted in ((lo, n * q - half), (hi, n * q + half)):
        assert abs(rank - wanted) < 3.5  # continuity and skew


@pytest.mark.parametrize("n", [10, 50, 200])
def test_wilson_covers_shares_on_average(n: int) -> None:
    intervals = [proportion(k, n) for k in range(n + 1)]
    coverages = []
    for thousandths in range(5, 1000, 10):
        share = Fraction(thousandths, 1000)
        covering = [p for (lo, hi), p in zip(intervals, exactly(n, share), strict=True) if lo <= share <= hi]
        coverages.append(float(sum(covering)))
    assert 0.94 < sum(coverages) / len(coverages) < 0.985
    assert min(coverages) > 0.82  # the known dips next to 0 and 1 (Brown, Cai & DasGupta, fig. 5)


@pytest.mark.parametrize(
    ("count", "n", "lo", "hi"),
    [
        (0, 10, 0.0, 0.2775),  # Newcombe, Statistics in Medicine 17 (1998), table I
        (1, 29, 0.0061, 0.1718),
        (15, 148, 0.0624, 0.1605),
        (81, 263, 0.2553, 0.3662),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_as_published(count: int, n: int, lo: float, hi: float) -> None:
    assert proportion(count, n) == (pytest.approx(lo, abs=5e-5), pytest.approx(hi, abs=5e-5))


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_within_0_and_1(case: tuple[int, int]) -> None:
    count, n = case
    lo, hi = proportion(count, n)
    assert 0 <= lo <= count / n <= hi <= 1
    assert lo < hi


@pytest.mark.parametrize(
    ("count", "lo", "hi"),
    [
        (0, 0.0, 3.6889),  # Garwood's table, as in Biometrika Tables for Statisticians I, 40
        (1, 0.0253, 5.5716),
        (2, 0.2422, 7.2247),
        (5, 1.6235, 11.6683),
        (10, 4.7954, 18.3904),
        (30, 20.2409, 42.8269),
        (100, 81.3640, 121.6268),
    ],
)
def test_poisson_as_published(count: int, lo: float, hi: float) -> None:
    assert poisson(count) == (pytest.approx(lo, abs=1e-4), pytest.approx(hi, abs=1e-4))


@given(st.integers(1, 400))
def test_the_tails_of_a_poisson_interval_are_two_and_a_half_percent(count: int) -> None:
    lo, hi = poisson(count)

    def at_most(k: int, mean: float) -> float:
        return math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k + 1))

    assert at_most(count, hi) == pytest.approx(0.025, rel=1e-9)
    assert at_most(count - 1, lo) == pytest.approx(0.975, rel=1e-9)


def test_a_poisson_interval_of_many_is_nearly_normal() -> None:
    lo, hi = poisson(10**7)
    assert (lo - 10**7) / math.sqrt(10**7) == pytest.approx(-1.96, abs=0.001)
    assert (hi - 10**7) / math.sqrt(10**7) == pytest.approx(1.96, abs=0.001)
