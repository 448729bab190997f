from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from report_samples import HOSTILE
from rich.cells import cell_len

from loadtool.plan.job import FaultWindow
from loadtool.plan.overview import Overview, PhaseOverview, RequestOverview
from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.plan_view import Surroundings, render

S = 1_000_000_000
SHAPE = (
    ("warmup", 0, 5, 20.0),
    ("baseline", 5, 29, 50.0),
    ("spike", 29, 44, 500.0),
    ("recovery", 44, 74, 50.0),
)


def rate_at(t: float) -> float:
    return next(rate for _, start, end, rate in SHAPE if start <= t < end)


OVERVIEW = Overview(
    name="checkout-10x",
    arrivals_kind="poisson",
    seed=42,
    duration_ns=74 * S,
    arrivals=10300,
    exact=True,
    phases=tuple(
        PhaseOverview(name, name, start * S, end * S, rate, rate, int((end - start) * rate))
        for name, start, end, rate in SHAPE
    ),
    requests=(
        RequestOverview("browse", "GET", "/products/{{ randint(1, 500) }}", 0.8, 8240),
        RequestOverview("checkout", "POST", "/checkout", 0.2, 2060),
    ),
    peak_rate=500.0,
    peak_at_ns=29 * S,
    timeout_ns=2 * S,
    connections_needed=1012,
    connections_at_ns=40 * S,
    connections=1000,
    faults=(FaultWindow("slow-store", 34 * S, 39 * S),),
    curve=tuple((t * S, rate_at(t)) for t in range(74)),
    warnings=("checkout.yaml:41: slos[0]: about 100 arrivals",),
)
AROUND = Surroundings(
    target="http://127.0.0.1:8080",
    hosts=("127.0.0.1:8080",),
    toxiproxy="toxiproxy-server on PATH",
    faults={"slow-store": "latency 200ms ±50ms on store"},
    slos=("p95 < 250ms during baseline",),
    setup=("./token.sh",),
)


def test_the_plan_in_one_sentence() -> None:
    assert render(OVERVIEW, AROUND, width=100).splitlines()[1] == (
        "▷ PLAN  checkout-10x: 10,300 arrivals in 1m14s, at most 500/s"
    )
    assert " arrivals in 3.5s, at" in render(replace(OVERVIEW, duration_ns=3_500_000_000), AROUND)
    assert ": about 10,300 arrivals in" in render(replace(OVERVIEW, exact=False), AROUND)


def test_the_phases() -> None:
    lines = render(OVERVIEW, AROUND).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Phases"))
    assert lines[at + 1 : at + 7] == [
        "           role               when   rate  arrivals",
        " warmup    warmup      0.0 – 5.0 s   20/s       100",
        " baseline  baseline   5.0 – 29.0 s   50/s     1,200",
        " spike     spike     29.0 – 44.0 s  500/s     7,500",
        " recovery  recovery  44.0 – 74.0 s   50/s     1,500",
        " all                  0.0 – 74.0 s           10,300",
    ]


def test_a_ramp_is_told_by_both_rates() -> None:
    phase = PhaseOverview("rush", "spike", 0, 10 * S, 50.0, 500.0, 100)
    text = render(replace(OVERVIEW, phases=(phase,)), AROUND)
    assert " rush  spike  0.0 – 10.0 s  50 → 500/s       100" in text


def test_faults_lie_on_the_curves_axis() -> None:
    lines = render(OVERVIEW, AROUND).splitlines()
    axis = TimeAxis(74.0, 79)
    lane = next(line for line in lines if line.endswith("█ slow-store"))
    fault = [i - 1 - GUTTER for i, c in enumerate(lane) if c == "█"]
    assert (fault[0], fault[-1]) == (axis.column(34.0), axis.column(39.0 - 1e-6))
    top = next(line for line in lines if line.strip().startswith("500/s┤"))
    spike = [i - 1 - GUTTER for i, c in enumerate(top) if c in "▁▂▃▄▅▆▇█"]
    assert axis.column(29.5) <= spike[0] <= axis.column(31.0)
    assert axis.column(42.0) <= spike[-1] <= axis.column(44.0)


