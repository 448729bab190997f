"""The README's section about speed, from the figures that are kept: no number in it is written by hand."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import Final

from benchmark import targets
from benchmark.about import about_text
from benchmark.peers import SCENARIOS
from benchmark.table import COLUMNS, REFERENCE, ratio_to_wrk, rows, target_tables
from benchmark.targets import FULL, Parts, rows_of

BEGIN: Final = "<!-- speed: written by ci/bench --write-readme -->"
END: Final = "<!-- /speed -->"
LAG: Final = (
    "Of those that keep a schedule: p99 send lag in ms by the packets' time stamps; CPU seconds per 10,000 "
    "requests:"
)


def shown(tool: str) -> str:
    """A tool's name; of loadtool's builds, the whole one."""
    return f"**loadtool, {tool}**" if tool in (targets.COMPILED, targets.PLAIN) else tool


def section(parts: Parts) -> str:
    """What stands between the markers; nothing without figures."""
    return f"\n{readme_text(parts)}\n" if parts else ""


def written(readme: str, parts: Parts) -> str:
    """The README with these figures in its section. Raises ValueError if it has none, or more than one."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"wants exactly one {BEGIN} and one {END}")
    block = f"{BEGIN}{section(parts)}{END}" if parts else f"{BEGIN}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, readme, flags=re.DOTALL)


def write(path: Path, parts: Parts) -> None:
    """Raises ValueError and OSError."""
    path.write_text(written(path.read_text("utf-8"), parts), "utf-8")


def readme_text(parts: Parts) -> str:
    """The README's section."""
    tools = list(dict.fromkeys(f["tool"] for s in SCENARIOS for f in rows_of(parts, s)))
    tools.sort(key=lambda tool: -(targets.middle(rows_of(parts, "simple"), tool, "rates") or 0.0))

    def cell(tool: str, scenario: str) -> str:
        figures = rows_of(parts, scenario)
        value = targets.middle(figures, tool, "rates")
        row = next((f for f in figures if f["tool"] == tool), None)
        return f"{value:,.0f} ({ratio_to_wrk(figures, row, 'rates')})" if value and row else "–"

    race = rows(
        ["requests/s (÷ wrk)", *(COLUMNS[s] for s in SCENARIOS)],
        [[shown(tool), *(cell(tool, s) for s in SCENARIOS)] for tool in tools],
    )
    full = [
        COLUMNS[s]
        for s in SCENARIOS
        if (targets.middle(rows_of(parts, s), REFERENCE, "server_busy") or 0) >= FULL
    ]
    bound = f" wrk fills nginx's core ({', '.join(full)}): there its rate is nginx's." if full else ""
    lag = _lag_table(parts)
    return "\n\n".join(
        [
            "## Speed",
            "Tools in turn on one core, nginx on another, medians; loadtool at the highest open-loop rate "
            f"that it holds with a valid run, the others as fast as they go.{bound}",
            race,
            *([LAG, lag] if lag else []),
            "What was to be reached:",
            target_tables(parts),
            about_text(parts),
            "`ci/bench` measures it on your machine; every figure of this: [ci/bench.json](ci/bench.json).",
        ]
    )


def _lag_table(parts: Parts) -> str:
    paced = rows_of(parts, "paced")
    rates = targets.rates(parts)
    tools = list(dict.fromkeys(row["tool"] for row in paced))

    def cell(tool: str, rate: int) -> str:
        row = next((r for r in paced if r["tool"] == tool and r["rate"] == rate), None)
        if row is None or not row["achieved"]:
            return "–"
        if median(row["achieved"]) < targets.KEPT * rate:
            return f"sent {median(row['achieved']):,.0f}/s"
        cost = f"{median(row['cpu_per_10k']):.2f}" if row["cpu_per_10k"] else "–"
        return f"{median(row['lag_p99']):.2f}; {cost}"

    lines = [[shown(tool), *(cell(tool, rate) for rate in rates)] for tool in tools]
    return rows(["tool", *(f"{rate:,}/s" for rate in rates)], lines) if lines else ""
