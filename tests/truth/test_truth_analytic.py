"""The arithmetic that the experiments are held against, and the draws of the server."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import pytest
import truth_server
from analytic import FIGURES, QUANTILES, closed_form, figures, response_time, response_times


def test_the_known_case() -> None:
    """5 ms of service and a second of stall in 20 s."""
    found = closed_form(5, 1000, 20_000)
    assert found == pytest.approx({"p50": 5, "p90": 5, "p99": 810, "p99.9": 990, "mean": 30.249375})


@pytest.mark.parametrize(
    ("due", "answered"),
    [
        (0, 5),  # long before
        (94, 5),  # answered just before
        (95, 105),  # its answer is due when the stall begins
        (99, 101),
        (100, 105),
        (199, 6),
        (200, 5),  # due when it ends
    ],
)
def test_one_arrival(due: float, answered: float) -> None:
    assert response_time(due, 5, (100, 200)) == answered
    assert response_time(due, 5, None) == 5


@pytest.mark.parametrize(
    ("service", "stall", "length"),
    [
        (5, 1000, 20_000),
        (20, 500, 4000),
        (50, 600, 4000),
        (50, 20, 5000),  # shorter than the service
        (100, 100, 1000),
        (1, 3000, 5000),
    ],
)
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.8])
def test_the_closed_form_is_what_counting_comes_to(
    service: float, stall: float, length: float, phase: float
) -> None:
    rate = 20.0  # per ms
    begin = length * 0.3 + phase / rate
    counted = figures(response_times(rate, round(rate * length), service, (begin, begin + stall)))
    closed = closed_form(service, stall, length)
    for name in FIGURES:
        assert counted[name] == pytest.approx(closed[name], abs=2.5 / rate), name


def test_a_quantile_is_the_sample_of_its_rank() -> None:
    assert figures([4, 1, 3, 2]) == {"p50": 2, "p90": 4, "p99": 4, "p99.9": 4, "mean": 2.5}
    thousand = figures(list(range(1, 1001)))
    assert [thousand[name] for name in QUANTILES] == [500, 900, 990, 999]


@pytest.mark.parametrize(
    ("service", "quantile"),
    [
        (["fixed", 7.0], lambda q: 7.0),
        (["bimodal", 2.0, 30.0, 0.25], lambda q: 2.0 if q < 0.75 else 30.0),
        (["pareto", 5.0, 1.5, 400.0], lambda q: min(5.0 * (1 - q) ** (-1 / 1.5), 400.0)),
        (["lognormal", 8.0, 0.7], lambda q: 8.0 * math.exp(0.7 * statistics.NormalDist().inv_cdf(q))),
    ],
)
def test_the_server_draws_from_the_distribution_that_it_names(
    service: list[Any], quantile: Callable[[float], float]
) -> None:
    draw = random.Random(5)
    times = sorted(truth_server.SERVICES[service[0]](draw, *service[1:]) for _ in range(20_000))
    for q in (0.1, 0.5, 0.9, 0.99, 0.999):
        # Between the quantiles 5 standard errors of the rank away.
        off = 5 * math.sqrt(q * (1 - q) / len(times))
        assert times[int((q - off) * len(times))] <= quantile(q) * (1 + 1e-12)
        assert times[min(math.ceil((q + off) * len(times)), len(times) - 1)] >= quantile(q) * (1 - 1e-12)
