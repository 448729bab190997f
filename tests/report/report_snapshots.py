"""A synthetic run, second by second, for the tests of the views: snapshots as the recorder gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from report_samples import FAULT, PHASES, passed

from loadtool.measure.outcome import OUTCOMES
from loadtool.measure.result import Slice, SloFigure
from loadtool.measure.snapshot import PhaseNow, Point, Snapshot
from loadtool.report.stage import Bar, Stage

STAGE = Stage(
    name="checkout-10x",
    target="http://127.0.0.1:8080",
    phases=tuple(Bar(name, float(a), float(b)) for name, _, a, b, _ in PHASES),
    faults=(Bar("slow-store", *FAULT),),
    curve=tuple((float(a), float(rate)) for _, _, a, _, rate in PHASES),
    slos=tuple(s.text for s in passed().slos),
)


def snapshot(t: float) -> Snapshot:
    """The run at t seconds; the last full slice is the one before."""
    slices = passed().series[: int(t)]
    points = tuple(
        Point(
            s.t,
            s.scheduled,
            s.ok,
            s.shed,
            sum(s.errors.values()),
            s.p50,
            math.inf if s.p99 is None else s.p99,
        )
        for s in slices
    )
    last = points[-1] if points else Point(0.0, 0.0, 0.0, 0.0, 0.0, None, None)
    counts = dict.fromkeys(OUTCOMES, 0)
    for s in slices:
        counts["ok"] += s.ok
        counts["shed"] += s.shed
        for kind, n in s.errors.items():
            counts[kind] += n
    return Snapshot(
        elapsed_s=t,
        scheduled=sum(s.scheduled for s in slices),
        good=sum(s.good for s in slices),
        attempts=sum(s.attempts for s in slices),
        outcomes=counts,
        offered_per_s=last.offered,
        ok_per_s=last.ok,
        shed_per_s=last.shed,
        errors_per_s=last.errors,
        p50_ms=last.p50,
        p99_ms=last.p99,
        lag_p99_ms=0.31 if points else None,
        phases=tuple(_phase(*phase, slices) for phase in PHASES),
        in_flight=slices[-1].in_flight if slices else 0,
        waiting=0,
        connections=10,
        recent=points,
        workers=1,
        workers_alive=1,
        local={},
    )


def _phase(name: str, role: str, start: float, end: float, rate: float, slices: Sequence[Slice]) -> PhaseNow:
    """The phase as far as the slices go; its quantiles those of the last one, for want of better."""
    mine = [s for s in slices if start <= s.t < end]
    errors = sum(n for s in mine for n in s.errors.values())
    counts = (sum(s.scheduled for s in mine), sum(s.ok for s in mine), sum(s.shed for s in mine), errors)
    if not mine:
        return PhaseNow(name, role, *counts, None, None, None)
    p99 = math.inf if mine[-1].p99 is None else mine[-1].p99
    return PhaseNow(name, role, *counts, mine[-1].p50, p99, 0.31)


def active(t: float) -> list[str]:
    return ["slow-store"] if FAULT[0] <= t < FAULT[1] else []


def slos(t: float) -> list[SloFigure]:
    """The SLOs as they stand at t: nothing is known of a phase that has not begun."""
    begins = {None: 6.0, "baseline": 6.0, "slow-store": 35.0}
    return [
        s if t >= begins[s.phase] else replace(s, value=None, samples=0, status="inconclusive", ci95=None)
        for s in passed().slos
    ]
