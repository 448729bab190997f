"""Conservation, checked on a finished result: scheduled = ok + shed + errors, and the parts add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from loadtool.measure.outcome import CLASSES
from loadtool.measure.population import from_result, pool
from loadtool.measure.result import Cell, Figures, Result, Slice
from loadtool.measure.spike import Step
from loadtool.measure.tally import ONE_EACH

Counted = Cell | Figures | Slice | Step
_SUMMED = ("scheduled", "ok", "shed", "good", "attempts")


def violations(result: Result) -> list[str]:
    """What does not add up, in words; empty for a sound result. Raises UsageError if it is unreadable."""
    places: list[tuple[str, Counted]] = [
        ("totals", result.totals),
        *((f"phase {p.name}", p) for p in result.phases),
        *((f"request {r.name}", r) for r in result.requests),
        *((f"slice {s.t:g} s", s) for s in result.series),
        *((f"step {s.start_s:g} s", s) for s in result.steps),
        *((f"cut load, {s.start_s:g} s", s) for cut in result.cut_load for s in cut.steps),
        *((f"cell {c.phase} {'+'.join(c.faults)} {c.request}", c) for c in result.cells),
    ]
    found = []
    for name, counted in places:
        ended = counted.ok + counted.shed + sum(counted.errors.values())
        if counted.scheduled != ended:
            found.append(f"{name}: {counted.scheduled} scheduled, {ended} ended")
    whole = _sum([result.totals])
    parts: dict[str, Iterable[Counted]] = {
        "phases": result.phases, "requests": result.requests, "series": result.series, "cells": result.cells,
        "steps": result.steps or [result.totals],  # files of older versions have none
    }  # fmt: skip
    for name, figures in parts.items():
        found += [
            f"{name}: {key} add up to {_sum(figures)[key]}, totals say {whole[key]}"
            for key in sorted(whole.keys() | _sum(figures).keys())
            if _sum(figures)[key] != whole[key]
            and not (key.startswith("client.") and name in ("series", "steps"))  # those have none
        ]
    books = pool(from_result(result).items())
    for code, outcomes in ONE_EACH:
        ended = sum(books.counts[o] for o in outcomes)
        timed = books.histogram(code).total
        if timed != ended:
            found.append(f"histograms: {timed} times for {ended} answers of class {CLASSES[code]}")
    return found


def _sum(figures: Iterable[Counted]) -> Counter[str]:
    total: Counter[str] = Counter()
    for f in figures:
        if isinstance(f, Cell | Figures):
            total.update({f"client.{mark}": count for mark, count in f.client.items()})
        total.update({name: getattr(f, name) for name in _SUMMED})
        total.update({f"errors.{kind}": count for kind, count in f.errors.items()})
    return total
