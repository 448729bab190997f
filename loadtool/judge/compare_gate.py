"""Gates of a comparison: `METRIC worse by AMOUNT [during PHASE]`, parsed and decided.

A gate *holds* (the candidate fails it) if the figure is worse by at least the amount, and worse for certain
(`compare.REAL`). It is *clear* if the 95 % interval of the difference ends before the amount. Between the two
it is *undecidable*: the runs were too short, too few or too unlike each other to tell.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from loadtool import units
from loadtool.errors import UsageError, shown
from loadtool.judge.compare import REAL, Comparer
from loadtool.judge.compare_metrics import METRICS, SPIKE_METRICS, Metric, SpikeMetric, quantile
from loadtool.judge.compare_sample import OVERALL
from loadtool.judge.comparison import Difference
from loadtool.judge.words import number
from loadtool.measure.result import Result
from loadtool.profile.slo import Kind

Decision = Literal["holds", "clear", "undecidable"]
Unit = Literal["%", "pp", "ms", "/s"]
_GATE: Final = re.compile(r"(?P<metric>.+?)\s+worse\s+by\s+(?P<amount>.*?)(?:\s+during\s+(?P<during>\S.*))?")
_QUANTILE: Final = re.compile(r"(ok )?p([0-9]{1,2}(?:\.[0-9]{1,12})?)", re.ASCII)
_EXAMPLE: Final = "want a gate such as 'p99 worse by 10%'"
_CODES: Final[dict[Decision, int]] = {"holds": 1, "undecidable": 3, "clear": 0}


@dataclass(frozen=True, slots=True)
class Gate:
    """`amount`: a share (0.1 of `10%`, 0.005 of `0.5pp`), ms or per second, as `unit` says; above 0."""

    text: str
    metric: Metric | SpikeMetric
    amount: float
    unit: Unit
    during: str | None


@dataclass(frozen=True, slots=True)
class GateFinding:
    gate: Gate
    decision: Decision
    why: str
    difference: Difference | None


def parse_gate(text: str) -> Gate:
    """The gate of a text. Raises ValueError with what came and what was wanted."""
    match = _GATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"got {shown(text)}, {_EXAMPLE}")
    metric = _metric(match["metric"])
    amount, unit = _amount(metric, match["amount"])
    during = match["during"]
    return Gate(text.strip(), metric, amount, unit, during.strip("\"'") if during else None)


def _metric(text: str) -> Metric | SpikeMetric:
    words = " ".join(text.split())
    if found := METRICS.get(words) or SPIKE_METRICS.get(words):
        return found
    if match := _QUANTILE.fullmatch(words):
        q = float(Decimal(match[2]) / 100)
        if 0 < q < 1:
            return quantile(q, ok_only=bool(match[1]))
    known = [*METRICS, *SPIKE_METRICS]
    near = difflib.get_close_matches(words.lower(), known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"got {shown(words)}, want one of {', '.join(known)}{hint}")


def _share(text: str) -> float:
    """Unlike elsewhere, more than 100 % is possible."""
    return _hundredths(text, "%", "a share such as 10%")


def _points(text: str) -> float:
    return _hundredths(text, "pp", "percentage points such as 0.5pp")


def _hundredths(text: str, unit: str, want: str) -> float:
    """0.1 of `10%`. Raises ValueError."""
    body = text.removesuffix(unit).strip()
    try:
        value = float(body)
    except ValueError:
        value = math.nan
    if body == text or not math.isfinite(value):
        raise ValueError(f"got {shown(text)}, want {want}")
    return value / 100


def _ms(text: str) -> float:
    return units.parse_duration(text) / units.MILLISECOND


# Of each kind of metric, the units in which its worsening may be stated: end of the text, unit and reader.
_PERCENT: Final[tuple[str, Unit, Callable[[str], float]]] = ("%", "%", _share)
_AMOUNTS: Final[dict[Kind, tuple[tuple[str, Unit, Callable[[str], float]], ...]]] = {
    "time": (_PERCENT, ("", "ms", _ms)),
    "per_second": (_PERCENT, ("", "/s", units.parse_rate)),
    "share": (("", "pp", _points),),
    "ratio": (_PERCENT,),
}
_WANTED: Final[dict[Kind, str]] = {
    "time": "a share or a time such as 10% or 20ms",
    "per_second": "a share or a rate such as 5% or 20/s",
    "share": "percentage points such as 0.5pp",
    "ratio": "a share such as 10%",
}


def _amount(metric: Metric | SpikeMetric, text: str) -> tuple[float, Unit]:
    for suffix, unit, read in _AMOUNTS[metric.kind]:
        if text.endswith(suffix) and (unit != "%" or metric.scale.logarithmic):
            try:
                amount = read(text)
            except ValueError:
                break
            if amount > 0:
                return amount, unit
            break
    raise ValueError(f"{metric.name} worse by: got {shown(text or None)}, want {_WANTED[metric.kind]}")


def decide(gates: Sequence[Gate], comparer: Comparer) -> list[GateFinding]:
    """Each gate decided. Raises UsageError if one names a phase or spike that no run has."""
    return [_decide(gate, comparer) for gate in gates]


def exit_code(findings: Sequence[GateFinding]) -> int:
    """1 if any gate holds, else 3 if any is undecidable, else 0."""
    codes = {_CODES[f.decision] for f in findings}
    return next((code for code in (1, 3) if code in codes), 0)


def check(gates: Sequence[Gate], first: Result) -> None:
    """Raises UsageError if a gate names a phase or spike that the first run of the baseline has not."""
    for gate in gates:
        _places(gate, first)


def _decide(gate: Gate, comparer: Comparer) -> GateFinding:
    metric = gate.metric
    places = _places(gate, comparer.baseline[0].result)
    if isinstance(metric, Metric):
        return min((_finding(gate, comparer.difference(metric, p)) for p in places), key=_urgency)
    found = [_finding(gate, comparer.spike_difference(metric, p)) for p in places]
    none = GateFinding(gate, "undecidable", "no spike of the baseline was judged", None)
    return min(found, key=_urgency, default=none)


def _urgency(finding: GateFinding) -> int:
    return ("holds", "undecidable", "clear").index(finding.decision)


def _places(gate: Gate, first: Result) -> list[str]:
    """The phase, or the spikes, that a gate is about."""
    if isinstance(gate.metric, Metric):
        phases = [p.name for p in first.phases]
        if gate.during is not None and gate.during not in phases:
            raise UsageError(f"--fail-if: {gate.text}: got {gate.during}, want one of {', '.join(phases)}")
        return [gate.during or OVERALL]
    spikes = first.overload.spikes if first.overload is not None else []
    named = [f.name for f in spikes if gate.during in (None, f.name, *f.phases, *f.recovery)]
    if spikes and not named:
        known = ", ".join(f.name for f in spikes)
        raise UsageError(f"--fail-if: {gate.text}: got {gate.during}, want a phase of a spike: {known}")
    return named


def _finding(gate: Gate, d: Difference) -> GateFinding:
    step, interval = d.worse_by, d.worse_interval
    if step is None or d.baseline is None or d.candidate is None:
        return GateFinding(gate, "undecidable", d.note, d)
    bound = _bound(gate, d)
    if d.note == gate.metric.endless:
        return GateFinding(gate, "undecidable", f"{d.note}: {_remedy(gate)}", d)
    if d.label == "can't tell" and d.note:
        return GateFinding(gate, "undecidable", d.note, d)
    if d.interval is None or d.probability is None:
        # A figure of a spike, one a side: it counts as the same, but nobody knows by how much it may differ.
        if step == 0:
            return GateFinding(gate, "clear", "the same on both sides", d)
        if step < bound:
            return GateFinding(gate, "clear", f"{_told(gate, d, step)}, which makes no difference", d)
        why = f"{_told(gate, d, step)}: one run a side does not show its spread; several a side do"
        return GateFinding(gate, "undecidable", why, d)
    if d.probability >= REAL and step >= bound:
        return GateFinding(gate, "holds", f"{_told(gate, d, step)}, certain to {_certain(d.probability)}", d)
    if interval is not None and interval[1] < bound:
        side = "most" if interval[1] >= 0 else "least"  # the worst that it may be
        reach = "" if _endless(d) else f", at {side} {_told(gate, d, interval[1])}"
        return GateFinding(gate, "clear", f"{_told(gate, d, step)}{reach}", d)
    reach = f", may be {_told(gate, d, interval[1])}" if interval is not None and not _endless(d) else ""
    why = f"{_told(gate, d, step)}{reach}: longer runs or several a side tell more"
    return GateFinding(gate, "undecidable", why, d)


def _remedy(gate: Gate) -> str:
    """What to gate on where the figure is infinite on both sides."""
    if isinstance(gate.metric, SpikeMetric):
        return "a longer recovery phase tells more"
    name = gate.metric.name
    return f"more failed than {name} leaves room for; gate on error rate and 'ok {gate.text}' instead"


def _bound(gate: Gate, d: Difference) -> float:
    """The amount as a change of the difference."""
    if gate.unit in ("%", "pp") or not d.relative:
        return gate.amount
    assert d.baseline is not None
    return gate.amount / d.baseline if d.baseline else math.inf


def _told(gate: Gate, d: Difference, worse: float) -> str:
    """`12% worse`, `3.1 ms better`, in the gate's own unit."""
    word = "worse" if worse >= 0 else "better"
    size = abs(worse)
    if _endless(d):  # then the size is that of the bound which stands for infinity
        return f"∞ {word}"
    match gate.unit:
        case "%":
            return f"{number(size * 100)}% {word}"
        case "pp":
            return f"{number(size * 100)}pp {word}"
        case "ms":
            return f"{number(size * (d.baseline or 0.0) if d.relative else size)} ms {word}"
        case "/s":
            return f"{number(size * (d.baseline or 0.0))}/s {word}"


def _endless(d: Difference) -> bool:
    return any(side is not None and math.isinf(side) for side in (d.baseline, d.candidate))


def _certain(probability: float) -> str:
    return "over 99.9%" if probability >= 0.999 else f"{math.floor(probability * 1000) / 10:g}%"
