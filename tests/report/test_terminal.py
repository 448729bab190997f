from __future__ import annotations

import re
import unicodedata

import pytest
from report_samples import SAMPLES, failed, passed
from rich.cells import cell_len

from loadtool.measure.result import Result
from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.terminal import render

SGR = re.compile(r"\x1b\[[0-9;]*m")


def section(text: str, title: str) -> list[str]:
    """The lines of a section, without its heading."""
    body = re.split(rf"^{title} ─+\n", text, flags=re.MULTILINE)[1]
    return re.split(r"^\w[\w ]* ─+$", body, flags=re.MULTILINE)[0].rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [60, 79, 80, 100, 200])
@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    text = render(SAMPLES[name](), width=width, color=False)
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_of_a_target_reaches_the_terminal_as_a_command(name: str) -> None:
    text = SGR.sub("", render(SAMPLES[name](), color=True))
    assert {c for c in text if unicodedata.category(c)[0] == "C"} <= {"\n"}
    assert not re.search(r"^\s*::|##\[", text, flags=re.MULTILINE)
    text.encode("utf-8")


@pytest.mark.parametrize("name", SAMPLES)
def test_colour_adds_nothing_but_colour(name: str) -> None:
    coloured = SGR.sub("", render(SAMPLES[name](), color=True))
    plain = render(SAMPLES[name](), color=False)
    assert [line.rstrip() for line in coloured.splitlines()] == plain.splitlines()
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("passed", "✓ PASS  checkout-10x: all 4 SLOs were met."),
        ("failed", "✗ FAIL  checkout-10x: 2 of 5 SLOs were not met."),
        ("invalid", "! INVALID  checkout-10x: this run proves nothing about the target."),
        ("all_failed", "! INVALID  checkout-10x: this run proves nothing about the target."),
        ("empty", "■ INTERRUPTED  nothing: cut short, and so never a pass."),
    ],
)
def test_the_verdict_comes_first(name: str, line: str) -> None:
    assert render(SAMPLES[name]()).splitlines()[1] == line


def test_reasons_follow_the_verdict() -> None:
    assert render(failed()).splitlines()[2:4] == [
        "  · p99 < 1s during slow-store for checkout: ∞",
        "  · error rate < 0.1%: 0.758%",
    ]


def test_where_every_arrival_went() -> None:
    assert "10,300 scheduled = 9,875 ok + 350 shed + 75 errors, in 74.2 s" in render(passed())


def test_the_table_of_slos() -> None:
    assert section(render(failed(), width=100), "SLOs")[:7] == [
        "                 objective                                measured    95% interval  samples",
        " ✓ pass          p95 < 250ms during baseline                 31 ms    29 – 33.4 ms    1,200",
        " ✗ fail          error rate < 0.1%                          0.758%  0.590 – 0.940%   10,200",
        " ✗ fail          p99 < 1s during slow-store for checkout         ∞      980 ms – ∞      420",
        " ✓ pass          shed p99 < 50ms                           3.90 ms  3.10 – 4.40 ms      350",
        " ? inconclusive  p99.9 < 2s during warmup                    96 ms       96 ms – ∞      100",
        "                 only 100 samples",
    ]


def test_the_table_of_phases_is_whole_in_eighty_columns() -> None:
    assert section(render(passed()), "Phases") == [
        "          offered    ok shed errors     p50     p90     p99     max goodput",
        " warmup      20/s   100    0      0   12 ms   24 ms   48 ms   96 ms    20/s",
        " baseline    50/s 1,200    0      0 12.4 ms 24.8 ms 49.6 ms 99.2 ms    50/s",
        " spike      500/s 7,075  350     75   61 ms  122 ms       ∞  488 ms   465/s",
        " recovery    50/s 1,500    0      0   13 ms   26 ms   52 ms  104 ms    50/s",
        " all        139/s 9,875  350     75   18 ms   36 ms   72 ms  144 ms   132/s",
    ]


