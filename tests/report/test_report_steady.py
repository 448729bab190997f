"""The steady state in reports: what held during the run, and whether it did afterwards."""

from __future__ import annotations

import pytest
from report_samples import passed

from loadtool.measure.result import Probe, Result
from loadtool.report import digest, markdown, steady, terminal
from loadtool.report.steady import SteadyRow


def probed(*failed: int, after: Probe | None = None) -> Result:
    """Asked ten times, of which some failed, and perhaps once afterwards."""
    r = passed()
    r.profile["steady_state"] = [{"name": "health", "get": "/health"}]
    r.probes = [
        Probe("health", t / 2, t not in failed, 3.0, "status 503" if t in failed else "") for t in range(10)
    ]
    r.probes += [Probe("store", 1.0, True, 2.0)]
    if after is not None:
        r.probes.append(after)
    return r


WELL = Probe("health", 74.5, True, 2.0, after=True)
GONE = Probe("health", 74.5, False, 5000.0, "no answer within 5 s", after=True)


@pytest.mark.parametrize(
    ("failed", "after", "during", "afterwards", "well"),
    [
        ((), WELL, "0 of 10 failed", "steady", True),
        ((4, 5), WELL, "2 of 10 failed, the first at 2.0 s: status 503", "came back", True),
        (
            (9,),
            GONE,
            "1 of 10 failed, the first at 4.5 s: status 503",
            "NOT BACK: no answer within 5 s",
            False,
        ),
        ((), GONE, "0 of 10 failed", "NOT BACK: no answer within 5 s", False),
        ((), None, "0 of 10 failed", "not asked", None),
    ],
)
def test_did_it_come_back(
    failed: tuple[int, ...], after: Probe | None, during: str, afterwards: str, well: bool | None
) -> None:
    assert steady.rows(probed(*failed, after=after)) == [SteadyRow("health", during, afterwards, well)]


def test_what_was_asked_afterwards_is_no_part_of_the_series() -> None:
    r = probed(after=GONE)
    assert [(p.name, p.n, p.failed) for p in digest.probes(r) if p.fault is None] == [
        ("health", 10, 0), ("store", 1, 0)
    ]  # fmt: skip


def test_every_report_says_it() -> None:
    r = probed(4, after=GONE)
    text = terminal.render(r, width=120)
    assert " health  1 of 10 failed, the first at 2.0 s: status 503  ✗ NOT BACK: no answer within 5 s" in text
    assert (
        "| health | 1 of 10 failed, the first at 2.0 s: status 503 | ❌ NOT BACK: no answer within 5 s |"
    ) in markdown.render(r)
    for shown in (terminal.render(passed()), markdown.render(passed())):
        assert "Steady state" not in shown
