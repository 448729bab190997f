"""The bench's figures as a table for people and as JSON."""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmark.peers import SCENARIOS
from benchmark.rounds import REFERENCE, Figures, Paced


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and smallest and largest behind it."""
    if not values:
        return "-"
    low, middle, high = (f"{v:,.{digits}f}" for v in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def rows(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first column is to the left."""
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]

    def row(cells: Sequence[str]) -> str:
        padded = [
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * w if i == 0 else "-" * (w - 1) + ":") for i, w in enumerate(widths)]
    return "\n".join([row(heads), row(rule), *map(row, lines)])


def flat_out_table(figures: Sequence[Figures]) -> str:
    """Fastest first, with the ratio to wrk of this run."""
    reference = next((f for f in figures if f.tool == REFERENCE and f.rates), None)
    lines = []
    for f in sorted(figures, key=lambda f: -median(f.rates or [0.0])):
        ratio = f"{median(f.rates) / median(reference.rates):.2f}" if reference and f.rates else "-"
        cost = (
            f"{median(f.cpu_per_10k) / median(reference.cpu_per_10k):.2f}"
            if reference and f.cpu_per_10k
            else "-"
        )
        lines.append(
            [f.tool, f.kind, spread(f.rates), ratio, spread(f.cpu_per_10k, 3), cost, spread(f.peak_mb, 0)]
        )
    heads = ["tool", "in", "requests/s", f"÷ {REFERENCE}", "CPU s per 10,000", f"÷ {REFERENCE}", "peak MB"]
    notes = [f"{f.tool}: {f.note}" for f in figures if f.note]
    return "\n".join([rows(heads, lines), *notes])


def paced_table(paced: Sequence[Paced]) -> str:
    lines = [
        [
            p.tool, f"{p.rate:,}", spread(p.achieved), spread(p.lag_p50, 3), spread(p.lag_p99, 3),
            spread(p.own_lag_p99, 3), spread(p.cpu_per_10k, 3),
        ]
        for p in sorted(paced, key=lambda p: (p.rate, median(p.lag_p99 or [1e9])))
    ]  # fmt: skip
    heads = ["tool", "rate", "achieved", "lag p50 ms", "lag p99 ms", "as it says", "CPU s per 10,000"]
    return rows(heads, lines)


def text(
    flat: Mapping[str, Sequence[Figures]],
    paced: Sequence[Paced],
    memory: Mapping[str, Sequence[tuple[float, float]]],
) -> str:
    """All of it."""
    parts = [f"## {SCENARIOS[scenario]}\n\n{flat_out_table(figures)}" for scenario, figures in flat.items()]
    if paced:
        parts.append(f"## Send lag at fixed rates\n\n{paced_table(paced)}")
    for build, series in memory.items():
        if series:
            marks = [series[round(i * (len(series) - 1) / 5)] for i in range(6)]
            parts.append(
                f"Memory of {build}, MB at s: " + ", ".join(f"{mb:.1f} at {at:.0f}" for at, mb in marks)
            )
    return "\n\n".join(parts)


def machine() -> dict[str, Any]:
    """Where and when."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "cpu": model, "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}", "load_average": os.getloadavg(),
    }  # fmt: skip


def versions(programs: Mapping[str, str]) -> dict[str, str]:
    """What each program says it is, in its first line."""
    said = {}
    for name, path in programs.items():
        for word in ("--version", "version", "-version"):
            done = subprocess.run([path, word], capture_output=True, text=True, check=False, timeout=30)
            lines = [line for line in (done.stdout or done.stderr).splitlines() if line.strip()]
            if done.returncode == 0 and lines:
                said[name] = lines[0][:80]
                break
    return said


def to_json(
    flat: Mapping[str, Sequence[Figures]],
    paced: Sequence[Paced],
    memory: Mapping[str, Sequence[tuple[float, float]]],
) -> dict[str, Any]:
    return {
        "flat_out": {s: [dataclasses.asdict(f) for f in figures] for s, figures in flat.items()},
        "paced": [dataclasses.asdict(p) for p in paced],
        "memory_mb": {build: list(series) for build, series in memory.items()},
    }
