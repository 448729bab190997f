"""Student's t and the block bootstrap, against tables and arithmetic."""

from __future__ import annotations

import math
import random

import pytest

from loadtool.judge.compare_sample import Slot, Stretch
from loadtool.judge.compare_stats import Draws, Spread, block_length, sum_of, t_quantile, t_tail, variance
from loadtool.measure.histogram import HIGHEST_US
from loadtool.measure.population import Population


@pytest.mark.parametrize(
    ("confidence", "df", "t"),
    [
        (0.95, 1, 12.7062),
        (0.95, 4, 2.776445),
        (0.99, 10, 3.169273),
        (0.9, 2, 2.919986),
        (0.95, 1e6, 1.959966),
    ],
)
def test_quantiles_of_t_are_those_of_the_tables(confidence: float, df: float, t: float) -> None:
    assert t_quantile(confidence, df) == pytest.approx(t, rel=1e-5)
    assert t_tail(t, df) == pytest.approx(1 - confidence, rel=1e-4)
    assert t_tail(-t, df) == t_tail(t, df)


def test_tails_of_t_that_have_a_formula() -> None:
    # One degree of freedom is Cauchy's distribution, two have an algebraic one.
    for t in (0.0, 0.3, 1.0, 5.0, 300.0):
        assert t_tail(t, 1) == pytest.approx(1 - 2 * math.atan(t) / math.pi, abs=1e-12)
        assert t_tail(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)
    assert t_tail(math.inf, 3) == 0


def test_spreads_add_up_as_welch_has_them() -> None:
    both = sum_of([Spread(3.0, 4), Spread(4.0, 9)])
    assert both.error == 5.0
    assert both.df == pytest.approx(25**2 / (9**2 / 4 + 16**2 / 9))
    assert sum_of([Spread(0.0, 4), Spread(0.0, 9)]) == Spread(0.0, 4)


@pytest.mark.parametrize(("slices", "length"), [(1, 1), (8, 2), (9, 3), (27, 3), (28, 4), (900, 10)])
def test_a_block_is_the_cube_root_of_the_slices(slices: int, length: int) -> None:
    assert block_length(slices) == length


def test_blocks_stay_in_their_phase_and_join_its_ends() -> None:
    draws = Draws.of([6, 9], seed=1)
    assert draws is not None
    assert draws.block_sums([1, 2, 3, 4, 5, 6, *[10] * 8, 40]) == [
        3, 5, 7, 9, 11, 7, *[30] * 6, 60, 60, 60,
    ]  # fmt: skip
    for picks in draws.picks:
        assert len(picks) == 3 + 3
        assert all(p < 6 for p in picks[:3])
        assert all(6 <= p < 15 for p in picks[3:])


def test_the_same_seed_draws_the_same_blocks() -> None:
    assert Draws.of([12], seed=1) == Draws.of([12], seed=1) != Draws.of([12], seed=2)


def test_too_few_slices_show_no_spread() -> None:
    assert Draws.of([5], seed=1) is None
    assert Draws.of([24, 4], seed=1) is None
    assert Draws.of([], seed=1) is None
    assert Draws.of([6], seed=1) is not None


def test_the_spread_of_a_mean_of_independent_slices_is_the_one_of_the_formula() -> None:
    draw = random.Random(5)
    ratios = []
    for seed in range(40):
        values = [draw.gauss(0, 1) for _ in range(60)]
        draws = Draws.of([60], seed, 300)
        assert draws is not None
        sums = draws.block_sums(values)
        means = [sum(sums[p] for p in picks) / (len(picks) * block_length(60)) for picks in draws.picks]
        ratios.append(draws.spread(means).error ** 2 / (1 / 60))
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.15)


def test_the_spread_of_a_mean_of_dependent_slices_is_larger() -> None:
    # Pairs of equal slices: the mean of 60 is one of 30, so its variance is twice that of independent ones.
    draw = random.Random(6)
    ratios = []
    for seed in range(40):
        values = [v for v in [draw.gauss(0, 1) for _ in range(30)] for _ in range(2)]
        draws = Draws.of([60], seed, 300)
        assert draws is not None
        sums = draws.block_sums(values)
        means = [sum(sums[p] for p in picks) / (len(picks) * block_length(60)) for picks in draws.picks]
        ratios.append(draws.spread(means).error ** 2 / (1 / 60))
    assert 1.6 < sum(ratios) / len(ratios) < 2.2


def slot(*values: int, failed: int = 0) -> Slot:
    """A second in which answers came after so many µs, each below 2,048, where buckets are single values."""
    times = sorted(values)
    return Slot(
        1.0, len(times) + failed, len(times), 0, failed, len(times), tuple(times),
        tuple(range(1, len(times) + 1)),
    )  # fmt: skip


@pytest.mark.parametrize("ok_only", [False, True])
@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.99])
def test_a_replicate_s_quantile_is_the_one_of_its_slices(q: float, ok_only: bool) -> None:
    """Whatever was drawn, against the sorted times of it; a failed one is as long as any can be."""
    slots = tuple(slot(i + 1, 100 * i + 50, 1999 - i, failed=i % 3) for i in range(7))
    stretch = Stretch("x", Population(), (slots,), ())
    draws = Draws.of([7], 1, 50)
    assert draws is not None
    drawn = [draws.block_sums([float(i == at) for i in range(7)]) for at in range(7)]
    wanted = []
    for picks in draws.picks:
        times: list[int] = []
        for at, one in enumerate(slots):
            number = round(sum(drawn[at][p] for p in picks))
            times += [*one.values, *[HIGHEST_US] * (0 if ok_only else one.failed)] * number
        wanted.append(float(sorted(times)[math.ceil(q * len(times)) - 1]))
    assert stretch.quantiles_us(q, draws, ok_only=ok_only) == wanted


def test_variance_is_of_a_sample() -> None:
    assert variance([1.0, 3.0]) == 2.0
