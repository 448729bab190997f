"""What objectives on a spike ask of the phases: by role, in every order, with the place of `during`."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import mistakes

from loadtool.profile.model import Phase
from loadtool.profile.slo import METRICS, parse_slo
from loadtool.profile.slo_rules import spike_flaws

ROLES = {"w": "warmup", "b": "baseline", "s": "spike", "r": "recovery"}


def phases(text: str) -> list[Phase]:
    """`b s1 s2 r` as phases of those names, whose role is by their first letter."""
    return [
        Phase.model_validate({"name": name, "rate": 1, "for": "1s", "role": ROLES[name[0]]})
        for name in text.split()
    ]


NO_SPIKE = "needs a spike; give a phase role: spike"


@pytest.mark.parametrize(
    ("slo", "order", "flaws"),
    [
        ("goodput retention > 90%", "w b s r", []),
        ("goodput retention > 90%", "b s", []),
        ("goodput retention > 90%", "w b r", [f"goodput retention {NO_SPIKE}"]),
        (
            "goodput retention > 90%",
            "w s r b",
            ["goodput retention needs a baseline; put a phase with role: baseline before s"],
        ),
        (
            "honest rejection > 90%",
            "s1 s2 b r",
            ["honest rejection needs a baseline; put a phase with role: baseline before s1+s2"],
        ),
        # The first of two has no baseline, the second has.
        ("latency growth < 2", "s1 b s2", []),
        (
            "latency growth < 2 during s1",
            "s1 b s2",
            ["latency growth needs a baseline; put a phase with role: baseline before s1"],
        ),
        ("latency growth < 2 during s2", "s1 b s2", []),
        ("recovery < 9s", "b s r", []),
        ("recovery < 9s", "b s w r", []),
        ("recovery < 9s", "b r s", ["recovery needs a recovery; put a phase with role: recovery after s"]),
        ("recovery < 9s", "b s1 s2 r s3", []),
        (
            "recovery < 9s during s3",
            "b s1 s2 r s3",
            ["recovery needs a recovery; put a phase with role: recovery after s3"],
        ),
        ("recovery < 9s during r", "b s1 s2 r s3", []),
        ("recovery < 9s during s2", "b s1 s2 r s3", []),
        ("recovery < 9s", "s b r", ["recovery needs a baseline; put a phase with role: baseline before s"]),
        (
            "recovery < 9s during b",
            "b s r",
            ["recovery during: got b, want a phase of a spike or recovery: s, r"],
        ),
        (
            "goodput retention > 9% during r",
            "b s r",
            ["goodput retention during: got r, want a phase of a spike: s"],
        ),
        (
            "end retention > 9% during slow for x",
            "b s r",
            [
                "end retention is over all requests; leave out `for`",
                "end retention during: got slow, want a phase of a spike: s",
            ],
        ),
        ("hysteresis < 2%", "b s", ["hysteresis needs a recovery; put a phase with role: recovery after s"]),
        ("retry amplification < 2", "b s", []),
        ("retry amplification < 2 during r", "b s r", []),
        # Before any spike, a recovery phase is nobody's.
        (
            "recovery < 9s during r1",
            "b r1 s r2",
            ["recovery during: r1 follows no spike"],
        ),
        ("p99 < 1s during r", "r", []),
        ("goodput > 1/s for x", "b", []),
    ],
)
def test_what_is_missing(slo: str, order: str, flaws: list[str]) -> None:
    assert list(spike_flaws(parse_slo(slo), phases(order))) == flaws


@pytest.mark.parametrize("metric", [key for key, row in METRICS.items() if row.part])
def test_each_of_them_needs_a_spike_and_says_so_with_its_line(tmp_path: Path, metric: str) -> None:
    value = {"time": "5s", "share": "90%", "ratio": "2x", "per_second": "1/s"}[METRICS[metric].kind]
    text = f"""\
target: http://127.0.0.1:8080
requests: [{{get: /}}]
phases: [{{name: steady, rate: 10/s, for: 10s}}]
slos:
  - {metric} < {value}
"""
    assert mistakes(tmp_path, text) == [f"shop.yaml:5: slos[0]: {metric} {NO_SPIKE}"]


def test_a_phase_that_is_wrong_is_the_only_mistake(tmp_path: Path) -> None:
    text = """\
target: http://127.0.0.1:8080
requests: [{get: /}]
phases:
  - {name: baseline, rate: 10/s, for: 10s}
  - {name: spike, rate: many, for: 10s}
slos: [goodput retention > 90%]
"""
    assert mistakes(tmp_path, text) == ["shop.yaml:5: phases[1].rate: got many, want a rate such as 50/s"]
