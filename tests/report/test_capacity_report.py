"""The report of a search for capacity."""

from __future__ import annotations

import pytest

from loadtool.judge.capacity import Found
from loadtool.judge.capacity_result import Capacity, conclude
from loadtool.judge.capacity_slos import LeftOut
from loadtool.judge.capacity_step import Step
from loadtool.measure.result import Engine
from loadtool.report.capacity import render


def capacity(*steps: Step) -> Capacity:
    return Capacity(
        "0.1.0", "2026-01-01T00:00:00Z", "shop", "http://127.0.0.1:8080", "shop.yaml", 1, Engine(), 250.0,
        ["p95 < 250ms"], [LeftOut("shed rate < 5%", "sheds count as errors")], 0.02, 10.0, 30.0, 1e5, 93.0,
        steps=list(steps),
    )  # fmt: skip


STEPS = (
    Step("climb", 50, 10.0, 0.0, "holds", ok=500, goodput_per_s=50, p50_ms=9.0, p99_ms=20.0),
    Step("climb", 102, 10.0, 12.0, "fails", failed=["p95 < 250ms"], ok=980, errors={"timeout": 40},
         goodput_per_s=97, p50_ms=30.0),
    Step("confirm", 100, 30.0, 30.0, "holds", ok=3000, goodput_per_s=99, p50_ms=12.0, p99_ms=180.0),
    Step("confirm", 100, 30.0, 63.0, "holds", ok=3000, goodput_per_s=100, p50_ms=12.0, p99_ms=190.0),
    Step("curve", 150, 10.0, 96.0, "late", reasons=["the generator was late in hold"]),
    Step("curve", 200, 10.0, 110.0, "fails", errors={"timeout": 1500}, goodput_per_s=25),
)  # fmt: skip


def test_the_knee_the_curve_and_every_step_are_shown() -> None:
    c = capacity(*STEPS)
    conclude(c, Found("found", 100, 102, confirmed=True), "found")
    lines = render(c, width=80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    shown = " ".join(" ".join(lines).split())
    for text in (
        "CAPACITY found shop: holds its SLOs up to 100/s and no longer at 102/s; at twice that it serves 25% "
        "of what it serves there",
        "SLOs hold at 100/s, confirmed",
        "and fail at 102/s, 2.00% above",
        "goodput 99 – 100/s in 2 confirming holds",
        "p99 180 – 190 ms",
        "1.50x 150/s n/a n/a n/a the generator was the limit",
        "2x 200/s 25/s 25.1% ∞",
        "left out: shed rate < 5% (sheds count as errors)",
        "✗ fails 102/s 10 s 97/s 40 30 ms ∞ climb",
        "! late 150/s",
        "┊ SLOs hold up to 100/s",
        "6 steps in 1m33s",
    ):
        assert text in shown, text
    # The axis of rates ends with a round one, the mark of the knee stands in its middle.
    (ruler,) = (line for line in lines if line.strip().startswith("0/s  "))
    assert ruler.split() == ["0/s", "50/s", "100/s", "150/s", "200/s"]


def test_a_search_that_knows_nothing_has_no_curve() -> None:
    c = capacity()
    c.interrupted = "SIGINT"
    conclude(c, None, "interrupted")
    text = render(c, width=60)
    assert "interrupted after 0 steps; nothing is known of its capacity" in " ".join(text.split())
    assert "Curve" not in text
    assert "Steps" not in text


@pytest.mark.parametrize(
    ("found", "verdict", "held"),
    [
        (None, "down", "not known"),
        (None, "no-answer", "not known"),
        (Found("generator", None, None), "generator", "not known"),
        (Found("none", None, 1.0), "none", "nowhere"),
    ],
)
def test_slos_hold_nowhere_only_if_every_rate_was_tried(found: Found | None, verdict: str, held: str) -> None:
    c = capacity(Step("climb", 50, 10.0, 0.0, "cut"))
    conclude(c, found, verdict)
    assert f"SLOs hold at {held}" in " ".join(render(c, width=80).split())


def test_what_a_profile_says_cannot_move_the_cursor() -> None:
    c = capacity(*STEPS[:1])
    c.name, c.slos = "sh\x1b[2Jop", ["p95 < 250ms for \x1b]0;x"]
    conclude(c, None, "down")
    assert "\x1b" not in render(c, width=80)
