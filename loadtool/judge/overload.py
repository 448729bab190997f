"""Overload: what each spike did to the service, from a result alone (docs/overload.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from loadtool import units
from loadtool.errors import UsageError
from loadtool.judge import overload_figures as formulas
from loadtool.judge.case import Case
from loadtool.judge.cut_load import judge_cut_load
from loadtool.judge.overload_words import sentence_of
from loadtool.judge.spike_view import SpikeView
from loadtool.judge.words import counted, under_way
from loadtool.measure.groups import filled
from loadtool.measure.outcome import ABORTED, H_SHED, M_KEPT, M_PROMISED, M_THROTTLED
from loadtool.measure.result import Result
from loadtool.measure.spike import Overload, SpikeFigures
from loadtool.units import format_share

# Figures that need a baseline that can serve as one.
_AGAINST_BASELINE: Final = (
    "goodput_retention", "end_retention", "recovery_s", "hysteresis", "retry_amplification_after",
)  # fmt: skip


def judge_overload(case: Case) -> tuple[Overload | None, str]:
    """What the spikes did, or None and why it can't be judged. Raises UsageError for an unreadable result."""
    overload, why = _judge(case)
    if overload is not None and case.aborted:
        _say_what_was_aborted(overload, case)
    return overload, why


def _judge(case: Case) -> tuple[Overload | None, str]:
    result = case.result
    if not result.steps:
        return None, "the result holds no counts step by step, as those of older versions of loadtool"
    if not result.spikes:
        return None, "no phase has the role spike"
    if all(frame.baseline is None for frame in result.spikes):
        names = " and ".join(frame.name for frame in result.spikes)
        return None, f"no phase with the role baseline comes before {names}"
    views = [SpikeView.of(case, frame) for frame in result.spikes if frame.start_s < result.elapsed_s]
    if not views:
        return None, f"the run ended before {result.spikes[0].name}"
    judged = [_figures(view, case) for view in views if view.spike.finished]
    if not judged:
        return None, f"no arrival was due in {' and '.join(view.frame.name for view in views)}"
    return Overload(
        judged, formulas.worst([figures.verdict for figures in judged]), judge_cut_load(result, judged[-1])
    ), ""


def _say_what_was_aborted(overload: Overload, case: Case) -> None:
    """It counts as errors, or a service that stands still would look well. Does the verdict hang on it?"""
    best, _ = _judge(case.at_best())
    assert best is not None  # it has the same spikes
    for figures, at_best in zip(overload.spikes, best.spikes, strict=True):
        phases = (*figures.phases, *figures.recovery)
        aborted = sum(p.aborted for _, p in filled(case.coverage.groups.in_phases(*phases)))
        if not aborted:
            continue
        hangs = f"had all been good that still had time, it would be {at_best.verdict}"
        if at_best.verdict == figures.verdict:
            hangs = "the verdict does not hang on them"
        figures.notes.append(f"{under_way(aborted)}, and count as errors: {hangs}")


def capacity_of(result: Result) -> float | None:
    """The profile's `capacity`, in requests/s. Raises UsageError if it is none."""
    text = result.profile.get("capacity")
    if text is None:
        return None
    try:
        return units.positive_rate(units.parse_rate(text))
    except ValueError as e:
        raise UsageError(f"result: profile.capacity: {e}") from None


def _figures(view: SpikeView, case: Case) -> SpikeFigures:
    spike, good_within_ms = view.spike, case.result.good_within_ms
    figures = SpikeFigures(
        name=view.frame.name,
        phases=view.frame.phases,
        baseline=view.frame.baseline,
        recovery=view.frame.recovery,
        verdict="",
        sentence="",
        offered_per_s=spike.per_second(spike.finished),
        goodput_per_s=spike.per_second(spike.good),
        ratio=formulas.ratio(spike.good, spike.finished),
        shed_ratio=formulas.ratio(spike.shed, spike.finished),
        shed_ratio_attempts=formulas.ratio(formulas.shed_attempts(spike), spike.attempts),
        shed_p99_ms=spike.quantile_ms(H_SHED, 0.99),
        honest_rejection=formulas.honest_rejection(spike, good_within_ms),
        strict_rejection=formulas.strict_rejection(spike),
        retry_after_truth=formulas.ratio(spike.marks[M_KEPT], spike.marks[M_PROMISED]),
        promised=spike.marks[M_PROMISED],
        retry_amplification=formulas.ratio(spike.attempts, spike.finished),
        arrivals=spike.finished,
        shed=spike.shed,
        errors=spike.failed,
        late=formulas.late(spike),
        hard=formulas.hard(spike),
        aborted=spike.counts[ABORTED],
        throttled=spike.marks[M_THROTTLED],
        faults=list(view.faults),
        notes=list(_notes(view)),
    )
    _growth(figures, view)
    _first_shed(figures, view)
    problem = _baseline(figures, view)
    if problem:
        figures.verdict = "no-baseline"
        for name in _AGAINST_BASELINE:
            figures.unknown[name] = problem
    else:
        _goodput(figures, view, capacity_of(case.result))
        if _close_to_capacity(figures):
            figures.notes.append("it was offered within 5% of its capacity, where chance decides the verdict")
        _recovery(figures, view)
        figures.verdict = formulas.verdict_of(figures)
    window_s = 0.0 if view.recovery is None else view.recovery.window_s
    figures.sentence = sentence_of(figures, problem, window_s)
    return figures