def test_what_comes_again_and_what_is_asked_lie_on_the_axis_too() -> None:
    windows = tuple(FaultWindow("blink", t * S, (t + 5) * S, 2 * S) for t in (10, 30, 50))
    overview = replace(OVERVIEW, faults=(*windows, *OVERVIEW.faults))
    around = replace(
        AROUND,
        faults={"blink": "latency 1s reached over 2s on store", **AROUND.faults},
        steady=(("health", "GET /health: status 2xx"), ("db", "connect to db:5432")),
    )
    lines = render(overview, around).splitlines()
    axis = TimeAxis(74.0, 79)
    (lane,) = (line for line in lines if line.endswith(" blink"))
    rises = [i - 1 - GUTTER for i, c in enumerate(lane) if c in "▁▂▃▄▅▆▇" and lane[i - 1] == " "]
    assert rises == [axis.column(t) for t in (10, 30, 50)]
    (asked,) = (line for line in lines if line.startswith("   steady?"))
    assert asked.count("▲") == 2
    assert " blink       latency 1s reached over 2s on store  3 × 5.0 s in 10.0 – 55.0 s" in lines
    at = next(i for i, line in enumerate(lines) if line.startswith("Steady state"))
    assert lines[at + 1 : at + 4] == [
        " health      GET /health: status 2xx",
        " db          connect to db:5432",
        " asked before the run, which does not begin otherwise, during it, and after it",
    ]


def test_how_connections_are_made() -> None:
    overview = replace(OVERVIEW, dials_per_s=50.0, reconnect_ns=(29 * S, 34 * S))
    around = replace(
        AROUND, source="10.0.0.5 and 10.0.0.6 in turn", tls="certificate not checked; shows client.pem"
    )
    lines = render(overview, around, width=120).splitlines()
    text = " ".join(" ".join(lines).split())
    for part in (
        "source 10.0.0.5 and 10.0.0.6 in turn",
        "tls certificate not checked; shows client.pem",
        "and then arrivals would wait; at most 50/s new ones",
        "reconnect all connections are closed and opened again at 29.0 s, 34.0 s",
    ):
        assert part in text
    axis = TimeAxis(74.0, 119)
    marks = next(line for line in lines if "▲" in line)
    assert [i - 1 - GUTTER for i, c in enumerate(marks) if c == "▲"] == [axis.column(29.0), axis.column(34.0)]
    assert marks.startswith(" reconnect ")
    plain = render(replace(overview, connections=1012, reconnect_ns=()), AROUND, width=120)
    assert "at most 1,012 at 40.0 s, if every answer takes the timeout of 2 s; at most 50/s new ones" in plain
    assert "reconnect" not in plain
    assert "\n tls " not in plain


def test_what_a_run_would_touch() -> None:
    text = " ".join(render(OVERVIEW, AROUND, width=120).split())
    for part in (
        "target http://127.0.0.1:8080",
        "hosts 127.0.0.1:8080",
        "arrivals poisson, seed 42; counted",
        "peak 500/s at 29.0 s",
        "connections at most 1,000 (client.connections); 1,012 at 40.0 s, if every answer takes the timeout"
        " of 2 s, and then arrivals would wait",
        "toxiproxy toxiproxy-server on PATH",
        "setup ./token.sh",
        "slow-store latency 200ms ±50ms on store 34.0 – 39.0 s",
        "browse GET /products/{{ randint(1, 500) }} 80% 8,240",
        "p95 < 250ms during baseline",
        "! checkout.yaml:41: slos[0]: about 100 arrivals",
    ):
        assert part in text
    assert "teardown" not in text


def test_enough_connections() -> None:
    text = " ".join(render(replace(OVERVIEW, connections=1012), AROUND).split())
    assert "connections at most 1,012 at 40.0 s, if every answer takes the timeout of 2 s" in text


def test_a_plan_without_faults_and_warnings_has_no_such_sections() -> None:
    text = render(replace(OVERVIEW, faults=(), warnings=()), Surroundings())
    assert re.findall(r"^(\w+) ─+$", text, flags=re.MULTILINE) == ["Rate", "Phases", "Requests", "Load"]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_hostile_names_stay_text_within_the_width(width: int) -> None:
    overview = replace(
        OVERVIEW,
        name=HOSTILE,
        requests=(RequestOverview(HOSTILE, "GET", HOSTILE, 1.0, 10300),),
        faults=(FaultWindow(HOSTILE, 0, S),),
        warnings=(HOSTILE,),
    )
    around = Surroundings(
        HOSTILE, (HOSTILE,), HOSTILE, {HOSTILE: HOSTILE}, (HOSTILE,), (HOSTILE,), (HOSTILE,)
    )
    text = render(overview, around, width=width)
    assert {c for c in text if unicodedata.category(c)[0] == "C"} <= {"\n"}
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert not re.search(r"^\s*::", text, flags=re.MULTILINE)
