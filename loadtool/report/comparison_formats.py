"""A comparison as a terminal page, markdown and JSON; as HTML it is a page of report/html."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from loadtool.judge.compare_gate import GateFinding
from loadtool.judge.comparison import Comparison
from loadtool.measure.result import Result
from loadtool.report import comparison as said
from loadtool.report.grid import Column, heading, pairs, printed, table
from loadtool.report.html import comparison as html
from loadtool.report.markdown import escape
from loadtool.report.text import clean

_STYLES: Final = {"better": "green", "worse": "red", "same": "", "can't tell": "dim"}
_GATE_STYLES: Final = {"failed": "bold red", "passed": "green", "undecidable": "yellow"}
_ICONS: Final = {"better": "🟢", "worse": "🔴", "same": "⚪", "can't tell": "❔"}
_GATE_ICONS: Final = {"failed": "❌", "passed": "✅", "undecidable": "❔"}
_GRID: Final = (
    Column("figure", left=True),
    Column("baseline"),
    Column("candidate"),
    Column("change"),
    Column("95% interval", drop=2),
    Column("real", drop=1),
    Column("", text=True),
)


def terminal(comparison: Comparison, gates: Sequence[GateFinding], *, width: int, color: bool) -> str:
    """The page within `width` cells."""
    parts: list[RenderableType] = [heading("Compared with the baseline", width)]
    parts.append(pairs([*said.sides(comparison), ("figures", said.headline(comparison))]))
    for t in said.tables(comparison):
        parts += [Text(), Text(t.title, style="bold")]
        parts.append(table(_GRID, [_cells(row) for row in t.rows], width))
        parts += [Text(clean(note), style="dim") for note in t.notes]
    if gates:
        parts += [Text(), heading("Gates", width)]
        for gate in said.gates(gates):
            line = Text.assemble((f"{gate.decision:<11} ", _GATE_STYLES[gate.decision]), clean(gate.text))
            parts.append(line.append(f": {clean(gate.why)}"))
    parts.append(Text())
    parts += [Text(clean(remark), style="dim") for remark in said.remarks(comparison)]
    return printed(parts, width=width, color=color)


def _cells(row: said.Row) -> list[Text | str]:
    *figures, label = row.cells
    return [*figures, Text(f"{said.SYMBOLS[row.label]} {clean(label)}", style=_STYLES[row.label])]


def markdown(comparison: Comparison, gates: Sequence[GateFinding]) -> str:
    """A section for a pull request."""
    parts = ["## Compared with the baseline", escape(said.headline(comparison))]
    parts.append("\n".join(f"- {escape(label)}: {escape(text)}" for label, text in said.sides(comparison)))
    for t in said.tables(comparison):
        lines = [_line(said.COLUMNS), _line((":--", *["--:"] * (len(said.COLUMNS) - 2), ":--"))]
        lines += [_line((*map(escape, row.cells[:-1]), _marked(row))) for row in t.rows]
        parts += [f"### {escape(t.title)}", "\n".join(lines)]
        parts += [f"<sub>{escape(note)}</sub>" for note in t.notes]
    if gates:
        lines = [_line(("", "gate", "")), _line(("--",) * 3)]
        lines += [
            _line((f"{_GATE_ICONS[g.decision]} {g.decision}", escape(g.text), escape(g.why)))
            for g in said.gates(gates)
        ]
        parts += ["### Gates", "\n".join(lines)]
    parts += [f"<sub>{escape(remark)}</sub>" for remark in said.remarks(comparison)]
    return "\n\n".join(parts) + "\n"


def _marked(row: said.Row) -> str:
    return f"{_ICONS[row.label]} {escape(row.cells[-1])}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def data(comparison: Comparison, gates: Sequence[GateFinding]) -> str:
    """For programs: `format` 1. Infinite figures are null beside `infinite`."""
    document = {
        "format": 1,
        "method": comparison.method,
        "notes": list(comparison.notes),
        "baseline": [_run(r) for r in comparison.baseline],
        "candidate": [_run(r) for r in comparison.candidate],
        "profile": [asdict(c) for c in comparison.changed],
        "figures": [
            {
                **{key: _finite(v) for key, v in asdict(d).items()},
                "infinite": [side for side in ("baseline", "candidate") if _infinite(getattr(d, side))],
            }
            for d in comparison.differences
        ],
        "gates": [
            {
                "text": f.gate.text,
                "decision": f.decision,
                "why": f.why,
                "where": None if f.difference is None else f.difference.where,
            }
            for f in gates
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _run(result: Result) -> dict[str, Any]:
    return {
        "started": result.started,
        "verdict": result.verdict,
        "overload": None if result.overload is None else result.overload.verdict,
        "name": result.profile.get("name"),
        "target": result.profile.get("target"),
        "seed": result.seed,
    }


def _infinite(value: float | None) -> bool:
    return value is not None and math.isinf(value)


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# What the command line writes, by the name of its option.
FORMATS: Final[dict[str, Callable[[Comparison, Sequence[GateFinding]], str]]] = {
    "json": data,
    "markdown": markdown,
    "html": html.render,
}
