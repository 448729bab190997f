"""At which share of the baseline's rate did a service come back that had not by the profile's end?"""

from __future__ import annotations

from loadtool.judge import overload_figures as formulas
from loadtool.judge.spike_view import Counts, Recovery
from loadtool.judge.words import number
from loadtool.measure.result import Result
from loadtool.measure.spike import CutLoad, CutLoadSteps, SpikeFigures
from loadtool.units import format_share


def judge_cut_load(result: Result, last: SpikeFigures) -> list[CutLoad]:
    """What came of each rate, by the rule that judges a recovery (docs/overload.md), up to one that helped.

    `last`: the figures of the last spike, to whose notes it is added in words.
    """
    if last.baseline_ratio is None or not result.cut_load:
        return []
    found: list[CutLoad] = []
    for stretch in result.cut_load:
        found.append(cut_load_of(stretch, last.baseline_ratio))
        if found[-1].recovered:
            break
    last.notes.append(_in_words(found))
    return found


def cut_load_of(stretch: CutLoadSteps, baseline_ratio: float) -> CutLoad:
    """How the service fared in this stretch; there must be a step in it."""
    recovery = Recovery(
        bounds=(*(step.start_s for step in stretch.steps), stretch.end_s),
        steps=tuple(Counts.of([step]) for step in stretch.steps),
        window_s=stretch.window_s,
        faults=(),
    )
    recovered = formulas.recovery(recovery, baseline_ratio)
    return CutLoad(
        share=stretch.share,
        rate_per_s=stretch.rate_per_s,
        watched_s=recovery.watched_s,
        recovered=recovered.recovered,
        recovered_s=recovered.seconds,
    )


def _in_words(found: list[CutLoad]) -> str:
    last = found[-1]
    at = f"{format_share(last.share)} of the baseline load ({number(last.rate_per_s)}/s)"
    if last.recovered and last.recovered_s is not None:
        when = f"after {last.recovered_s:.3g} s" if last.recovered_s else "at once"
        return f"with the load cut, it came back at {at} {when}"
    watched = f"{last.watched_s:.3g} s"
    if last.recovered is None:
        return f"with the load cut, {watched} at {at} were too few arrivals to tell whether it came back"
    return f"with the load cut, it did not come back even at {at}, in {watched}"
