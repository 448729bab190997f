"""The page of a comparison, in the dress of the run report's: tables alone, and no script at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtool import __version__
from loadtool.judge.compare_gate import GateFinding
from loadtool.judge.comparison import Comparison
from loadtool.measure.result import Result
from loadtool.report import comparison as said
from loadtool.report import digest, figures
from loadtool.report.html.page import own, template, when
from loadtool.report.html.tables import Cell, Column, Table

_TONES: Final = {"better": "pass", "same": "", "worse": "fail", "can't tell": "dim"}
_GATE_TONES: Final = {"failed": "fail", "undecidable": "inconclusive", "passed": "pass"}  # the worst first
_PARTS: Final = (("worse", "worse"), ("can't tell", "unsure"), ("same", "same"), ("better", "better"))
# What was decided stands beside the name of the figure, where a phone shows it.
_FIGURES: Final = (
    Column("figure", number=False),
    Column("judged", number=False),
    Column("baseline"),
    Column("candidate"),
    Column("change"),
    Column("95% interval"),
    Column("real"),
)
_GATES: Final = (Column("decision", number=False), Column("gate, and why", number=False))


def render(comparison: Comparison, gates: Sequence[GateFinding]) -> str:
    """One HTML file that needs no other."""
    labels: list[str] = [d.label for d in comparison.differences]
    decided = [gate.decision for gate in said.gates(gates)]
    decision = next((d for d in _GATE_TONES if d in decided), "")
    tone = _GATE_TONES.get(decision, "")
    text = template("comparison.html.j2").render(
        name=digest.name(comparison.candidate[0]),
        tone=tone,
        chip=f"{figures.plural(len(decided), 'gate')}: {_counted(decided)}" if decided else "",
        symbol=digest.SYMBOLS.get(tone, ""),
        headline=said.headline(comparison),
        tiles=[(label, labels.count(label), kind) for label, kind in _PARTS],
        sides=[("baseline", _runs(comparison.baseline)), ("candidate", _runs(comparison.candidate))],
        remarks=said.remarks(comparison),
        tables=[*_gates(gates), *((_title(t.title), _table(t)) for t in said.tables(comparison))],
        style=own("page.css"),
        loadtool=__version__,
    )
    return text.lstrip("\n").rstrip("\n") + "\n"


def _counted(decided: Sequence[str]) -> str:
    return ", ".join(f"{decided.count(d)} {d}" for d in _GATE_TONES if d in decided)


def _runs(results: Sequence[Result]) -> str:
    return "; ".join(f"{when(r.started)}, {said.became(r)}".rstrip(", ") for r in results)


def _title(title: str) -> str:
    """A phase's table says that it is one, since phases are called `baseline`, too."""
    return f"{title[:1].upper()}{title[1:]}" if " " in title else f"During {title}"


def _table(table: said.Table) -> Table:
    rows = tuple(
        (
            Cell(row.metric, strong=True),
            Cell(f"{said.SYMBOLS[row.label]} {row.label}", _TONES[row.label], strong=row.label == "worse"),
            *(Cell(text or "–") for text in row.cells[1:-1]),
        )
        for row in table.rows
    )
    return Table("", _FIGURES, rows, notes=tuple(table.notes))


def _gates(findings: Sequence[GateFinding]) -> list[tuple[str, Table]]:
    rows = tuple(
        (
            Cell(gate.decision, _GATE_TONES[gate.decision], strong=True),
            Cell(gate.text, notes=(gate.why,), strong=True),
        )
        for gate in said.gates(findings)
    )
    return [("Gates", Table("", _GATES, rows, named_by=1))] if rows else []
