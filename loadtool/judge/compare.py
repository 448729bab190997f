"""Compare: are the runs of a candidate better or worse than those of a baseline, and is that real?

**One run a side.** The spread of a difference is that of its replicates: blocks of neighbouring slices are
drawn with replacement, phase by phase, the same ones on both sides where both ran the same schedule, so that
what the schedule does to both cancels out (`compare_stats.py` has the sources). What differs from run to run
and stays the same within one is not seen: docs/compare.md says how often that is taken for a difference.

**Several runs on a side.** The spread is that from run to run (Welch's t on the runs' figures, Biometrika 34,
1947; a side of one run is taken to spread as the other does), but never less than that of independent
arrivals.

Times, goodput and ratios are compared as ratios (on a logarithm), shares as they are. A difference is *real*
with the probability 1 − p of a two-sided t-test. In this order, a figure is

- *can't tell* if a side has no value or too few samples, or a run that proves nothing; a time of one run a
  side also if the send lags at p99 are more than 1 ms and a factor of 2 apart (one machine was busier), or if
  it differs by no more than they do, since response times hold the generator's own lag;
- *same* if the 95 % interval of the difference lies within what makes no difference in practice (two
  one-sided tests: Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987);
- *better* or *worse* if the difference is real with a probability of 99 % and larger than that;
- else *can't tell*.

A quantile beyond which a side has fewer than 10 samples is judged only if the two 95 % intervals of order
statistics, which need no resampling, do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtool.errors import UsageError
from loadtool.judge import intervals
from loadtool.judge.compare_metrics import METRICS, SAME_SHARE, SPIKE_METRICS, Metric, SpikeMetric, margin
from loadtool.judge.compare_profiles import Changed, changed_keys
from loadtool.judge.compare_sample import OVERALL, Sample, Stretch
from loadtool.judge.compare_stats import Draws, Spread, sum_of, t_quantile, t_tail, variance
from loadtool.judge.comparison import Comparison, Difference, Label
from loadtool.judge.windows import FEW_BEYOND
from loadtool.judge.words import counted, number
from loadtool.measure.books import in_ms
from loadtool.measure.histogram import rank
from loadtool.measure.outcome import H_LAG, H_OK
from loadtool.measure.population import Population
from loadtool.measure.result import Result

CONFIDENCE: Final = 0.95  # of the interval
REAL: Final = 0.99  # the probability from which a difference counts as real
LAG_QUANTILE: Final = 0.99
UNEQUAL: Final = 2.0  # times by which send lag may differ between two runs that are compared …
UNEQUAL_MS: Final = 1.0  # … if it differs by more than this
_KNOWN_DF: Final = 1e6  # of an error that follows from counts alone, not from the spread of anything


@dataclass(slots=True)
class Comparer:
    """Both sides, opened. `seed` makes the drawing of blocks repeatable.

    `force`: judge runs that prove nothing as if they did. `same_share`: see `margin`.
    """

    baseline: Sequence[Sample]
    candidate: Sequence[Sample]
    seed: int = 1
    force: bool = False
    same_share: float = SAME_SHARE
    _draws: dict[tuple[int, ...], Draws | None] = field(default_factory=dict)
    _changed: tuple[Changed, ...] = ()

    @classmethod
    def of(
        cls,
        baseline: Sequence[Result],
        candidate: Sequence[Result],
        *,
        different_profiles: bool = False,
        force: bool = False,
        seed: int = 1,
        files: Sequence[str] = (),
    ) -> Comparer:
        """Raises UsageError if profiles differ and may not, with what differs, or a result is unreadable.

        `files`: where the results are from, as far as they are from files: the baseline's come first.
        """
        if not baseline or not candidate:
            raise UsageError("a comparison needs at least one run on each side")
        changed = changed_keys([*baseline, *candidate])
        if changed and not different_profiles:
            lines = "\n".join(f"  {c}" for c in changed)
            raise UsageError(
                f"the runs are of different profiles; --different-profiles compares them anyway:\n{lines}"
            )
        found = samples([*baseline, *candidate], files)
        comparer = cls(found[: len(baseline)], found[len(baseline) :], seed, force)
        comparer._changed = tuple(changed)
        return comparer

    @property
    def several(self) -> bool:
        return len(self.baseline) > 1 or len(self.candidate) > 1

    def compare(self) -> Comparison:
        """All figures: overall, by phase but for warm-ups, then of each spike."""
        phases = [p.name for p in self.baseline[0].result.phases if p.role != "warmup"]
        found = [self.difference(m, where) for where in (OVERALL, *phases) for m in METRICS.values()]
        for spike in self.spikes():
            found += [self.spike_difference(m, spike) for m in SPIKE_METRICS.values()]
        return Comparison(
            tuple(s.result for s in self.baseline),
            tuple(s.result for s in self.candidate),
            tuple(found),
            self._changed,
            tuple(self._notes()),
            "spread from run to run" if self.several else "spread of blocks of slices within one run a side",
        )

    def spikes(self) -> list[str]:
        overload = self.baseline[0].result.overload
        return [f.name for f in overload.spikes] if overload is not None else []

    def difference(self, metric: Metric, where: str) -> Difference:
        """One figure of a stretch: OVERALL or a phase."""
        sides = [[s.stretches.get(where) for s in side] for side in (self.baseline, self.candidate)]
        known = [[x for x in side if x is not None] for side in sides]
        if any(len(k) < len(side) for k, side in zip(known, sides, strict=True)):
            return _untold(metric, where, f"not every run has a phase {where}")
        values = [[metric.value(x.population) for x in side] for side in known]
        if any(v is None for side in values for v in side):
            return _untold(metric, where, "nothing measured", values)
        numbers = [[v for v in side if v is not None] for side in values]
        spread, why = self._spread(metric, known, numbers)
        few = _few(metric, known)
        if metric.kind != "time" or self.several:
            return self._judged(metric, where, numbers, spread, few or why, blocked=bool(few))
        low, high = sorted(_lags_ms(known))
        if not few and high - low > UNEQUAL_MS and high > UNEQUAL * low:
            few = f"not equally busy machines: send lag p99 {number(low)} ms and {number(high)} ms"
        return self._judged(metric, where, numbers, spread, few or why, blocked=bool(few), lag_ms=high - low)

    def spike_difference(self, metric: SpikeMetric, spike: str) -> Difference:
        """One figure of a spike."""
        values = [
            [_of_spike(s.result, spike, metric) for s in side] for side in (self.baseline, self.candidate)
        ]
        if any(v is None for side in values for v in side):
            return _untold(metric, spike, "not measured", values)
        numbers = [[v for v in side if v is not None] for side in values]
        if self.several:
            return self._judged(metric, spike, numbers, _from_run_to_run(metric, numbers, (0.0, 0.0)), "")
        why = "one run a side does not show its spread: give several"
        return self._judged(metric, spike, numbers, None, why)

    def _spread(
        self, metric: Metric, sides: Sequence[Sequence[Stretch]], values: Sequence[Sequence[float]]
    ) -> tuple[Spread | None, str]:
        if self.several:
            floors = [sum(metric.floor(x.population) for x in side) / len(side) for side in sides]
            return _from_run_to_run(metric, values, (floors[0], floors[1])), ""
        base, other = sides[0][0], sides[1][0]
        if why := base.why or other.why:
            return None, why
        paired = base.starts_s == other.starts_s and base.sizes == other.sizes
        draws = [self._drawn(base.sizes), self._drawn(other.sizes, 0 if paired else 1)]
        if draws[0] is None or draws[1] is None:
            return None, "too few slices"
        first, second = metric.replicates(base, draws[0]), metric.replicates(other, draws[1])
        if paired:
            found = draws[0].spread([b - a for a, b in zip(first, second, strict=True)])
        else:
            found = sum_of([draws[0].spread(first), draws[1].spread(second)])
        floor = math.hypot(metric.floor(base.population), metric.floor(other.population))
        return found if found.error >= floor else Spread(floor, _KNOWN_DF), ""

    def _drawn(self, sizes: tuple[int, ...], side: int = 0) -> Draws | None:
        key = (side, *sizes)
        if key not in self._draws:
            self._draws[key] = Draws.of(sizes, self.seed + side)
        return self._draws[key]

    def _judged(
        self,
        metric: Metric | SpikeMetric,
        where: str,
        values: Sequence[Sequence[float]],
        spread: Spread | None,
        note: str,
        *,
        blocked: bool = False,
        lag_ms: float = 0.0,
    ) -> Difference:
        """`blocked`: whatever the spread says, it can't be told, for what `note` says.

        `lag_ms`: by how much the generator's own lag differs, which no smaller difference can be told from.
        """
        scale = metric.scale
        middles = [sum(map(scale.on, side)) / len(side) for side in values]
        shown = [math.exp(m) if scale.logarithmic else m for m in middles]
        for i, side in enumerate(values):
            if len(side) == 1:
                shown[i] = side[0]
            elif any(map(math.isinf, side)):
                shown[i] = math.inf
        step = middles[1] - middles[0]
        band = margin(metric, shown[0], self.same_share)
        probability = interval = None
        label: Label = "can't tell"
        if spread is not None:
            reach = t_quantile(CONFIDENCE, spread.df) * spread.error
            ends = (step - reach, step + reach)
            interval = (scale.change(ends[0]), scale.change(ends[1]))
            probability = 1 - t_tail(step / spread.error, spread.df) if spread.error else float(step != 0)
            label = _label(metric, step, ends, probability, band)
            if label in ("better", "worse") and abs(shown[1] - shown[0]) <= lag_ms:
                label, note = (
                    "can't tell",
                    f"no more than the send lag differs, by {number(lag_ms)} ms at p99",
                )
        elif (
            all(math.isfinite(v) for v in shown) and abs(step) < band / 2 and isinstance(metric, SpikeMetric)
        ):
            label = "same"
        if doubt := self._doubt():
            label, note = "can't tell", doubt
        elif all(math.isinf(v) for side in values for v in side):
            label, note, probability, interval = "can't tell", metric.endless, None, None
        elif blocked:
            label = "can't tell"
        return Difference(
            metric.name, where, metric.kind, metric.higher_is_better, scale.logarithmic, shown[0], shown[1],
            scale.change(step), interval, probability, label, note,
        )  # fmt: skip

    def _doubt(self) -> str:
        if self.force:
            return ""
        return next(iter(self.doubts()), "")

    def doubts(self) -> list[str]:
        """Which runs prove nothing, and why."""
        sides = (("baseline", self.baseline), ("candidate", self.candidate))
        return [
            f"{name}{f' {n}' if len(side) > 1 else ''}: {s.doubt}"
            for name, side in sides
            for n, s in enumerate(side, 1)
            if s.doubt
        ]

    def _notes(self) -> Iterable[str]:
        yield from self.doubts()
        results = [s.result for s in (*self.baseline, *self.candidate)]
        for what, of in _BESIDES.items():
            found = list(dict.fromkeys(of(r) for r in results))
            if len(found) > 1:
                yield f"{what} differs: {', '.join(found)}"


_BESIDES: Final[dict[str, Callable[[Result], str]]] = {
    "target": lambda r: str(r.profile.get("target", "")),
    "seed": lambda r: str(r.seed),
    "number of workers": lambda r: str(r.engine.workers),
    "build": lambda r: "compiled" if r.engine.compiled else "plain Python",
    "number of cores": lambda r: str(r.engine.cores),
    "loadtool": lambda r: r.loadtool,
}


def _label(
    metric: Metric | SpikeMetric, step: float, ends: tuple[float, float], probability: float, band: float
) -> Label:
    if -band < ends[0] and ends[1] < band:
        return "same"
    if probability >= REAL and abs(step) >= band:
        return "better" if (step > 0) == metric.higher_is_better else "worse"
    return "can't tell"


def _from_run_to_run(
    metric: Metric | SpikeMetric, values: Sequence[Sequence[float]], floors: tuple[float, float]
) -> Spread:
    """Of the difference of the sides' means. One of them has several runs."""
    scaled = [[metric.scale.on(v) for v in side] for side in values]
    known = [variance(side) if len(side) > 1 else None for side in scaled]
    spreads = []
    for i, side in enumerate(scaled):
        own, others = known[i], known[1 - i]
        squared = own if own is not None else others
        df = (len(side) if own is not None else len(scaled[1 - i])) - 1
        error = math.sqrt(max(squared or 0.0, floors[i] ** 2) / len(side))
        spreads.append(Spread(error, df if (squared or 0.0) >= floors[i] ** 2 else _KNOWN_DF))
    both = sum_of(spreads)
    if None in known:  # the other side's variance serves for both: no more freedom than it has
        return Spread(both.error, min(s.df for s in spreads))
    return both


