"""The run slice by slice as CSV (RFC 4180): a line each, under a header whose names end in their units."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from loadtool.measure.outcome import ERROR_KINDS
from loadtool.measure.result import Result, Slice
from loadtool.report import digest

INFINITE: Final = "inf"  # a quantile that lies among arrivals that failed
JOINT: Final = ";"  # between names: no phase and no fault has one


def render(result: Result) -> str:
    """The whole file. Quantiles of no sample are empty."""
    kinds = _kinds(result)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns(kinds))
    writer.writerows(_row(result, s, kinds) for s in result.series)
    return out.getvalue()


def columns(kinds: Iterable[str]) -> list[str]:
    """The header, with these error kinds."""
    return [
        "t_s", "length_s", "phase", "active_faults", "scheduled", "ok", "shed", "errors",
        *(f"error_{kind}" for kind in kinds),
        "good", "attempts", "in_flight", "p50_ms", "p99_ms", "lag_p99_ms",
    ]  # fmt: skip


def _kinds(result: Result) -> list[str]:
    """Every kind, so that files of different runs have the same columns; a newer version's come last."""
    found = {kind for s in result.series for kind in s.errors}
    return [*ERROR_KINDS, *sorted(found.difference(ERROR_KINDS))]


def _row(result: Result, s: Slice, kinds: Sequence[str]) -> list[object]:
    left = result.elapsed_s - s.t
    length = min(left, result.slice_s) if left > 0 else result.slice_s
    end = s.t + length
    phases = [p.name for p in result.phases if p.start_s < end and s.t < p.end_s]
    faults = [
        fault.name
        for fault in result.faults
        if (window := digest.window(fault, result.elapsed_s)) and window[0] < end and s.t < window[1]
    ]
    return [
        _number(s.t),
        _number(length),
        JOINT.join(dict.fromkeys(phases)),
        JOINT.join(dict.fromkeys(faults)),
        s.scheduled,
        s.ok,
        s.shed,
        sum(s.errors.values()),
        *(s.errors.get(kind, 0) for kind in kinds),
        s.good,
        s.attempts,
        s.in_flight,
        _quantile(s, s.p50),
        _quantile(s, s.p99),
        _number(s.lag_p99),
    ]


def _quantile(s: Slice, ms: float | None) -> str:
    return INFINITE if ms is None and s.scheduled > s.shed else _number(ms)


def _number(value: float | None) -> str:
    """To the microsecond, without digits that say nothing."""
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")
