"""Verdict: one word, its reasons and its exit code, from a result alone. The first that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtool.judge.case import Case
from loadtool.judge.overload import judge_overload
from loadtool.judge.overload_slo import SPIKE_METRICS
from loadtool.judge.slo import judge_case
from loadtool.judge.validity import invalidities, late_share
from loadtool.judge.words import DIGITS, counted, digits_apart, written
from loadtool.measure.result import Result, SloFigure
from loadtool.profile.slo import Kind

SIGNALS: Final = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


@dataclass(frozen=True, slots=True)
class Verdict:
    verdict: str  # pass, fail, inconclusive, invalid or interrupted
    reasons: tuple[str, ...]
    exit_code: int


def judge(result: Result) -> Verdict:
    """Fill in the result's `overload`, `slos`, `verdict`, `reasons` and `generator.late_share`.

    Returns the verdict. A result read back from its file gets the same. Raises UsageError if its cells, SLOs
    or `capacity` are unreadable.
    """
    case = Case.of(result)
    result.overload, result.no_overload = judge_overload(case)
    result.slos = judge_case(case, result.overload, result.no_overload)
    result.generator.late_share = late_share(case)
    verdict = next(v for rule in RULES if (v := rule(case)) is not None)
    result.verdict, result.reasons = verdict.verdict, list(verdict.reasons)
    return verdict


def _interrupted(case: Case) -> Verdict | None:
    signal = case.result.interrupted
    if signal is None:
        return None
    when = "after the load" if case.result.interrupted_after_load else f"after {case.result.end_s:.1f} s"
    reason = f"interrupted by {signal} {when}"  # alone, unless the run is invalid: reports rely on it
    return Verdict("interrupted", (reason, *invalidities(case)), SIGNALS.get(signal, SIGNALS["SIGINT"]))


def _invalid(case: Case) -> Verdict | None:
    reasons = invalidities(case)
    return Verdict("invalid", tuple(reasons), 3) if reasons else None


def _fail(case: Case) -> Verdict | None:
    reasons = _those(case, "fail")
    if reasons and (aborted := case.result.aborted) is not None:
        first = f"ended early, at {aborted.at_s:.1f} s: {aborted.slo} could no longer be met: {aborted.why}"
        reasons = (first, *(r for r in reasons if not r.startswith(f"{aborted.slo}: ")))
    return Verdict("fail", reasons, 1) if reasons else None


def _inconclusive(case: Case) -> Verdict | None:
    reasons = _those(case, "inconclusive")
    return Verdict("inconclusive", reasons, 3) if reasons else None


def _pass(case: Case) -> Verdict | None:
    number = len(case.slos)
    return Verdict("pass", (f"{counted(number, 'SLO')} met" if number else "no SLOs",), 0)


RULES: Final[tuple[Callable[[Case], Verdict | None], ...]] = (
    _interrupted, _invalid, _fail, _inconclusive, _pass,
)  # fmt: skip


def _those(case: Case, status: str) -> tuple[str, ...]:
    judged = zip(case.slos, case.result.slos, strict=True)
    return tuple(_sentence(figure, slo.kind) for slo, figure in judged if figure.status == status)


def _sentence(slo: SloFigure, kind: Kind) -> str:
    """`p99 < 250ms during baseline: 310 ms (95 % interval 290 ms to 330 ms)`."""
    if slo.metric in SPIKE_METRICS and slo.value is None:
        return f"{slo.text}: {slo.note}"
    digits = DIGITS
    if slo.value is not None:
        digits = digits_apart(kind, slo.value, slo.threshold) or DIGITS
        value = written(kind, slo.value, digits)
    else:
        value = "∞" if slo.samples else "nothing measured"
    said = []
    if slo.ci95:
        low, high = _end(kind, slo.ci95[0], "0", digits), _end(kind, slo.ci95[1], "∞", digits)
        said.append(f"95 % interval {low} to {high}")
    said += [slo.note] if slo.note else []
    return f"{slo.text}: {value}" + (f" ({'; '.join(said)})" if said else "")


def _end(kind: Kind, value: float | None, missing: str, digits: int) -> str:
    return missing if value is None else written(kind, value, digits)
