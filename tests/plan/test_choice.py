"""Who is chosen by a draw: held to a search through the sums of the weights."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.plan.choice import CELLS, Choice

WEIGHTS = st.lists(
    st.one_of(st.floats(1e-9, 1e9), st.integers(1, 100).map(float), st.just(0.0)), min_size=1, max_size=200
).filter(any)
DRAWS = st.floats(0.0, 1.0, exclude_max=True)


def searched(weights: list[float], draw: float) -> int:
    sums = list(accumulate(weights))
    return bisect_right(sums, draw * sums[-1], 0, len(sums) - 1)


@given(WEIGHTS, st.lists(DRAWS, max_size=50))
def test_it_chooses_what_a_search_finds(weights: list[float], draws: list[float]) -> None:
    assert Choice(weights).of(draws) == [searched(weights, draw) for draw in draws]


@given(WEIGHTS)
def test_at_the_edges_of_cells_and_weights_too(weights: list[float]) -> None:
    total = sum(weights)
    edges = [n / CELLS for n in range(CELLS)] + [at / total for at in accumulate(weights)]
    near = [x for edge in edges for x in (edge, math.nextafter(edge, 0.0), math.nextafter(edge, 1.0))]
    draws = [x for x in near if 0.0 <= x < 1.0]
    assert Choice(weights).of(draws) == [searched(weights, draw) for draw in draws]


@pytest.mark.parametrize(
    ("weights", "draw", "index"),
    [
        ([1], 0.999, 0),
        ([1, 1], 0.0, 0),
        ([1, 1], 0.499, 0),
        ([1, 1], 0.5, 1),
        ([8, 4, 4, 2, 2], 0.399, 0),
        ([8, 4, 4, 2, 2], 0.4, 1),
        ([8, 4, 4, 2, 2], 0.799, 2),
        ([8, 4, 4, 2, 2], 0.9, 4),
        ([0, 3], 0.0, 1),
        ([3, 0], 0.999, 0),
    ],
)
def test_it_chooses_by_weight(weights: list[float], draw: float, index: int) -> None:
    assert Choice(weights).of([draw]) == [index]


def test_evenly_spaced_draws_come_out_by_weight_exactly() -> None:
    chosen = Choice([8, 4, 4, 2, 2]).of([(n + 0.5) / 20_000 for n in range(20_000)])
    assert [chosen.count(n) for n in range(5)] == [8_000, 4_000, 4_000, 2_000, 2_000]
