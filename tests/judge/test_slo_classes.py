"""An objective is judged from the histograms that its metric names: others are neither read nor pooled."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadtool.judge.abort import LOST
from loadtool.judge.slo import METRICS, Metric, judge_groups
from loadtool.measure.books import Books
from loadtool.measure.groups import Groups
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import CLASSES, H_OK, OUTCOMES
from loadtool.measure.population import CellKey, Population, pool
from loadtool.profile.slo import METRICS as GRAMMAR
from loadtool.profile.slo import Slo, parse_slo

ROWS = {name: row for name, row in METRICS.items() if isinstance(row, Metric)}
# Objectives that `cells` can no longer meet, for each metric that may end a run.
HOPELESS = {
    "quantile": "p90 < 1ms",
    "ok quantile": "ok p90 < 1ms",
    "max": "max < 1ms",
    "error rate": "error rate < 1%",
    "shed rate": "shed rate < 1%",
    "goodput": "goodput > 500/s",
    "rate": "rate > 500/s",
}


def cells() -> dict[CellKey, Population]:
    """Three cells whose every count and every histogram is another one."""
    made = {}
    for n in range(1, 4):
        values = {code: times(*range(1000 * (code + 1), 400_000, 7000 * n)) for code in range(len(CLASSES))}
        counts = [10 * n + code for code in range(len(OUTCOMES))]
        made[CellKey("spike", (f"fault {n}",), "browse")] = Population(
            sum(counts), 5 * n, 400 * n, counts, values, seconds=float(n)
        )
    return made


def times(*us: int) -> Histogram:
    made = Histogram()
    for value in us:
        made.record(value)
    return made


def about(name: str) -> Slo:
    row = GRAMMAR[name]
    return Slo(name, None, name, 0.9 if row.quantile else None, "<", 1.0, row.kind)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The classes of the histograms that are read, as they are."""
    noted: list[int] = []
    histogram = Books.histogram

    def reading(books: Books, code: int) -> Histogram:
        noted.append(code)
        return histogram(books, code)

    monkeypatch.setattr(Books, "histogram", reading)
    return noted


@pytest.mark.parametrize("name", ROWS)
def test_a_metric_measures_the_same_without_the_classes_that_it_does_not_name(
    name: str, read: Sequence[int]
) -> None:
    metric, slo = ROWS[name], about(name)
    everything, few = pool(cells().items()), pool(cells().items(), metric.classes)
    before = len(read)
    evidence = metric.measure(few, slo)
    assert set(read[before:]) == set(metric.classes)
    assert evidence == metric.measure(everything, slo)
    assert evidence.value is not None


@pytest.mark.parametrize("name", ROWS)
def test_judging_a_run_that_lasts_pools_no_others(name: str, read: Sequence[int]) -> None:
    (figure,) = judge_groups([about(name)], Groups.of(cells()), ())
    assert figure.samples > 0
    assert set(read) == set(ROWS[name].classes)


@pytest.mark.parametrize("name", LOST)
def test_whether_a_run_can_still_pass_is_read_from_the_same_classes(name: str, read: Sequence[int]) -> None:
    classes, slo = ROWS[name].classes, parse_slo(HOPELESS[name])
    assert slo.metric == name
    planned = Population(1000, seconds=10.0)
    everything, few = pool(cells().items()), pool(cells().items(), classes)
    before = len(read)
    why = LOST[name](few, planned, slo)
    assert set(read[before:]) <= set(classes)
    assert why == LOST[name](everything, planned, slo) != ""


def test_windows_have_the_classes_of_the_metrics_that_they_are_for() -> None:
    """Slices know the times of ok answers alone."""
    needed = {code for name, row in GRAMMAR.items() if row.windows for code in ROWS[name].classes}
    assert needed == {H_OK}


def test_a_pool_of_some_classes_counts_all_arrivals() -> None:
    everything, few = pool(cells().items()), pool(cells().items(), (H_OK,))
    assert (few.scheduled, few.counts, few.seconds) == (everything.scheduled, everything.counts, 6.0)
    assert few.values == {H_OK: everything.values[H_OK]}
    assert set(everything.values) == set(range(len(CLASSES)))
