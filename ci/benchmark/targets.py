"""The targets for loadtool's speed, and whether the kept figures meet them.

A target is met, not met, or not shown: without figures nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmark.peers import SCENARIOS

MET, NOT_MET, NOT_SHOWN = "met", "not met", "not shown"
COMPILED, PLAIN, WRK, LOCUST = "compiled", "plain", "wrk", "locust"
KEPT = 0.98  # of its rate: what left less often was not sent on that schedule
NEARLY_TWICE = 1.8
A_FEW_MB = 5.0
SOAK_S, SOAK_RATE = 600, 10_000
MANY = 10_000
FULL = 0.95  # of a core: the server was what ended it

Parts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """A figure beside its target; `text` is empty if there is none."""

    text: str
    status: str

    def __str__(self) -> str:
        return f"{self.text}: {self.status}" if self.text else self.status


@dataclass(frozen=True)
class Target:
    """One thing to reach. `cells`: one by scenario or rate, or one alone."""

    text: str
    cells: Sequence[Cell]


ABSENT: Final = Cell("", NOT_SHOWN)


def rows_of(parts: Parts, part: str) -> list[Mapping[str, Any]]:
    return list(parts.get(part, {}).get("figures", []))


def middle(rows: Iterable[Mapping[str, Any]], tool: str, key: str) -> float | None:
    """A tool's median; None without figures."""
    return next((median(row[key]) for row in rows if row["tool"] == tool and row[key]), None)


def _judged(value: float | None, wanted: float, text: str, *, most: bool = False) -> Cell:
    if value is None:
        return ABSENT
    return Cell(text, MET if (value <= wanted if most else value >= wanted) else NOT_MET)


def _beside(
    rows: Sequence[Mapping[str, Any]],
    tool: str,
    peer: float | None,
    key: str,
    wanted: float,
    *,
    most: bool = False,
    name: str = "",
) -> Cell:
    """A tool's median ÷ a peer's. That it held nothing, where it ran, is not met."""
    mine = middle(rows, tool, key)
    if mine is None and any(row["tool"] == tool for row in rows):
        return Cell("held no rate", NOT_MET)
    if mine is None or not peer:
        return ABSENT
    return _judged(mine / peer, wanted, f"{mine / peer:.2f}{name}", most=most)


def by_scenario(parts: Parts) -> list[Target]:
    """Ratios within a scenario's rounds."""

    def row(text: str, cell: Callable[[list[Mapping[str, Any]]], Cell]) -> Target:
        return Target(text, [cell(rows_of(parts, scenario)) for scenario in SCENARIOS])

    def rate(tool: str, wanted: float) -> Callable[[list[Mapping[str, Any]]], Cell]:
        return lambda rows: _beside(rows, tool, middle(rows, WRK, "rates"), "rates", wanted)

    def best_go(rows: list[Mapping[str, Any]]) -> Cell:
        found = [(median(r["rates"]), r["tool"]) for r in rows if r["kind"] == "Go" and r["rates"]]
        best, name = max(found, default=(None, ""))
        return _beside(rows, COMPILED, best, "rates", 2.5, name=f" × {name}")

    return [
        row("compiled ÷ wrk, requests/s: ≥ 0.9", rate(COMPILED, 0.9)),
        row("as the aim: ≥ 1.0", rate(COMPILED, 1.0)),
        row("plain ÷ wrk, requests/s: ≥ 0.7", rate(PLAIN, 0.7)),
        row(
            "compiled ÷ wrk, CPU s per 10,000: ≤ 1.25",
            lambda rows: _beside(
                rows, COMPILED, middle(rows, WRK, "cpu_per_10k"), "cpu_per_10k", 1.25, most=True
            ),
        ),
        row("compiled ÷ best Go tool, requests/s: ≥ 2.5", best_go),
        row(
            "compiled ÷ locust, requests/s: ≥ 10",
            lambda rows: _beside(rows, COMPILED, middle(rows, LOCUST, "rates"), "rates", 10),
        ),
    ]


def rates(parts: Parts) -> list[int]:
    return sorted({row["rate"] for row in rows_of(parts, "paced")})


