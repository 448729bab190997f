"""What is compared: a row of `METRICS` a metric, and what of it makes a difference in practice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from loadtool.judge.compare_sample import Stretch, log_or_bound
from loadtool.judge.compare_stats import Draws
from loadtool.judge.overload_figures import amplified, recovery_ms
from loadtool.judge.words import percentile
from loadtool.measure.histogram import HIGHEST_US, LOWEST_US
from loadtool.measure.outcome import H_OK
from loadtool.measure.population import Population
from loadtool.measure.spike import SpikeFigures
from loadtool.profile.slo import Kind

QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.999)
SAME_SHARE: Final = 0.02  # relative: what is smaller makes no difference in practice
SAME_MS: Final = 0.2  # how accurate response times are (README, Accuracy): nothing below is a difference
SAME_POINTS: Final = 0.005  # of a share: 0.5 percentage points
SAME_S: Final = 1.0  # recovery goes by whole seconds
_HIGHEST_MS: Final = HIGHEST_US / 1000
_LEAST_RATE: Final = 1e-3  # per second: a goodput of nothing, on the logarithmic scale


@dataclass(frozen=True, slots=True)
class Scale:
    """How a kind of figure is compared: on a logarithm, so that a change is a ratio, or as it is."""

    logarithmic: bool
    least: float = -math.inf  # what stands for zero on a logarithm
    most: float = math.inf  # what stands for infinity

    def on(self, value: float) -> float:
        bounded = min(max(value, self.least), self.most)
        return math.log(bounded) if self.logarithmic else bounded

    def change(self, step: float) -> float:
        """A difference on the scale as a relative change (0.1 is 10 % more), or as it is."""
        return math.expm1(min(step, 700.0)) if self.logarithmic else step


SCALES: Final[dict[Kind, Scale]] = {
    "time": Scale(True, LOWEST_US / 1000, _HIGHEST_MS),
    "per_second": Scale(True, _LEAST_RATE),
    "share": Scale(False),
    "ratio": Scale(True, 1e-3),
}
_SECONDS: Final = Scale(False, 0.0, _HIGHEST_MS)  # of a recovery, which may well be 0


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a stretch. `value`: None without samples, `math.inf` beyond every answer.

    `replicates` gives the figure of each draw on the scale of its kind; `floor` the least standard error
    there, that of independent arrivals (0: none is known).
    """

    name: str
    kind: Kind
    higher_is_better: bool
    value: Callable[[Population], float | None]
    replicates: Callable[[Stretch, Draws], list[float]]
    floor: Callable[[Population], float]
    q: float | None = None
    ok_only: bool = False  # a quantile of ok answers alone
    endless: str = "beyond every answer on both sides"  # why two infinite figures can't be told apart

    @property
    def scale(self) -> Scale:
        return SCALES[self.kind]

    def infinite(self, population: Population) -> int:
        """How many samples of a quantile are infinite."""
        return 0 if self.ok_only else population.failed


def quantile(q: float, *, ok_only: bool = False) -> Metric:
    """A response-time quantile over arrivals that were not shed; each failed one counts as infinite.

    `ok_only`: over ok answers, as other tools have it.
    """

    def replicates(stretch: Stretch, draws: Draws) -> list[float]:
        found = stretch.quantiles_us(q, draws, ok_only=ok_only)
        return log_or_bound((us / 1000 for us in found), SCALES["time"].least)

    def value(population: Population) -> float | None:
        return population.quantile_ms(H_OK, q) if ok_only else population.latency_ms(q)

    name = f"ok {percentile(q)}" if ok_only else percentile(q)
    return Metric(name, "time", False, value, replicates, lambda _: 0.0, q, ok_only)


def _share(name: str, count: str, part: Callable[[Population], int]) -> Metric:
    """A share of the arrivals."""

    def replicates(stretch: Stretch, draws: Draws) -> list[float]:
        parts, wholes = stretch.counts(count, draws), stretch.counts("scheduled", draws)
        return [s / n if n else 0.0 for s, n in _sums(draws, parts, wholes)]

    def value(population: Population) -> float | None:
        return part(population) / population.finished if population.finished else None

    return Metric(name, "share", False, value, replicates, lambda p: _binomial(part(p), p.finished)[1])


def _goodput() -> Metric:
    def replicates(stretch: Stretch, draws: Draws) -> list[float]:
        goods, times = stretch.counts("good", draws), stretch.counts("seconds", draws)
        return log_or_bound((g / s for g, s in _sums(draws, goods, times)), _LEAST_RATE)

    def value(population: Population) -> float | None:
        return population.per_second(population.good) if population.finished else None

    def floor(population: Population) -> float:
        share, error = _binomial(population.good, population.finished)
        return error / share

    return Metric("goodput", "per_second", True, value, replicates, floor)


def _binomial(count: int, n: int) -> tuple[float, float]:
    """A share of `n` and its standard error, never 0: half a one more of each (Agresti & Coull, 1998)."""
    share = (count + 0.5) / (n + 1)
    return share, math.sqrt(share * (1 - share) / (n + 1))


def _sums(draws: Draws, first: Sequence[float], second: Sequence[float]) -> list[tuple[float, float]]:
    return [(sum((of := itemgetter(*picks))(first)), sum(of(second))) for picks in draws.picks]


METRICS: Final[dict[str, Metric]] = {
    m.name: m
    for m in (
        *(quantile(q) for q in QUANTILES),
        _goodput(),
        _share("error rate", "failed", lambda p: p.failed),
        _share("shed rate", "shed", lambda p: p.shed),
    )
}


@dataclass(frozen=True, slots=True)
class SpikeMetric:
    """A figure of a spike: one a run, so that only several runs show its spread."""

    name: str
    kind: Kind
    higher_is_better: bool
    value: Callable[[SpikeFigures], float | None]
    endless: str = "not recovered on either side"  # why two infinite figures can't be told apart

    @property
    def scale(self) -> Scale:
        return _SECONDS if self.kind == "time" else SCALES[self.kind]


def _amplification(f: SpikeFigures) -> float | None:
    found = amplified(f)
    return None if found is None else found.ratio


SPIKE_METRICS: Final[dict[str, SpikeMetric]] = {
    m.name: m
    for m in (
        SpikeMetric("goodput retention", "share", True, lambda f: f.goodput_retention),
        SpikeMetric("end retention", "share", True, lambda f: f.end_retention),
        SpikeMetric("honest rejection", "share", True, lambda f: f.honest_rejection),
        SpikeMetric("recovery", "time", False, recovery_ms),
        SpikeMetric("hysteresis", "share", False, lambda f: f.hysteresis),
        SpikeMetric("retry amplification", "ratio", False, _amplification),
        SpikeMetric("latency growth", "ratio", False, lambda f: f.latency_growth),
    )
}


def margin(metric: Metric | SpikeMetric, base: float, share: float = SAME_SHARE) -> float:
    """On the metric's scale: a difference that is smaller makes none in practice. `share`: of the value."""
    if metric.kind == "share":
        return SAME_POINTS
    if not metric.scale.logarithmic:
        return SAME_S * 1000
    floor = SAME_MS / max(base, metric.scale.least) if metric.kind == "time" else 0.0
    return math.log1p(max(share, floor))
