"""ci/bench: what it says of targets, and that the README says what the kept figures do; by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmark import __main__ as bench
from benchmark import about, readme, targets
from benchmark.peers import SCENARIOS

CI = Path(__file__).resolve().parents[2] / "ci"


def figures(tool: str, rate: float, cost: float, kind: str = "Python", **more: Any) -> dict[str, Any]:
    values = {"rates": [rate] if rate else [], "cpu_per_10k": [cost] if cost else []}
    return {"tool": tool, "kind": kind, "server_busy": [0.5], "peak_mb": [1.0], "note": "", **values, **more}


ABOUT = {
    "cpu": "one", "cores": 2, "system": "Linux 1", "at": "2026-01-02T03:04:05+00:00",
    "versions": {"wrk": "4"}, "load_average_before": [0.1, 0, 0],
    "load_average_after": [2.0, 0, 0], "stolen": 0.04,
}  # fmt: skip


def paced(tool: str, lag_ms: float, achieved: float) -> dict[str, Any]:
    lists = {"achieved": [achieved], "lag_p50": [lag_ms], "lag_p99": [lag_ms], "own_lag_p99": []}
    return {
        "tool": tool,
        "rate": 1_000,
        "kind": "",
        "cpu_per_10k": [1.0],
        "peak_mb": [9.0],
        "note": "",
        **lists,
    }


def soaked(tool: str, end_mb: float, **more: Any) -> dict[str, Any]:
    marks = {"minute 2": {"main": 60.0, "worker 1": 30.0}, "end": {"main": 61.0, "worker 1": end_mb}}
    return {
        "tool": tool,
        "rate": 10_000,
        "seconds": 600,
        "verdict": "pass",
        "note": "",
        "marks_mb": marks,
        **more,
    }


PARTS: dict[str, Any] = {
    "simple": {
        "about": ABOUT,
        "figures": [
            figures("wrk", 100_000, 0.1, "C"), figures("hey", 30_000, 0.4, "Go"),
            figures("fortio", 50_000, 0.2, "Go"), figures("locust", 8_000, 2.0),
            figures("compiled", 95_000, 0.125), figures("plain", 60_000, 0.2),
        ],
    },
    "tls": {"about": ABOUT, "figures": [figures("wrk", 50_000, 0.1, "C"), figures("compiled", 0, 0)]},
    "paced": {
        "about": ABOUT, "note": "",
        "figures": [paced("compiled", 0.04, 1_000), paced("vegeta", 0.1, 1_000), paced("k6", 0.01, 900)],
    },
    "soak": {"about": ABOUT, "figures": [soaked("compiled", 34.0), soaked("plain", 36.0)]},
    "workers": {
        "about": ABOUT, "apart": False,
        "figures": [
            figures("compiled", 50_000, 0.1, workers=1), figures("compiled", 95_000, 0.1, workers=2),
        ],
    },
    "connections": {
        "about": ABOUT,
        "figures": [
            {"tool": "compiled", "at_once": 10_990, "scheduled": 9, "ok": 9, "verdict": "pass", "note": "",
             "lag_p99_ms": 1.0, "peak_mb": 100.0},
            {"tool": "plain", "at_once": 10_990, "scheduled": 9, "ok": 8, "verdict": "pass", "note": "",
             "lag_p99_ms": 1.0, "peak_mb": 100.0},
        ],
    },
    "startup": {
        "about": ABOUT,
        "figures": [{"tool": "compiled", "help_s": [0.2, 0.1, 0.4], "first_request_s": [1.2], "note": ""}],
    },
    "toxiproxy": {
        "about": ABOUT, "note": "",
        "figures": {"ratios": {"plain": 1.1, "latency": 0.4}, "requests_per_second": {"direct": [1.0]}},
    },
}  # fmt: skip


def cells(found: list[targets.Target]) -> dict[str, list[str]]:
    return {t.text: [str(cell) for cell in t.cells] for t in found}


def test_targets_by_scenario() -> None:
    assert list(SCENARIOS)[0::2] == ["simple", "tls", "mix"]  # the columns that are looked at
    found = {text: row[0::2] for text, row in cells(targets.by_scenario(PARTS)).items()}
    absent, nothing = "not shown", "held no rate: not met"
    assert found == {
        "compiled ÷ wrk, requests/s: ≥ 0.9": ["0.95: met", nothing, absent],
        "as the aim: ≥ 1.0": ["0.95: not met", nothing, absent],
        "plain ÷ wrk, requests/s: ≥ 0.7": ["0.60: not met", absent, absent],
        "compiled ÷ wrk, CPU s per 10,000: ≤ 1.25": ["1.25: met", nothing, absent],
        "compiled ÷ best Go tool, requests/s: ≥ 2.5": ["1.90 × fortio: not met", nothing, absent],
        "compiled ÷ locust, requests/s: ≥ 10": ["11.88: met", nothing, absent],
    }


def test_other_targets() -> None:
    assert cells([targets.send_lag(PARTS)]) == {
        "compiled ÷ best peer, p99 send lag: ≤ 0.5": ["0.40 × vegeta: met"]  # k6 did not keep the rate
    }
    assert list(cells(targets.others(PARTS)).values()) == [
        ["1.90: met"],
        ["compiled: main +1.0, worker 1 +4.0 MB: met", "plain: main +1.0, worker 1 +6.0 MB: not met"],
        ["compiled: 10,990, pass: met", "plain: 10,990, pass: not met"],
        ["compiled: 0.20 s: met", "not shown"],
        ["compiled: 1.20 s: not met", "not shown"],
        ["1.10: met"],
        ["0.40: not met"],
    ]


@pytest.mark.parametrize(
    ("part", "figures", "row", "said"),
    [
        ("soak", [soaked("compiled", 34.0, seconds=60)], 1, "not shown"),  # too short to tell
        (
            "soak",
            [soaked("compiled", 34.0, verdict="invalid")],
            1,
            "compiled: the run was invalid: not shown",
        ),
        ("connections", [{"tool": "compiled", "note": "may open only 1024 files"}], 2, "not shown"),
        ("startup", [{"tool": "compiled", "help_s": [], "first_request_s": [], "note": "x"}], 3, "not shown"),
    ],
)
def test_what_proves_nothing_is_not_shown(
    part: str, figures: list[dict[str, Any]], row: int, said: str
) -> None:
    assert str(targets.others({part: {"about": ABOUT, "figures": figures}})[row].cells[0]) == said


def test_nothing_measured_shows_nothing() -> None:
    every = [*targets.by_scenario({}), targets.send_lag({}), *targets.others({})]
    assert {cell for target in every for cell in target.cells} == {targets.ABSENT}


def test_the_readme_is_what_the_kept_figures_give() -> None:
    """Both are there or neither: no number in the README is anybody's word."""
    text = (CI.parent / "README.md").read_text("utf-8")
    assert readme.written(text, bench.read_parts(bench.KEPT)) == text