def send_lag(parts: Parts) -> Target:
    """p99 of the send lag beside the best peer that kept the same rate; one cell a rate."""
    cells = []
    for rate in rates(parts):
        rows = [row for row in rows_of(parts, "paced") if row["rate"] == rate]
        kept = [row for row in rows if row["achieved"] and median(row["achieved"]) >= KEPT * rate]
        peers = [(median(r["lag_p99"]), r["tool"]) for r in kept if r["tool"] not in (COMPILED, PLAIN)]
        best, name = min(peers, default=(None, ""))
        tried = any(r["tool"] == COMPILED for r in rows)
        mine = middle(kept, COMPILED, "lag_p99")
        if mine is None:
            cells.append(Cell("did not keep the rate", NOT_MET) if tried else ABSENT)
        elif best is None:
            cells.append(Cell("no peer kept the rate", NOT_SHOWN))
        else:
            cells.append(_judged(mine / best, 0.5, f"{mine / best:.2f} × {name}", most=True))
    return Target("compiled ÷ best peer, p99 send lag: ≤ 0.5", cells)


def others(parts: Parts) -> list[Target]:
    """Targets that are no race."""
    return [
        Target(f"two workers on two cores ÷ one on one: ≥ {NEARLY_TWICE}", [_two_workers(parts)]),
        Target(
            f"memory, end of ten minutes at 10,000/s − minute 2: ≤ {A_FEW_MB:g} MB",
            [_flat(parts, build) for build in (COMPILED, PLAIN)],
        ),
        Target(
            f"{MANY:,} requests under way at once, all answered, run valid",
            [_many(parts, build) for build in (COMPILED, PLAIN)],
        ),
        Target("`--help`: < 0.3 s", [_start(parts, b, "help_s", 0.3) for b in (COMPILED, PLAIN)]),
        Target(
            "first request after the start: < 1 s",
            [_start(parts, b, "first_request_s", 1.0) for b in (COMPILED, PLAIN)],
        ),
        Target("embedded Toxiproxy ÷ the real one, requests/s: ≥ 1.0", [_toxiproxy(parts, "plain", 1.0)]),
        Target("the same with a latency toxic: ≥ 0.5", [_toxiproxy(parts, "latency", 0.5)]),
    ]


def _two_workers(parts: Parts) -> Cell:
    rows = rows_of(parts, "workers")
    one, two = (middle([r for r in rows if r["workers"] == n], COMPILED, "rates") for n in (1, 2))
    ended = [r for r in rows if r["tool"] == COMPILED and r["workers"] == 2 and r["server_busy"]]
    apart = parts.get("workers", {}).get("apart", False)
    if one is None or two is None:
        return Cell("held no rate", NOT_MET) if any(r["tool"] == COMPILED for r in rows) else ABSENT
    cell = _judged(two / one, NEARLY_TWICE, f"{two / one:.2f}")
    cores = parts["workers"].get("target_cores", 1)
    if apart and cell.status == NOT_MET and median(ended[0]["server_busy"]) >= FULL * cores:
        return Cell(f"{cell.text}, ended by the target", NOT_SHOWN)
    return cell


def _of(parts: Parts, part: str, build: str) -> Mapping[str, Any] | None:
    return next((row for row in rows_of(parts, part) if row["tool"] == build), None)


def _flat(parts: Parts, build: str) -> Cell:
    """Of every process of a run long enough; one that grew is enough to fail."""
    row = _of(parts, "soak", build)
    if row is None or row["rate"] < SOAK_RATE or row["seconds"] < SOAK_S or "marks_mb" not in row:
        return ABSENT
    if row["verdict"] != "pass":
        return Cell(f"{build}: the run was {row['verdict']}", NOT_SHOWN)
    before, after = row["marks_mb"]["minute 2"], row["marks_mb"]["end"]
    grown = {name: after[name] - before[name] for name in before if name in after}
    if not grown:
        return ABSENT
    words = ", ".join(f"{name} {mb:+.1f}" for name, mb in sorted(grown.items()))
    return _judged(max(grown.values()), A_FEW_MB, f"{build}: {words} MB", most=True)


def _many(parts: Parts, build: str) -> Cell:
    row = _of(parts, "connections", build)
    if row is None or "at_once" not in row:
        return ABSENT
    well = row["verdict"] == "pass" and row["ok"] == row["scheduled"] and row["at_once"] >= MANY
    said = f"{build}: {row['at_once']:,}, {row['verdict']}"
    return Cell(said, MET if well else NOT_MET)


def _start(parts: Parts, build: str, key: str, wanted: float) -> Cell:
    value = middle(rows_of(parts, "startup"), build, key)
    return _judged(value, wanted, f"{build}: {value or 0:.2f} s", most=True)


def _toxiproxy(parts: Parts, kind: str, wanted: float) -> Cell:
    found = parts.get("toxiproxy", {}).get("figures") or {}
    value = found.get("ratios", {}).get(kind)
    return _judged(value, wanted, f"{value or 0:.2f}")
