"""SLOs on what spikes did: one row of `SPIKE_METRICS` a metric.

Without `during`, an objective has to hold for every spike, and shows the one that misses it most. `during`
names a phase of a spike or of its recovery, and means that spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtool.judge import overload_figures as formulas
from loadtool.judge.overload_figures import Amplified
from loadtool.judge.words import metric_name
from loadtool.measure.result import SloFigure
from loadtool.measure.spike import Overload, SpikeFigures
from loadtool.profile.slo import METRICS, Slo

NOT_YET: Final = "known when the run has ended"
_WORST_FIRST: Final = ("fail", "inconclusive", "pass")


@dataclass(frozen=True, slots=True)
class SpikeMetric:
    """`value`: in ms, as a share or a ratio. `figure`: the field whose absence `unknown` explains."""

    value: Callable[[SpikeFigures, Slo], float | None]
    figure: str
    samples: Callable[[SpikeFigures, Slo], int] = lambda f, _: f.arrivals


@dataclass(frozen=True, slots=True)
class _Finding:
    """`value` is infinite for a spike from which the service did not recover."""

    status: str
    value: float | None
    samples: int
    note: str = ""


def _amplified(f: SpikeFigures, slo: Slo) -> Amplified | None:
    """Of the spike, or of the last third of its recovery; without `during`, the larger.

    Where a recovery could not be watched it is not known which that is, unless the spike alone decides.
    """
    spike = formulas.amplified_in_spike(f)
    if slo.during in f.phases:
        return spike
    if slo.during in f.recovery:
        return formulas.amplified_after(f)
    larger = formulas.amplified(f)
    if larger is None and spike is not None and slo.meets(spike.ratio) == (slo.op in (">", ">=")):
        return spike
    return larger


def _amplification(f: SpikeFigures, slo: Slo) -> float | None:
    found = _amplified(f, slo)
    return None if found is None else found.ratio


def _amplified_arrivals(f: SpikeFigures, slo: Slo) -> int:
    found = _amplified(f, slo)
    return 0 if found is None else found.arrivals


SPIKE_METRICS: Final[dict[str, SpikeMetric]] = {
    "goodput retention": SpikeMetric(lambda f, _: f.goodput_retention, "goodput_retention"),
    "end retention": SpikeMetric(lambda f, _: f.end_retention, "end_retention"),
    "honest rejection": SpikeMetric(
        lambda f, _: f.honest_rejection, "honest_rejection", lambda f, _: f.refused
    ),
    "recovery": SpikeMetric(lambda f, _: formulas.recovery_ms(f), "recovery_s", lambda f, _: f.watched),
    "hysteresis": SpikeMetric(lambda f, _: f.hysteresis, "hysteresis", lambda f, _: f.tail),
    "retry amplification": SpikeMetric(_amplification, "retry_amplification_after", _amplified_arrivals),
    "latency growth": SpikeMetric(lambda f, _: f.latency_growth, "latency_growth"),
}


def judge_spikes(slo: Slo, overload: Overload | None, why_none: str) -> SloFigure:
    """The objective on what the spikes did; `why_none`: why that is not known."""
    about = [f for f in overload.spikes if _is_about(slo, f)] if overload is not None else []
    if overload is None:
        worst = _Finding("inconclusive", None, 0, why_none)
    elif not about:
        worst = _Finding("inconclusive", None, 0, f"{slo.during or 'what it is about'} was not reached")
    else:
        worst = _worst(slo, [_finding(slo, f, len(about) > 1) for f in about])
    return SloFigure(
        text=slo.text,
        line=slo.line,
        metric=metric_name(slo),
        phase=slo.during,
        request=slo.request,
        value=None if worst.value is None or math.isinf(worst.value) else worst.value,
        threshold=slo.threshold,
        status=worst.status,
        samples=worst.samples,
        ci95=None,
        note=worst.note,
    )


def _is_about(slo: Slo, f: SpikeFigures) -> bool:
    if slo.during is not None:
        return slo.during in (*f.phases, *f.recovery)
    return METRICS[slo.metric].part != "recovery" or bool(f.recovery)


def _finding(slo: Slo, f: SpikeFigures, several: bool) -> _Finding:
    metric = SPIKE_METRICS[slo.metric]
    prefix = f"{f.name}: " if several else ""
    value, samples = metric.value(f, slo), metric.samples(f, slo)
    if f.verdict == "no-baseline":
        return _Finding("inconclusive", None, 0, prefix + f.unknown["goodput_retention"])
    if value is None:
        return _Finding("inconclusive", None, 0, prefix + f.unknown.get(metric.figure, "not measured"))
    note = prefix.removesuffix(": ")
    if not math.isinf(value):
        return _Finding("pass" if slo.meets(value) else "fail", value, samples, note)
    # Longer than what was watched, by an unknown time.
    watched_ms = (f.watched_s or 0.0) * 1000
    decided = watched_ms >= slo.threshold
    status = ("pass" if slo.meets(math.inf) else "fail") if decided else "inconclusive"
    return _Finding(status, value, samples, prefix + f.unknown[metric.figure])


def _worst(slo: Slo, findings: Sequence[_Finding]) -> _Finding:
    """The finding that misses the objective most."""
    sign = -1 if slo.op in ("<", "<=") else 1
    return min(
        findings,
        key=lambda f: (_WORST_FIRST.index(f.status), sign * f.value if f.value is not None else 0.0),
    )
