"""What docs/slos.md and docs/compare.md tell of metrics, rules and gates is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from loadtool.judge import compare, compare_metrics, windows
from loadtool.judge.compare_gate import parse_gate
from loadtool.profile import slo
from loadtool.profile.slo import METRICS, parse_slo

ROOT = Path(__file__).resolve().parents[2]
SLOS = (ROOT / "docs" / "slos.md").read_text(encoding="utf-8")
COMPARE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")


def test_every_metric_is_told_with_a_value_that_it_takes() -> None:
    table = SLOS.partition("| metric | value | over |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", table, re.MULTILINE)
    told = [parse_slo(f"{metric} < {value}").metric for metric, value in rows]
    assert told == list(METRICS)


def test_windows_and_aborts_are_told_for_the_metrics_that_have_them() -> None:
    told = re.search(r"^- Of (.*), over all requests\.$", SLOS, re.MULTILINE)
    assert told is not None
    named = {parse_slo(f"{name} < 1{_unit(name)}").metric for name in re.findall(r"`([^`]+)`", told[1])}
    assert named == {name for name, row in METRICS.items() if row.windows}
    table = SLOS.partition("| metric | it is lost when |")[2].partition("\n\n")[0]
    named = {parse_slo(f"{name} < 1{_unit(name)}").metric for name in re.findall(r"`([^`]+)`", table)}
    assert named == {name for name, row in METRICS.items() if row.abort}
    exempt = re.findall(r"^\| any of them but (.*), in a window \|", table, re.MULTILINE)
    assert exempt == [f"`{name}`" for name, row in METRICS.items() if row.abort and not row.windows]


def test_the_grammar_is_the_parsers() -> None:
    grammar = re.match(r"Slo: `(.*)`, parsed\.", str(slo.__doc__))
    assert grammar is not None
    assert f"\n\n    {grammar[1]}\n\n" in SLOS


def _unit(metric: str) -> str:
    if metric.endswith("rate") and metric != "rate":
        return "%"
    return "/s" if metric in ("goodput", "rate") else "s"


def test_the_numbers_of_the_rules_are_those_of_the_code() -> None:
    assert f"fewer than {windows.FEW_BEYOND} samples beyond the quantile" in SLOS
    assert f"fewer than {windows.LEAST_ARRIVALS} arrivals" in SLOS
    for said in (
        f"{compare_metrics.SAME_SHARE:.0%}".replace("%", " %"),
        f"{compare_metrics.SAME_MS} ms",
        f"{100 * compare_metrics.SAME_POINTS:g} percentage points",
        f"{100 * compare.REAL:.0f} %",
    ):
        assert said in COMPARE


def test_every_gate_that_is_shown_is_one() -> None:
    gates = re.findall(r"--fail-if '([a-z][^']+)'", COMPARE) + re.findall(
        r"^\| `([^`]+ worse by [^`]+)` \|", COMPARE, re.MULTILINE
    )
    assert len(gates) >= 6
    for gate in gates:
        parse_gate(gate)


def test_every_metric_that_is_compared_is_told() -> None:
    told = COMPARE.partition("## What is compared")[2].partition("\n## ")[0]
    for name in (*compare_metrics.METRICS, *compare_metrics.SPIKE_METRICS):
        assert f"`{name}`" in told
