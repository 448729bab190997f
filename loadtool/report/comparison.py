"""What every report says of a comparison, in words and formatted figures; each lays it out in its own way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from loadtool.judge.compare_gate import GateFinding
from loadtool.judge.compare_metrics import SPIKE_METRICS
from loadtool.judge.comparison import Comparison, Difference
from loadtool.measure.result import Result
from loadtool.report import figures

COLUMNS: Final = ("figure", "baseline", "candidate", "change", "95% interval", "real", "")
SYMBOLS: Final = {"better": "+", "same": "=", "worse": "-", "can't tell": "?"}
OVERALL: Final = "all phases but warm-ups"
DECIDED: Final = {"holds": "failed", "clear": "passed", "undecidable": "undecidable"}
_CERTAIN: Final = 0.999


@dataclass(frozen=True, slots=True)
class Row:
    metric: str
    baseline: str
    candidate: str
    change: str
    interval: str
    probability: str
    label: str
    note: str

    @property
    def cells(self) -> tuple[str, ...]:
        """As COLUMNS name them."""
        figures = (self.baseline, self.candidate, self.change, self.interval, self.probability)
        return (self.metric, *figures, self.label)


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    rows: tuple[Row, ...]

    @property
    def notes(self) -> list[str]:
        """Why, where a label needs it: each reason once, with the figures that it is about."""
        about: dict[str, list[str]] = {}
        for row in self.rows:
            if row.note:
                about.setdefault(row.note, []).append(row.metric)
        return [
            note if len(metrics) == len(self.rows) else f"{', '.join(metrics)}: {note}"
            for note, metrics in about.items()
        ]


@dataclass(frozen=True, slots=True)
class GateRow:
    text: str
    decision: str  # failed, passed or undecidable
    why: str


def tables(comparison: Comparison) -> list[Table]:
    """One for all, each phase and each spike."""
    found: dict[tuple[str, bool], list[Row]] = {}
    spikes = {f.name for r in comparison.baseline if r.overload is not None for f in r.overload.spikes}
    for d in comparison.differences:
        row = _row(d)
        if d.note in comparison.notes:  # of whole runs, and so of every figure: told once, among the remarks
            row = replace(row, note="")
        found.setdefault((d.where, d.where in spikes and _of_spike(d)), []).append(row)
    return [Table(_title(where, of_spike), tuple(rows)) for (where, of_spike), rows in found.items()]


def _of_spike(d: Difference) -> bool:
    return d.metric in SPIKE_METRICS


def _title(where: str, of_spike: bool) -> str:
    return f"overload in {where}" if of_spike else where or OVERALL


def headline(comparison: Comparison) -> str:
    """How many figures are what."""
    labels = [d.label for d in comparison.differences]
    parts = [f"{labels.count(name)} {name}" for name in SYMBOLS if name in labels]
    return f"{figures.plural(len(labels), 'figure')}: {', '.join(parts)}."


def sides(comparison: Comparison) -> list[tuple[str, str]]:
    """Baseline and candidate: when their runs began and what became of them."""
    return [("baseline", _runs(comparison.baseline)), ("candidate", _runs(comparison.candidate))]


def _runs(results: Sequence[Result]) -> str:
    return "; ".join(", ".join(part for part in (r.started, became(r)) if part) for r in results)


def became(result: Result) -> str:
    """What became of a run: `pass, overload shed`."""
    overload = f"overload {result.overload.verdict}" if result.overload is not None else ""
    return ", ".join(part for part in (result.verdict, overload) if part)


def remarks(comparison: Comparison) -> list[str]:
    """What is worth knowing beside the figures."""
    differing = [f"the profiles differ in {c}" for c in comparison.changed]
    return [*comparison.notes, *differing, f"probabilities are from the {comparison.method}"]


def gates(findings: Sequence[GateFinding]) -> list[GateRow]:
    return [GateRow(f.gate.text, DECIDED[f.decision], f.why) for f in findings]


def _row(d: Difference) -> Row:
    return Row(
        d.metric, value(d, d.baseline), value(d, d.candidate), _change(d, d.change), _interval(d),
        _probability(d.probability), d.label, d.note,
    )  # fmt: skip


def value(d: Difference, number: float | None) -> str:
    """One side's figure in its unit."""
    if number is None:
        return figures.NOTHING
    if math.isinf(number):
        return figures.INFINITE
    match d.kind:
        case "time":
            return figures.duration(number)
        case "share":
            return figures.share(number) if number >= 0 else f"-{figures.share(-number)}"
        case "per_second":
            return figures.rate(number)
    return figures.ratio(number)


def _change(d: Difference, change: float | None) -> str:
    """`+12.3%` of a relative change, `-0.5pp` of a share, `+1.00 s`."""
    if change is None or d.baseline is None or d.candidate is None:
        return ""
    if math.isinf(d.baseline) != math.isinf(d.candidate) and change == d.change:
        return f"+{figures.INFINITE}" if math.isinf(d.candidate) else f"-{figures.INFINITE}"
    if math.isinf(d.baseline):
        return ""
    mark = "+" if change > 0 else "-" if change < 0 else ""
    size = abs(change)
    if d.relative and size > 100:
        return f"{mark}>10,000%"
    if d.relative or d.kind == "share":
        text = f"{size * 100:.1f}" if size < 0.9995 else f"{size * 100:,.0f}"
        return f"{mark if float(text.replace(',', '')) else ''}{text}{'%' if d.relative else 'pp'}"
    return f"{mark}{figures.duration(size)}"


def _interval(d: Difference) -> str:
    if d.interval is None or not all(map(math.isfinite, (d.baseline or 0.0, d.candidate or 0.0))):
        return ""
    low, high = (_change(d, end) for end in d.interval)
    return f"{low} … {high}"


def _probability(probability: float | None) -> str:
    if probability is None:
        return figures.NOTHING
    if probability >= _CERTAIN:
        return ">99.9%"
    return (
        f"{math.floor(probability * 1000) / 10:.1f}%" if probability >= 0.95 else f"{probability * 100:.0f}%"
    )
