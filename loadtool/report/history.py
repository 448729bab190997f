"""The last runs of each profile as a trend table: for the terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from loadtool.measure.result import Result
from loadtool.report import digest, figures
from loadtool.report.grid import Column, heading, printed, table
from loadtool.report.text import clean

TREND: Final = 0.05  # relative: a smaller step from one run to the next is drawn as none
_BARS: Final = "▁▂▃▄▅▆▇█"
_ORDER: Final = "oldest to newest"
_GONE: Final = "×"  # in a sparkline: beyond every answer, or nothing measured
_STYLES: Final = {"pass": "green", "fail": "red", "inconclusive": "yellow", "invalid": "yellow"}
_GRID: Final = (
    Column("start", left=True),
    Column("verdict", left=True),
    Column("p50"),
    Column("p99"),
    Column("goodput"),
    Column("errors"),
    Column("overload", left=True, drop=1),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One run. Quantiles in ms, None if infinite or nothing was measured; goodput per second."""

    profile: str
    file: str
    started: str
    verdict: str
    p50_ms: float | None
    p99_ms: float | None
    goodput_per_s: float
    error_rate: float | None
    overload: str | None
    measured: bool  # some arrival was not shed

    @classmethod
    def of(cls, result: Result, file: str) -> Entry:
        """The figures are those of the whole run."""
        totals = result.totals
        errors = sum(totals.errors.values())
        return cls(
            profile=digest.name(result),
            file=file,
            started=result.started,
            verdict=result.verdict or "not judged",
            p50_ms=totals.latency_ms.p50,
            p99_ms=totals.latency_ms.p99,
            goodput_per_s=totals.goodput_per_s,
            error_rate=errors / totals.scheduled if totals.scheduled else None,
            overload=result.overload.verdict if result.overload is not None else None,
            measured=totals.scheduled > totals.shed,
        )


def grouped(entries: Iterable[Entry], limit: int) -> dict[str, list[Entry]]:
    """The last `limit` runs of each profile, oldest first; the profile that ran last comes last."""
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.started):
        groups.setdefault(entry.profile, []).append(entry)
    last = {name: runs[-limit:] for name, runs in groups.items()}
    return dict(sorted(last.items(), key=lambda item: item[1][-1].started))


def terminal(groups: dict[str, list[Entry]], *, width: int, color: bool) -> str:
    """A table a profile."""
    parts: list[RenderableType] = []
    for name, runs in groups.items():
        if parts:
            parts.append(Text())
        parts.append(heading(clean(name), width))
        parts.append(table(_GRID, [_row(e, before) for e, before in _pairs(runs)], width))
        if len(runs) > 1:
            parts += [Text(line, style="dim") for line in _trend(runs, width)]
    return printed(parts, width=width, color=color)


def _trend(runs: Sequence[Entry], width: int) -> list[str]:
    """The sparklines in `width` cells: in one line, else one each, of no more runs than there is room for."""
    lines: list[tuple[str, list[float | None]]] = [
        ("p99", [e.p99_ms for e in runs]), ("goodput", [e.goodput_per_s for e in runs])
    ]  # fmt: skip
    whole = f"{_ORDER}: " + "   ".join(f"{label} {sparkline(values)}" for label, values in lines)
    if len(whole) <= width:
        return [whole]
    longest = max(len(label) for label, _ in lines)
    room = max(width - longest - 1, 1)
    order = _ORDER if len(runs) <= room else f"the last {room}, {_ORDER}"
    return [f"{order}:", *(f"{label:<{longest}} {sparkline(values[-room:])}" for label, values in lines)]


def _pairs(runs: Sequence[Entry]) -> list[tuple[Entry, Entry | None]]:
    return list(zip(runs, [None, *runs[:-1]], strict=True))


def _row(e: Entry, before: Entry | None) -> list[Text | str]:
    moved = [("", "", "")] if before is None else []
    if before is not None:
        moved = [
            (
                arrow(before.p50_ms, e.p50_ms),
                arrow(before.p99_ms, e.p99_ms),
                arrow(before.goodput_per_s, e.goodput_per_s),
            )
        ]
    ((p50, p99, goodput),) = moved
    return [
        e.started[:19].replace("T", " "),
        Text(clean(e.verdict), style=_STYLES.get(e.verdict, "")),
        f"{figures.duration(e.p50_ms, failed=e.measured)} {p50 or ' '}",
        f"{figures.duration(e.p99_ms, failed=e.measured)} {p99 or ' '}",
        f"{figures.rate(e.goodput_per_s)} {goodput or ' '}",
        figures.share(e.error_rate),
        e.overload or "",
    ]


def arrow(before: float | None, now: float | None) -> str:
    """↑ or ↓ for a step of `TREND` and more; from and to infinity (None) as well."""
    if before == now:
        return "→"
    if before is None or now is None:
        return "↑" if now is None else "↓"
    if before == 0 or abs(now / before - 1) >= TREND:
        return "↑" if now > before else "↓"
    return "→"


def sparkline(values: Sequence[float | None]) -> str:
    """A bar a value, from 0 to the largest."""
    most = max((v for v in values if v is not None), default=0.0)
    return "".join(
        _GONE if v is None else _BARS[min(int(v / most * len(_BARS)), len(_BARS) - 1)] if most else _BARS[0]
        for v in values
    )


def data(groups: dict[str, list[Entry]], broken: Sequence[str]) -> str:
    """For programs: `format` 1."""
    runs = [
        {k: v for k, v in asdict(e).items() if k != "measured"} for group in groups.values() for e in group
    ]
    return json.dumps({"format": 1, "runs": runs, "broken": list(broken)}, indent=1, ensure_ascii=False)