def _lags_ms(sides: Sequence[Sequence[Stretch]]) -> list[float]:
    """The sides' send lag at p99, the mean of their runs'.

    It is part of every response time and none of the service's, and tells a busy machine from a calm one.
    """
    lags = (
        [in_ms(x.population.histogram(H_LAG).quantile(LAG_QUANTILE)) or 0.0 for x in side] for side in sides
    )
    return [sum(side) / len(side) for side in lags]


def _few(metric: Metric, sides: Sequence[Sequence[Stretch]]) -> str:
    """Why a quantile has too few samples beyond it; empty if it has enough, or the sides lie far apart."""
    q = metric.q
    if q is None:
        return ""
    beyond = [min(_beyond(metric, q, x.population) for x in side) for side in sides]
    least = min(beyond)
    if least >= FEW_BEYOND:
        return ""
    ranges = [[_order_interval(metric, q, x.population) for x in side] for side in sides]
    (low_a, high_a), (low_b, high_b) = ((min(r[0] for r in s), max(r[1] for r in s)) for s in ranges)
    if high_a < low_b or high_b < low_a:
        return ""
    return f"only {counted(least, 'sample')} beyond it"


def _beyond(metric: Metric, q: float, population: Population) -> int:
    n = population.histogram(H_OK).total + metric.infinite(population)
    return n - rank(q, n) if n else 0