def test_writing_the_readme(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    empty = f"before\n{readme.BEGIN}\n{readme.END}\nafter\n"
    path.write_text(empty, "utf-8")
    readme.write(path, PARTS)
    text = path.read_text("utf-8")
    assert "| compiled ÷ wrk, requests/s: ≥ 0.9 " in text
    assert "| wrk " in text
    assert "100,000 (1.00)" in text
    assert "| vegeta " in text
    assert "0.10; 1.00" in text
    assert "sent 900/s" in text
    assert (
        "one, 2 cores, Linux 1; 2026-01-02. Load average over a minute before each part at most 0.1" in text
    )
    readme.write(path, PARTS)
    assert path.read_text("utf-8") == text
    readme.write(path, {})
    assert path.read_text("utf-8") == empty
    with pytest.raises(ValueError, match="wants exactly one"):
        readme.written("nothing here", PARTS)


def test_parts_are_put_beside_those_of_other_runs(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    assert bench.read_parts(path) == {}
    bench.put(path, "startup", PARTS["startup"])
    bench.put(path, "simple", PARTS["tls"])
    bench.put(path, "simple", PARTS["simple"])
    assert bench.read_parts(path) == {"simple": PARTS["simple"], "startup": PARTS["startup"]}
    assert list(bench.read_parts(path)) == ["simple", "startup"]
    assert [p.name for p in tmp_path.iterdir()] == ["figures.json"]
    path.write_text('{"flat_out": {}}')
    with pytest.raises(ValueError, match="not figures of this bench"):
        bench.read_parts(path)


def test_what_a_hypervisor_took_is_told() -> None:
    """100 ticks of user, system, irq and what was stolen, of which 25 were."""
    before, after = about.Processors(wanted=1_000, stolen=50), about.Processors(wanted=1_100, stolen=75)
    assert after.stolen_since(before) == 0.25
    assert after.stolen_since(after) == 0.0
    now = about.Processors.now()
    assert 0 <= now.stolen <= now.wanted
    parts = {"simple": {"about": ABOUT}, "tls": {"about": {**ABOUT, "stolen": 0.171}}}
    assert "took up to 17% of a part's processor time" in about.about_text(parts)
    parts["tls"]["about"]["cores_seen"] = {"repeated": 4, "unsettled": 1}
    assert (
        " In 5 runs the two cores were far apart or slow, of which 4 were done again. "
        in about.about_text(parts)
    )
    assert "hypervisor" not in about.about_text({"simple": {"about": {**ABOUT, "stolen": None}}})
