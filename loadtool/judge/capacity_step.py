"""What a step of the search for capacity says: do the SLOs hold at its rate, or was the generator late?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtool.judge.capacity import Hunt, Purpose
from loadtool.judge.case import Case
from loadtool.judge.slo import judge_case
from loadtool.judge.validity import generator_limits, no_answer
from loadtool.measure.result import PhaseFigures, Result, SloFigure
from loadtool.plan.timeline import slice_width
from loadtool.plan.windows import wanted_slices
from loadtool.profile.slo import Slo
from loadtool.units import SECOND

HOLD: Final = "hold"  # the phase of a step that counts
OVERHEAD_S: Final = 1.5  # of a step: its workers start, its last answers come
WARM_SHARE: Final = 0.25  # of a step's hold: so long the rate is sent before it counts
LONGEST_WARM_S: Final = 3.0
LONGER: Final = 3  # times: how much longer a confirming hold gets where arrivals are few
_MISSED: Final = 0.025  # probability with which no sample lies beyond a quantile


@dataclass(slots=True)
class Step:
    """One step. `outcome`: holds, fails, late (nothing is known of the target) or cut (by a signal)."""

    purpose: Purpose
    rate_per_s: float
    hold_s: float
    started_s: float  # since the search began
    outcome: str
    conclusive: bool = True  # False: too few arrivals for an SLO, whose value was believed all the same
    failed: list[str] = field(default_factory=list)  # SLOs, with what was measured
    reasons: list[str] = field(default_factory=list)  # why it is late
    answered: bool = True
    scheduled: int = 0
    ok: int = 0
    shed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    offered_per_s: float = 0.0
    goodput_per_s: float = 0.0
    p50_ms: float | None = None  # None: infinite, or nothing measured
    p99_ms: float | None = None
    lag_p99_ms: float | None = None


def step_of(result: Result, purpose: Purpose, rate: float, started_s: float, *, cut: bool = False) -> Step:
    """The step that this result is of. Raises UsageError if it is unreadable.

    An objective that is inconclusive, since arrivals were few, is believed as its value has it.
    """
    case = Case.of(result)
    phase = next((p for p in result.phases if p.name == HOLD), PhaseFigures(name=HOLD))
    figures = judge_case(case, None, "")
    late = generator_limits(case)
    answered = no_answer(case) is None
    failed = [f.text for f, slo in zip(figures, case.slos, strict=True) if not _leans_to_pass(f, slo, case)]
    return Step(
        purpose=purpose,
        rate_per_s=rate,
        hold_s=round(phase.end_s - phase.start_s, 3),
        started_s=round(started_s, 3),
        outcome="cut" if cut else "late" if late else "holds" if answered and not failed else "fails",
        conclusive=all(f.status != "inconclusive" for f in figures),
        failed=failed,
        reasons=late,
        answered=answered,
        scheduled=phase.scheduled,
        ok=phase.ok,
        shed=phase.shed,
        errors=dict(phase.errors),
        offered_per_s=phase.offered_per_s,
        goodput_per_s=phase.goodput_per_s,
        p50_ms=phase.latency_ms.p50,
        p99_ms=phase.latency_ms.p99,
        lag_p99_ms=phase.lag_ms.p99,
    )


def _leans_to_pass(figure: SloFigure, slo: Slo, case: Case) -> bool:
    if figure.status != "inconclusive":
        return figure.status == "pass"
    if figure.value is not None:
        return slo.meets(figure.value)
    # An infinite one, or nothing that could be measured: fine only where nothing was asked.
    return not any(population.scheduled for _, population in case.coverage.cells(slo))


def lengths_s(seconds: float, slos: Sequence[Slo]) -> tuple[float, float]:
    """How long a step warms up and how long it holds its rate, which is `seconds` at least.

    The hold begins with a slice and has room for the longest window, or no window could be judged.
    """
    warm = min(WARM_SHARE * seconds, LONGEST_WARM_S)
    windowed = [slo for slo in slos if slo.window_ns is not None]
    if not windowed:
        return warm, seconds
    slice_s = 0.0
    wide_s = 1.0
    while slice_s < wide_s:  # of a long step slices are wider, and windows are whole slices
        slice_s = wide_s
        warmed = math.ceil(warm / slice_s) * slice_s
        held = max(seconds, *(wanted_slices(slo, slice_s) * slice_s for slo in windowed))
        wide_s = slice_width(round((warmed + held) * SECOND)) / SECOND
    return warmed, held


def hold_s(rate: float, seconds: float, slos: Sequence[Slo], *, long: bool) -> float:
    """How long to hold a rate: a confirming hold lasts until quantiles can be told, `LONGER` at the most."""
    if not long or rate <= 0:
        return seconds
    quantiles = [slo.quantile for slo in slos if slo.quantile is not None]
    needed = max((math.ceil(math.log(_MISSED) / math.log(q)) for q in quantiles), default=0)
    return float(math.ceil(min(max(seconds, 1.1 * needed / rate), LONGER * seconds)))


def foretold_s(hunt: Hunt, step_s: float, confirm_s: float, slos: Sequence[Slo]) -> tuple[float, float]:
    """How long a search with these holds usually takes, and at the most.

    A confirming hold is the longer the lower its rate: taken to be the first one, and at the most the lowest.
    """

    def all_of(rate: float, seconds: float, *, long: bool) -> float:
        return sum(lengths_s(hold_s(rate, seconds, slos, long=long), slos)) + OVERHEAD_S

    short_s = all_of(hunt.start, step_s, long=False)
    long_s, longest_s = (all_of(rate, confirm_s, long=True) for rate in (hunt.start, hunt.least))
    return estimate_s(hunt, short_s, long_s, longest_s)


def estimate_s(hunt: Hunt, short_s: float, long_s: float, longest_s: float) -> tuple[float, float]:
    """How long the search usually takes, and at the most, without the time that the service needs to come
    back after a step that was too much for it. `short_s`, `long_s`: of a step with all that belongs to it;
    `longest_s`: of the longest that a confirming one may come to.
    """
    curve = 2 * short_s
    usual = hunt.usual_short * short_s + hunt.confirmations * long_s + curve
    return usual, hunt.most_short * short_s + hunt.most_long * longest_s + curve