@pytest.mark.parametrize(("requests", "shown"), [(0, False), (1, False), (2, True)])
def test_requests_have_a_table_where_there_are_several(requests: int, shown: bool) -> None:
    r = passed()
    r.requests = r.requests[:requests]
    assert ("\nRequests ─" in render(r)) == shown


def test_infinity_is_explained_where_it_stands() -> None:
    note = "∞: more arrivals failed than this quantile leaves room for."
    assert render(failed()).splitlines()[-1] == note
    r = passed()
    for f in (*r.phases, *r.requests):
        f.latency_ms = r.phases[0].latency_ms
    for s in r.series:
        s.p99 = s.p50
    assert "∞" not in render(r)


def test_errors_with_their_examples() -> None:
    assert section(render(passed()), "Errors")[:5] == [
        " kind     count  of all  for example",
        " timeout     60  0.583%  no answer within 2s",
        "                         checkout at 35.2 s",
        " reset       15  0.146%  Connection reset by peer",
        "                         browse at 36.9 s",
    ]


def test_a_fault_that_stayed_is_loud() -> None:
    text = render(SAMPLES["invalid"](), width=120)
    assert "NOT REMOVED" in text
    assert "the proxy did not answer within 5 s" in text


def test_probes_rise_inside_the_window_and_only_there() -> None:
    body = section(render(passed()), "Probes")
    assert body[1].split() == [
        "store",
        "outside",
        "faults",
        "1.20",
        "ms",
        "1.20",
        "–",
        "1.20",
        "ms",
        "69",
        "0",
    ]
    assert body[2].split() == [
        "store",
        "during",
        "slow-store",
        "203",
        "ms",
        "203",
        "–",
        "203",
        "ms",
        "5",
        "0",
    ]
    spark = next(line for line in body if "▁" in line)
    lane = next(line for line in body if line.endswith("slow-store"))
    high = [i for i, c in enumerate(spark) if c == "█"]
    fault = [i for i, c in enumerate(lane) if c == "█"]
    assert high
    assert set(high) <= set(fault)
    assert set(spark[min(fault) + len(fault) :].strip()) == {"▁"}


def test_faults_stand_under_what_they_did() -> None:
    """The first and the last column in which p99 is infinite lie in those of the fault."""
    width = 120
    body = section(render(passed(), width=width), "Over time")
    lane = next(line for line in body if line.endswith("slow-store"))
    fault = [i for i, c in enumerate(lane) if c == "█"]
    axis = TimeAxis(74.0, width - 1)
    assert min(fault) == 1 + GUTTER + axis.column(34.01)
    beyond = [i for line in body for i, c in enumerate(line) if c == "∞"]
    assert beyond
    assert set(beyond) <= set(fault)


@pytest.mark.parametrize("name", ["empty", "interrupted"])
def test_a_run_without_some_parts_has_no_empty_sections(name: str) -> None:
    text = render(SAMPLES[name]())
    titles = re.findall(r"^([A-Z]\w[\w ]*) ─+$", text, flags=re.MULTILINE)
    assert (
        titles
        == {
            "empty": ["SLOs", "Generator"],
            "interrupted": [
                "Over time",
                "SLOs",
                "Phases",
                "Requests",
                "Errors",
                "Faults",
                "Probes",
                "Generator",
            ],
        }[name]
    )


def test_a_narrower_terminal_than_the_narrowest_gets_its_report() -> None:
    assert render(passed(), width=1) == render(passed(), width=60)


def test_long_runs_are_drawn_whole() -> None:
    """900 slices of 4 s in 66 columns: the one second with errors is still to be seen."""
    r: Result = passed()
    slot = r.series[10]
    r.slice_s = 4.0
    r.series = [type(slot)(t=i * 4.0, scheduled=200, ok=200, p50=1.0, p99=2.0) for i in range(900)]
    r.series[450].ok, r.series[450].errors = 199, {"reset": 1}
    for i, p in enumerate(r.phases):
        p.start_s, p.end_s = i * 900.0, (i + 1) * 900.0
    r.faults = []
    errors = next(
        line for line in render(r).splitlines() if line.strip().startswith("errors") and "█" in line
    )
    assert errors.count("█") == 1
