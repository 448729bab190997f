from __future__ import annotations

import math

import pytest
from report_samples import passed

from loadtool.measure.result import Result, Slice
from loadtool.report.slice_rates import rate_of, reached, seconds_of


def lasting(elapsed_s: float, slices: int) -> Result:
    """A run of so many slices of 2 s, the last of which may be cut short."""
    result = passed()
    result.elapsed_s, result.slice_s = elapsed_s, 2.0
    result.series = [Slice(t=2.0 * n, scheduled=0, ok=0) for n in range(slices)]
    return result


@pytest.mark.parametrize(
    ("elapsed_s", "slices", "seconds", "rate"),
    [
        (4.0, 2, 2.0, 5.0),
        (3.0, 2, 1.0, 10.0),
        (2.5, 2, 0.5, 20.0),  # a quarter of one is enough
        (2.4, 2, 0.4, None),
        (0.25, 1, 0.25, 40.0),  # all there is
        (2.0, 2, 2.0, 5.0),  # due at the very end: no shorter than any
    ],
)
def test_the_last_slice_lasts_as_long_as_the_run(
    elapsed_s: float, slices: int, seconds: float, rate: float | None
) -> None:
    result = lasting(elapsed_s, slices)
    assert seconds_of(result.series[-1], result) == pytest.approx(seconds)
    assert rate_of(10, result.series[-1], result) == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("scheduled", "shed", "quantile", "shown"),
    [(5, 0, 3.0, 3.0), (5, 0, None, math.inf), (5, 5, None, None), (0, 0, None, None)],
)
def test_a_quantile_that_failures_took_is_infinite(
    scheduled: int, shed: int, quantile: float | None, shown: float | None
) -> None:
    assert reached(Slice(t=0.0, scheduled=scheduled, ok=0, shed=shed), quantile) == shown
