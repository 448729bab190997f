"""The trend table: groups, limits, arrows and sparklines."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from report_samples import passed

from loadtool.report import history
from loadtool.report.history import Entry, arrow, grouped, sparkline


def entry(started: str, profile: str = "a", p99: float | None = 10.0) -> Entry:
    return replace(Entry.of(passed(), "f"), started=started, profile=profile, p99_ms=p99)


def test_an_entry_is_the_whole_run() -> None:
    result = passed()
    e = Entry.of(result, "runs/1/result.json")
    assert (e.profile, e.verdict, e.started) == ("checkout-10x", "pass", result.started)
    assert (e.p50_ms, e.p99_ms) == (result.totals.latency_ms.p50, result.totals.latency_ms.p99)
    assert e.error_rate == sum(result.totals.errors.values()) / result.totals.scheduled


def test_runs_are_grouped_by_profile_and_the_last_ones_kept() -> None:
    entries = [entry("2026-03"), entry("2026-01"), entry("2026-05", "b"), entry("2026-02")]
    groups = grouped(entries, 2)
    assert {k: [e.started for e in v] for k, v in groups.items()} == {
        "a": ["2026-02", "2026-03"],
        "b": ["2026-05"],
    }
    assert list(groups) == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [(10.0, 10.4, "→"), (10.0, 10.5, "↑"), (10.0, 9.0, "↓"), (10.0, None, "↑"), (None, 10.0, "↓"),
     (None, None, "→"), (0.0, 1.0, "↑"), (0.0, 0.0, "→")],
)  # fmt: skip
def test_an_arrow_is_a_step_of_five_per_cent(before: float | None, now: float | None, shown: str) -> None:
    assert arrow(before, now) == shown


def test_a_sparkline_goes_from_zero_to_the_largest() -> None:
    assert sparkline([0.0, 4.0, 8.0, None]) == "▁▅█×"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([None]) == "×"


def test_the_table_fits_and_hostile_names_are_text() -> None:
    runs = [
        entry("2026-01-01T00:00:00Z", "\x1b[31mred\n"),
        entry("2026-01-02T00:00:00Z", "\x1b[31mred\n", None),
    ]
    page = history.terminal(grouped(runs, 10), width=80, color=False)
    assert "\x1b" not in page
    assert all(len(line) <= 80 for line in page.splitlines())
    assert "∞ ↑" in page
    assert "p99 █×" in page


def test_json_reads_back() -> None:
    data = json.loads(history.data(grouped([entry("2026-01", p99=None)], 3), ["x: broken"]))
    assert (data["format"], data["broken"], data["runs"][0]["p99_ms"]) == (1, ["x: broken"], None)


def test_no_line_of_it_is_a_command_to_a_ci_runner() -> None:
    page = history.terminal(
        grouped([entry("2026-01-01", "::error::x"), entry("2026-01-02")], 9), width=80, color=False
    )
    assert page.startswith(("∶:error::x", "a ")), page
    assert not re.search(r"^\s*::", page, flags=re.MULTILINE)


@pytest.mark.parametrize("runs", [23, 24, 72, 73, 200])
def test_the_trend_of_many_runs_fits_and_ends_with_the_last(runs: int) -> None:
    many = [entry(f"2026-{i:04}", p99=1.0) for i in range(runs - 1)] + [entry("2027", p99=8.0)]
    page = history.terminal(grouped(many, runs), width=80, color=False)
    p99 = [line for line in page.splitlines() if "p99 " in line][-1]
    assert all(len(line) <= 80 for line in page.splitlines())
    assert "▂█" in p99
    bars = p99.partition("goodput")[0].count("▂")
    assert bars == min(runs, 72) - 1
    assert ("the last 72, oldest to newest:" in page) == (runs > 72)
    assert page.count("oldest to newest: p99") == (runs < 24)