def _baseline(figures: SpikeFigures, view: SpikeView) -> str:
    """Fill in what is known of the baseline; why it can't serve as one, if so."""
    baseline = view.baseline
    if baseline is None:
        return "no phase with the role baseline comes before it"
    ratio = figures.baseline_ratio = formulas.ratio(baseline.good, baseline.finished)
    if ratio is None:
        return f"no arrival was due in {view.frame.baseline}"
    p50 = baseline.latency_ms(0.5)
    if p50 is not None and math.isfinite(p50):
        figures.shed_p99_bound_ms = max(formulas.LEAST_SHED_BOUND_MS, p50 / 2)
    if ratio < formulas.LEAST_BASELINE:
        least = format_share(formulas.LEAST_BASELINE)
        percent = math.floor(ratio * 1000) / 10  # rounded down, so that it never reads as enough
        return f"only {percent:.3g}% of the arrivals in {view.frame.baseline} were good, want {least} or more"
    return ""


def _goodput(figures: SpikeFigures, view: SpikeView, capacity: float | None) -> None:
    baseline = view.baseline
    assert baseline is not None  # else there is no verdict but no-baseline
    per_s = baseline.per_second(baseline.good) if capacity is None else capacity
    figures.reference = "baseline" if capacity is None else "capacity"
    figures.reference_per_s = per_s
    figures.goodput_retention = formulas.retention(view.blocks, per_s)
    seconds = sum(block.seconds for block in view.blocks)
    served, demanded = formulas.served_and_demanded(view.blocks, per_s)
    figures.served_per_s, figures.demanded_per_s = served / seconds, demanded / seconds
    figures.block_s = view.blocks[0].seconds
    figures.end_retention = formulas.retention(view.last_third, per_s)
    if figures.end_retention is None:
        why = "the run ended before the spike did" if view.cut else "no arrival was due in its last third"
        figures.unknown["end_retention"] = why


def _close_to_capacity(figures: SpikeFigures) -> bool:
    """A known limit of the rules, of which only a stated capacity can tell."""
    capacity = figures.reference_per_s if figures.reference == "capacity" else None
    return capacity is not None and abs(figures.offered_per_s - capacity) <= formulas.CLOSE * capacity


def _recovery(figures: SpikeFigures, view: SpikeView) -> None:
    recovery, baseline, ratio = view.recovery, view.baseline, figures.baseline_ratio
    assert baseline is not None  # as above
    assert ratio is not None
    if recovery is None:
        for name in ("recovery_s", "hysteresis", "retry_amplification_after"):
            figures.unknown[name] = view.no_recovery
        return
    found = formulas.recovery(recovery, ratio)
    figures.recovered, figures.recovery_s = found.recovered, found.seconds
    figures.watched_s = recovery.watched_s
    figures.watched = sum(step.arrivals for step in recovery.steps)
    if found.recovered is None:
        figures.unknown["recovery_s"] = (
            f"{counted(figures.watched, 'arrival')} in {recovery.watched_s:.3g} s are too few to tell"
        )
    elif not found.recovered:
        figures.unknown["recovery_s"] = f"not recovered in the {recovery.watched_s:.3g} s watched"
    last = formulas.tail(recovery)
    figures.tail = last.arrivals
    if not last.arrivals:
        for name in ("hysteresis", "retry_amplification_after"):
            figures.unknown[name] = "no arrival was due in the last third of the recovery"
        return
    figures.hysteresis = ratio - last.good / last.arrivals
    figures.hysteresis_bound = formulas.hysteresis_bound(ratio, baseline.finished, last.arrivals)
    figures.retry_amplification_after = last.attempts / last.arrivals


def _growth(figures: SpikeFigures, view: SpikeView) -> None:
    first, last = view.frame.first_third_ms, view.frame.last_third_ms
    if first and last is not None:
        figures.latency_growth = last / first
    else:
        figures.unknown["latency_growth"] = (
            "the run ended before the spike did"
            if view.cut
            else f"no ok answer in its {'last' if first else 'first'} third"
            if view.blocks
            else "no phase with the role baseline comes before it"
        )


def _first_shed(figures: SpikeFigures, view: SpikeView) -> None:
    since = view.first_shed_s
    if since is None:
        figures.unknown["time_to_first_shed_s"] = "no sheds"
        return
    figures.time_to_first_shed_s = since
    figures.implied_buffer = formulas.buffered(view.steps, view.frame.start_s, since, view.steady_s)


def _notes(view: SpikeView) -> Iterator[str]:
    if view.cut:
        yield "the run ended before the spike did"
    if view.recovery is not None and view.recovery.faults:
        faults = " and ".join(view.recovery.faults)
        yield f"{faults} began while recovery was watched, and what came of that counts"