def _order_interval(metric: Metric, q: float, population: Population) -> tuple[float, float]:
    """The 95 % interval of a quantile in µs, distribution-free; a missing end is 0 or infinite."""
    histogram = population.histogram(H_OK)
    lo, hi = intervals.quantile_ranks(q, histogram.total + metric.infinite(population))
    high = histogram.value_at_rank(hi)
    return histogram.value_at_rank(lo) or 0.0, math.inf if high is None else high


def samples(results: Sequence[Result], files: Sequence[str]) -> list[Sample]:
    """The runs as a comparison sees them; `files` are the first ones'. Raises UsageError for a broken one."""
    names = [*files, *("" for _ in results[len(files) :])]
    return [_opened(result, name) for result, name in zip(results, names, strict=True)]


def _opened(result: Result, file: str) -> Sample:
    """Raises UsageError if the result is unreadable, with the file's name if there is one."""
    try:
        return Sample.of(result)
    except UsageError as e:
        raise UsageError(f"{file}: {e}" if file else str(e)) from None


def _of_spike(result: Result, spike: str, metric: SpikeMetric) -> float | None:
    spikes: Mapping[str, float | None] = (
        {f.name: metric.value(f) for f in result.overload.spikes} if result.overload is not None else {}
    )
    return spikes.get(spike)


def _untold(
    metric: Metric | SpikeMetric, where: str, note: str, values: Sequence[Sequence[float | None]] = ((), ())
) -> Difference:
    shown = [side[0] if len(side) == 1 else None for side in values]
    relative = metric.scale.logarithmic
    return Difference(
        metric.name, where, metric.kind, metric.higher_is_better, relative, shown[0], shown[1],
        None, None, None, "can't tell", note,
    )  # fmt: skip
