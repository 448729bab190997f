from __future__ import annotations

import pytest

from loadtool.measure.result import SloFigure
from loadtool.report import slos


def slo(
    metric: str, value: float | None, threshold: float, samples: int, ci95: list[float | None] | None
) -> SloFigure:
    return SloFigure("text", 1, metric, None, None, value, threshold, "pass", samples, ci95)


@pytest.mark.parametrize(
    ("figure", "value", "threshold", "interval"),
    [
        (slo("p95", 12.34, 250.0, 900, [11.9, 12.8]), "12.3 ms", "250 ms", "11.9 – 12.8 ms"),
        (slo("p99", None, 1000.0, 420, [980.0, None]), "∞", "1 s", "980 ms – ∞"),
        (slo("p99", None, 1000.0, 0, None), "n/a", "1 s", ""),
        (slo("p99", None, 1500.0, 9, [None, None]), "∞", "1.5 s", ""),
        (slo("p50", 3.0, 10.0, 9, [None, 5.0]), "3 ms", "10 ms", "0 – 5 ms"),
        (slo("quantile", 12.34, 250.0, 900, None), "12.3 ms", "250 ms", ""),
        (slo("shed p99", 3.9, 50.0, 350, [3.1, 4.4]), "3.90 ms", "50 ms", "3.10 – 4.40 ms"),
        (slo("error rate", 0.00758, 0.001, 9900, [0.0059, 0.0094]), "0.758%", "0.1%", "0.590 – 0.940%"),
        (slo("shed rate", 0.0, 0.2, 100, None), "0%", "20%", ""),
        (slo("goodput", 465.04, 400.0, 7500, None), "465/s", "400/s", ""),
        (slo("goodput retention", 0.93, 0.9, 7500, None), "93%", "90%", ""),
        (slo("hysteresis", -0.012, 0.02, 500, None), "-1.20%", "2%", ""),
        (slo("latency growth", 1.456, 2.0, 7500, None), "1.46x", "2x", ""),
        (slo("retry amplification", 1.0, 1.1, 7500, None), "1x", "1.1x", ""),
        (slo("recovery", 8000.0, 10_000.0, 1500, None), "8 s", "10 s", ""),
        (slo("recovery", None, 10_000.0, 1500, None), "∞", "10 s", ""),  # longer than was watched
        (slo("recovery", None, 10_000.0, 0, None), "n/a", "10 s", ""),
        (slo("from a later version", 1.0, 2.0, 1, None), "1 ms", "2 ms", ""),
    ],
)
def test_an_slo_is_written_as_its_metric_says(
    figure: SloFigure, value: str, threshold: str, interval: str
) -> None:
    assert (slos.value(figure), slos.threshold(figure), slos.interval(figure)) == (value, threshold, interval)
