"""A result with histograms whose every figure is known by arithmetic, and hostile names."""

from __future__ import annotations

from collections.abc import Sequence

from report_samples import HOSTILE

from loadtool.measure.histogram import Histogram
from loadtool.measure.result import (
    Cell,
    Engine,
    FaultFigure,
    Figures,
    HistogramEntry,
    PhaseFigures,
    Result,
    Slice,
)

BROWSE, NASTY = "browse", f"a, b\n/c %2F é {HOSTILE}"


def histogram(values_us: Sequence[int]) -> Histogram:
    made = Histogram()
    for value in values_us:
        made.record(value)
    return made


# By phase, faults, request and class: µs.
VALUES = {
    ("baseline", (), BROWSE, "ok"): [700, 5000, 5000, 5000],
    ("baseline", (), BROWSE, "lag"): [10] * 4,
    ("spike", (), BROWSE, "ok"): [1_000_000],
    ("spike", ("slow",), BROWSE, "ok"): [3_000_000],
    ("spike", ("slow",), NASTY, "failed"): [2_000_000],
}
SLICES = (  # ok, failed, of one second each
    ([700, 5000, 5000, 5000], []),
    ([1_000_000], []),
    ([3_000_000], [2_000_000]),
    ([], []),
)


def known() -> Result:
    """Four slices: 1 s of baseline, 2.5 s of spike with a fault in it and two arrivals without an answer."""
    cells: dict[tuple[str, tuple[str, ...], str], Cell] = {}
    entries = []
    for (phase, faults, request, class_), values in VALUES.items():
        cell = cells.setdefault(
            (phase, faults, request), Cell(phase, list(faults), request, 1.0, 0, 0, 0, {}, 0, 0)
        )
        cell.sums_ms[class_] = sum(values) / 1000
        cell.max_ms[class_] = max(values) / 1000
        if class_ == "ok":
            cell.ok = cell.scheduled = cell.good = cell.attempts = len(values)
        elif class_ == "failed":
            cell.errors, cell.scheduled = {"status": len(values)}, len(values)
        entries.append(
            HistogramEntry(phase, list(faults), request, class_, histogram(values).encode()),
        )
    cells["spike", ("slow",), NASTY].errors["timeout"] = 2
    cells["spike", ("slow",), NASTY].scheduled += 2
    series = []
    for i, (ok, failed) in enumerate(SLICES):
        timeouts = 2 if i == 2 else 0
        errors = {kind: n for kind, n in (("status", len(failed)), ("timeout", timeouts)) if n}
        answered, only_ok = histogram([*ok, *failed]), histogram(ok)
        series.append(
            Slice(
                t=float(i),
                scheduled=len(ok) + len(failed) + timeouts,
                ok=len(ok),
                errors=errors,
                good=len(ok),
                attempts=len(ok) + len(failed) + timeouts,
                in_flight=i,
                p50=5.003 if i == 0 else None if errors or not ok else 1000.447,
                p99=5.003 if i == 0 else None,
                lag_p99=0.01 if i == 0 else None,
                hdr=answered.encode(),
                ok_hdr=only_ok.encode() if failed else "",
            )
        )
    return Result(
        loadtool="0.1.0",
        started="2025-11-21T20:53:00.000+00:00",
        load_started="2025-11-21T20:53:07.250+00:00",
        seed=42,
        profile={"name": "known", "target": "http://127.0.0.1:8080"},
        profile_file="known.yaml",
        engine=Engine(),
        elapsed_s=3.5,
        good_within_ms=500.0,
        verdict="pass",
        totals=Figures(scheduled=9, ok=6, errors={"status": 1, "timeout": 2}, attempts=9),
        phases=[
            PhaseFigures(name="baseline", role="baseline", start_s=0.0, end_s=1.0, scheduled=4, ok=4),
            PhaseFigures(
                name="spike", role="spike", start_s=1.0, end_s=3.5, scheduled=5, ok=2,
                errors={"status": 1, "timeout": 2},
            ),
        ],
        series=series,
        faults=[FaultFigure("slow", "latency", "p", "latency", [2.0, 3.0], 2.1, 2.9, True)],
        cells=list(cells.values()),
        histograms=entries,
    )  # fmt: skip
