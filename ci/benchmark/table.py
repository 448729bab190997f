"""The bench's figures as Markdown tables, from the JSON that is kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmark import targets
from benchmark.about import about_text
from benchmark.peers import SCENARIOS
from benchmark.targets import Parts, Target, rows_of

REFERENCE = targets.WRK
COLUMNS = {
    "simple": "keep-alive",
    "unique": "unique header",
    "tls": "TLS",
    "connect": "new connections",
    "mix": "mix",
}


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


def flat_out_table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Fastest first, with the ratio to wrk of this run."""
    lines = [
        [
            f["tool"], f["kind"], spread(f["rates"]), ratio_to_wrk(figures, f, "rates"),
            spread(f["cpu_per_10k"], 3), ratio_to_wrk(figures, f, "cpu_per_10k"),
            f"{median(f['server_busy']):.0%}" if f["server_busy"] else "-", spread(f["peak_mb"]),
        ]
        for f in sorted(figures, key=lambda f: -median(f["rates"] or [0.0]))
    ]  # fmt: skip
    heads = [
        "tool", "in", "requests/s", f"÷ {REFERENCE}", "CPU s per 10,000", f"÷ {REFERENCE}", "nginx's core",
        "peak MB",
    ]  # fmt: skip
    return "\n".join([rows(heads, lines), *_notes(figures)])


def ratio_to_wrk(figures: Sequence[Mapping[str, Any]], row: Mapping[str, Any], key: str) -> str:
    reference = targets.middle(figures, REFERENCE, key)
    return f"{median(row[key]) / reference:.2f}" if reference and row[key] else "-"


def _notes(figures: Iterable[Mapping[str, Any]]) -> list[str]:
    notes = [f"{f['tool']}{_at(f)}: {f['note']}" for f in figures if f["note"]]
    return ["", *(f"- {note}" for note in notes)] if notes else []


def _at(row: Mapping[str, Any]) -> str:
    return f" at {row['rate']:,}/s" if "rate" in row else ""


def paced_table(paced: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            p["tool"], f"{p['rate']:,}", spread(p["achieved"]), spread(p["lag_p50"], 3),
            spread(p["lag_p99"], 3), spread(p["own_lag_p99"], 3), spread(p["cpu_per_10k"], 3),
            spread(p["peak_mb"]),
        ]
        for p in sorted(paced, key=lambda p: (p["rate"], median(p["lag_p99"] or [1e9])))
    ]  # fmt: skip
    heads = [
        "tool", "rate", "achieved", "lag p50 ms", "lag p99 ms", "as it says", "CPU s per 10,000", "peak MB",
    ]  # fmt: skip
    return "\n".join([rows(heads, lines), *_notes(paced)])


def memory_text(row: Mapping[str, Any]) -> str:
    """One build's memory over a run at a steady rate."""
    series = row.get("series", [])
    marks = [series[round(i * (len(series) - 1) / 5)] for i in range(6)] if series else []
    lines = [f"{row['tool']}, MB at s: " + ", ".join(f"{mb:.1f} at {at:.0f}" for at, mb in marks)]
    for when, processes in row.get("marks_mb", {}).items():
        lines.append(f"- {when}: " + ", ".join(f"{name} {mb:.1f}" for name, mb in processes.items()))
    return "\n".join([*lines, *_notes([row])])


def workers_text(part: Mapping[str, Any]) -> str:
    figures = part["figures"]
    lines = []
    for f in figures:
        one = targets.middle([r for r in figures if r["workers"] == 1], f["tool"], "rates")
        twice = f"{median(f['rates']) / one:.2f}" if one and f["rates"] else "-"
        lines.append(
            [
                f["tool"], str(f["workers"]), spread(f["rates"]), twice, spread(f["cpu_per_10k"], 3),
                f"{median(f['server_busy']):.2f}" if f["server_busy"] else "-",
            ]
        )  # fmt: skip
    how = (
        "The target has cores of its own."
        if part["apart"]
        else "Too few cores for a target apart: each has one worker and one nginx worker, so both grow alike."
    )
    heads = ["tool", "workers, cores", "requests/s", "÷ one", "CPU s per 10,000", "nginx, cores"]
    return "\n".join([how, "", rows(heads, lines), *_notes(figures)])


def many_text(figures: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            f["tool"], f"{f['at_once']:,}", f"{f['scheduled']:,}", f"{f['ok']:,}", f["verdict"],
            f"{f['lag_p99_ms']:.1f}", f"{f['peak_mb']:.0f}",
        ]
        for f in figures
        if "at_once" in f
    ]  # fmt: skip
    heads = ["tool", "under way at once", "requests", "ok", "verdict", "lag p99 ms", "peak MB"]
    return "\n".join([rows(heads, lines), *_notes(figures)])


def startup_text(figures: Sequence[Mapping[str, Any]]) -> str:
    lines = [[f["tool"], spread(f["help_s"], 3), spread(f["first_request_s"], 3)] for f in figures]
    return "\n".join([rows(["tool", "--help, s", "first request, s"], lines), *_notes(figures)])


def toxiproxy_text(part: Mapping[str, Any]) -> str:
    figures = part.get("figures")
    if not figures:
        return str(part["note"])
    lines = [[name, spread(values)] for name, values in figures["requests_per_second"].items()]
    return rows(["way", "requests/s"], lines)


def target_tables(parts: Parts) -> str:
    """What was to be reached, and whether it was."""

    def table(first: str, columns: Sequence[str], found: Sequence[Target]) -> str:
        lines = [[t.text, *map(str, t.cells)] for t in found]
        return rows([first, *columns], lines)

    tables = [table("to reach", [COLUMNS[s] for s in SCENARIOS], targets.by_scenario(parts))]
    rates = targets.rates(parts)
    columns = [f"{rate:,}/s" for rate in rates] or ["any rate"]
    lag = targets.send_lag(parts)
    tables.append(table("to reach", columns, [lag if rates else Target(lag.text, [targets.ABSENT])]))
    plain = [Target(t.text, [_together(t)]) for t in targets.others(parts)]
    tables.append(table("to reach", ["measured"], plain))
    return "\n\n".join(tables)


class _Joined(targets.Cell):
    """Several cells in one."""

    def __str__(self) -> str:
        return self.text


def _together(target: Target) -> targets.Cell:
    if all(cell == targets.ABSENT for cell in target.cells):
        return targets.ABSENT
    return _Joined("; ".join(map(str, target.cells)), "")


def full_text(parts: Parts) -> str:
    """All of it."""
    found = [(SCENARIOS[s], flat_out_table(parts[s]["figures"])) for s in SCENARIOS if s in parts]
    if figures := rows_of(parts, "paced"):
        found.append(("Send lag at fixed rates", paced_table(figures)))
    elif "paced" in parts:
        found.append(("Send lag at fixed rates", parts["paced"]["note"]))
    for part, title in (("memory", "Memory at a steady rate"), ("soak", "Memory over a long run")):
        if part in parts:
            found.append((title, "\n\n".join(map(memory_text, parts[part]["figures"]))))
    if "workers" in parts:
        found.append(("A second worker", workers_text(parts["workers"])))
    if "connections" in parts:
        found.append(("Many connections at once", many_text(parts["connections"]["figures"])))
    if "startup" in parts:
        found.append(("Start-up", startup_text(parts["startup"]["figures"])))
    if "toxiproxy" in parts:
        found.append(("Toxiproxy", toxiproxy_text(parts["toxiproxy"])))
    found.append(("Targets", target_tables(parts)))
    return "\n\n".join([about_text(parts), *(f"## {title}\n\n{text}" for title, text in found)])
