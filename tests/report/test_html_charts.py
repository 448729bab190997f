"""What the charts draw, by arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from html_samples import histogram, measured
from report_samples import all_failed, empty, passed

from loadtool.measure.result import FaultFigure, Result
from loadtool.report.html import bands, distribution, over_time
from loadtool.report.html.charts import CHARTS
from loadtool.report.html.drawing import Drawing, Scale, plain, ticks
from loadtool.report.html.story import story_of


def drawn(key: str, result: Result) -> Drawing:
    chart = next(c for c in CHARTS if c.key == key)
    drawing = chart.draw(story_of(result))
    assert drawing is not None
    return drawing


def trace(drawing: Drawing, name: str) -> dict[str, Any]:
    return next(t for t in drawing.traces if t["name"] == name)


def test_rates_are_those_of_the_slices() -> None:
    r = passed()
    d = drawn("rates", r)
    counts = {
        "offered": [s.scheduled for s in r.series],
        "ok": [s.ok for s in r.series],
        "shed": [s.shed for s in r.series],
        "errors": [sum(s.errors.values()) for s in r.series],
    }
    for name, expected in counts.items():
        t = trace(d, name)
        assert t["x"][1:-1] == [s.t + 0.5 for s in r.series[:-1]] + [73.5]
        assert t["y"][1:-1] == expected
        assert (t["x"][0], t["x"][-1]) == (0, 74)
    assert trace(d, "offered")["customdata"][40] == "500/s"
    assert "offered 500/s, ok 485/s, shed 40/s, errors 15/s" in d.summary


def test_what_was_served_and_what_was_not_add_up_to_what_was_offered() -> None:
    d = drawn("rates", passed())
    stacked = [t["y"] for t in d.traces if t.get("stackgroup")]
    assert [sum(values) for values in zip(*stacked, strict=True)] == trace(d, "offered")["y"]


def test_the_rate_of_a_short_last_slice_is_over_its_own_length() -> None:
    r = passed()
    r.elapsed_s = 73.5  # the last slice is half a second long
    assert trace(drawn("rates", r), "offered")["y"][-2] == 100
    r.elapsed_s = 73.1  # a scrap, in which one arrival would be a peak
    assert trace(drawn("rates", r), "offered")["x"][-1] == 73


def test_percentiles_are_those_of_the_slices_and_infinite_ones_go_to_the_top() -> None:
    r = measured()
    d = drawn("percentiles", r)
    assert trace(d, "p50")["y"] == [s.p50 for s in r.series]
    p99 = trace(d, "p99")
    beyond = [i for i, s in enumerate(r.series) if s.p99 is None]
    assert beyond == [37, 38]
    top = max(p99["y"])
    assert [i for i, v in enumerate(p99["y"]) if v == top] == beyond
    assert top > 920 * 1.5
    assert p99["customdata"][37] == "∞"
    assert p99["customdata"][36] == "920 ms"
    assert d.layout["yaxis"]["ticktext"][-1] == "∞"
    assert "In 2 of 74 slices" in d.summary
    assert "920 ms, at 36.0 s" in d.summary


def test_p90_counts_failures_as_infinite_like_the_other_quantiles() -> None:
    r = measured()
    s = r.series[35]  # 445 ok, 15 failed: rank ⌈0.9 · 460⌉ = 414 is an ok one
    assert trace(drawn("percentiles", r), "p90")["customdata"][35] == "230 ms"
    s.errors = {"timeout": 60}  # ⌈0.9 · 505⌉ = 455 is not
    assert trace(drawn("percentiles", r), "p90")["customdata"][35] == "∞"


def test_p90_is_not_guessed_where_ok_answers_cannot_be_told_apart() -> None:
    r = measured()
    r.series[35].ok -= 5
    assert trace(drawn("percentiles", r), "p90")["y"][35] is None


def test_nothing_due_leaves_a_gap() -> None:
    r = measured()
    s = r.series[10]
    s.scheduled = s.ok = 0
    s.p50 = s.p99 = None
    s.hdr = ""
    d = drawn("percentiles", r)
    assert [trace(d, name)["y"][10] for name in ("p50", "p90", "p99")] == [None] * 3


def test_the_heat_map_holds_every_answer_in_its_row() -> None:
    r = measured()
    r.series = r.series[:2]
    r.series[0].hdr = histogram((10, 3), (100, 1)).encode()
    r.series[1].hdr = histogram((99.9, 2)).encode()
    for s, n in zip(r.series, (4, 2), strict=True):
        s.scheduled = s.ok = n
    heat = drawn("heat", r).traces[0]
    cells = {(i, j): n for i, row in enumerate(heat["customdata"]) for j, n in enumerate(row) if n}
    assert sorted(cells.values()) == [1, 2, 3]
    for (i, j), n in cells.items():
        ms = {3: 10, 1: 100, 2: 99.9}[n]
        assert j == {3: 0, 1: 0, 2: 1}[n]
        assert heat["y"][i] <= ms * 1.001
        assert heat["y"][i + 1] >= ms * 0.999
    assert heat["x"] == [0, 1, 2]
    assert len(heat["y"]) == len(heat["customdata"]) + 1
    assert heat["meta"]["columns"] == ["0.0 – 1.0 s", "1.0 – 2.0 s"]


def test_arrivals_without_an_answer_have_a_row_of_their_own() -> None:
    r = measured()
    d = drawn("heat", r)
    answered, lost = d.traces
    answers = [sum(column) for column in zip(*answered["customdata"], strict=True)]
    assert answers == [s.ok for s in r.series]
    assert lost["customdata"][0] == [sum(s.errors.values()) for s in r.series]
    assert "75 arrivals got no answer at all" in d.summary


@pytest.mark.parametrize(
    ("low", "high"), [(0.001, 0.001), (0.001, 3_600_000.0), (1, 1), (9.99, 10), (0.5, 800), (10, 1000)]
)
def test_rows_cover_every_value_and_are_few(low: float, high: float) -> None:
    edges = distribution.edges(low, high)
    assert edges[0] <= low * (1 + 1e-9)
    assert edges[-1] > high * (1 - 1e-9)
    assert 1 <= len(edges) - 1 <= distribution.MOST_ROWS
    widths = [b / a for a, b in pairwise(edges)]
    assert max(widths) == pytest.approx(min(widths))


def test_outer_rows_hold_what_lies_beyond() -> None:
    assert distribution.column(histogram((0.01, 1), (5, 2), (9999, 4)), [1, 10, 100]) == [3, 4]


def test_the_percentile_curve_by_arithmetic() -> None:
    d = drawn("curve", measured())
    response, service = trace(d, "spike: response"), trace(d, "spike: service")
    # 1000 answers of 1 … 1000 ms and ten that failed: rank ⌈q · 1010⌉, infinite past 1000.
    by_q = dict(zip((round(1 - 1 / x, 9) for x in response["x"]), response["y"], strict=True))
    assert by_q[0.0] == 1
    assert by_q[0.9] == pytest.approx(909, rel=0.001)
    worst = [text for x, text in zip(response["x"], response["customdata"], strict=True) if x > 101]
    assert set(worst) == {"∞"}
    # Service: 1000 samples of 0.5 … 500 ms.
    ends = service["x"][-1]
    assert ends == pytest.approx(1000, rel=1e-6)  # beyond 99.9 % a thousand samples tell nothing
    at_99 = next(y for x, y in zip(service["x"], service["y"], strict=True) if math.isclose(x, 100))
    assert at_99 == pytest.approx(495, rel=0.001)
    assert response["line"]["color"] == service["line"]["color"]
    assert response["line"]["dash"] != service["line"]["dash"]


def test_a_curve_of_service_times_alone_compares_none() -> None:
    r = measured()
    assert "p99 by phase: " in drawn("curve", r).summary
    for phase in r.phases:
        phase.shed = phase.scheduled
    assert drawn("curve", r).summary.endswith(
        "(from when it was sent). A curve ends where there are no more samples to tell."
    )


def test_the_percentile_axis_gives_every_nine_the_same_room() -> None:
    axis = drawn("curve", measured()).layout["xaxis"]
    places = dict(zip(axis["ticktext"], (math.log10(v) for v in axis["tickvals"]), strict=True))
    assert list(places) == ["0%", "50%", "90%", "99%", "99.9%", "99.99%", "99.999%"]
    nines = [places[k] for k in ("90%", "99%", "99.9%", "99.99%", "99.999%")]
    assert nines == pytest.approx([1, 2, 3, 4, 5])


def test_send_lag_stands_beside_what_is_allowed() -> None:
    r = passed()
    r.profile["validity"] = {"lag": "50ms"}
    d = drawn("lag", r)
    assert trace(d, "send lag p99")["customdata"] == ["0.310 ms"] * 74
    assert trace(d, "allowed at p99")["y"] == [50, 50]
    assert "exceeds 50 ms" in d.summary
    r.profile["validity"] = {"lag": "nonsense"}
    assert len(drawn("lag", r).traces) == 1


def test_probes_that_failed_stand_out_by_more_than_colour() -> None:
    r = passed()
    r.probes[3] = replace(r.probes[3], ok=False, ms=None, detail="refused <b>")
    t = trace(drawn("probes", r), "store")
    assert t["marker"]["symbol"][2:5] == ["circle", "x", "circle"]
    assert t["customdata"][3] == "failed: refused &lt;b&gt;"
    assert t["y"][3] == max(t["y"])
    assert len(t["x"]) == 74


def test_retries_are_drawn_where_there_are_any() -> None:
    assert over_time.retries(story_of(passed())) is None
    r = passed()
    for s in r.series[30:40]:
        s.attempts = s.scheduled * 2
    r.totals.attempts = sum(s.attempts for s in r.series)
    d = drawn("retries", r)
    assert max(v for v in trace(d, "attempts")["y"] if v) == 1000
    assert trace(d, "arrivals")["y"] == trace(drawn("rates", r), "offered")["y"]
    attempts = trace(d, "attempts")
    assert (attempts["fill"], d.traces[0]["name"]) == ("tonexty", "arrivals"), (
        "what is between them is filled"
    )
    said = dict(zip(attempts["x"], attempts["customdata"], strict=True))
    assert (said[29.5], said[35.5]) == ("500/s, 1x", "1,000/s, 2x")
    assert "15,300 attempts for 10,300 arrivals: 1.49x" in d.summary


def test_charts_of_nothing() -> None:
    story = story_of(empty())
    assert [c.key for c in CHARTS if c.draw(story) is not None] == []


def test_charts_of_nothing_but_failures() -> None:
    story = story_of(all_failed())
    found = {c.key: c.draw(story) for c in CHARTS}
    assert found["heat"] is None
    percentiles = found["percentiles"]
    assert percentiles is not None
    assert set(trace(percentiles, "p50")["customdata"]) == {"∞"}


def fault(name: str, start: float, end: float) -> FaultFigure:
    return FaultFigure(name, name, "store", "latency", [start, end], start, end, True)


def test_names_of_faults_at_the_same_time_are_in_different_lanes() -> None:
    r = passed()
    r.faults = [fault("a", 10, 30), fault("b", 20, 40), fault("c", 45, 50), fault("never", 1, 1)]
    r.faults[3] = replace(r.faults[3], started_s=None, ended_s=None)
    made = [(f["name"], f["lane"], f["room"]) for f in bands.faults(story_of(r))]
    assert made == [("a", 0, 45), ("b", 1, 74.2), ("c", 0, 74.2)]


def test_a_fault_that_comes_again_is_named_once() -> None:
    r = passed()
    r.faults = [fault("cut", t, t + 1) for t in range(10, 20, 2)]
    assert [f["lane"] for f in bands.faults(story_of(r))] == [0, None, None, None, None]


def test_spikes_stand_out_among_phases() -> None:
    made = bands.phases(story_of(passed()))
    assert [(p["name"], p["from"], p["to"], p["spike"]) for p in made][2] == ("spike", 29, 44, True)
    assert sum(p["spike"] for p in made) == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (12, 800, [10, 20, 50, 100, 200, 500, 1000]),
        (1, 1, [1]),
        (0.001, 3000, [0.001, 0.01, 0.1, 1, 10, 100, 1000, 10_000]),
    ],
)
def test_marks_of_a_log_axis(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_infinity_lies_above_everything() -> None:
    scale = Scale.of([3.0, math.inf, None, 800.0])
    assert scale.place(math.inf) == 1600
    assert scale.place(None) is None
    assert scale.place(0.0) == 0.001
    assert 10 ** scale.axis("x")["range"][1] > 1600
    assert Scale.of([]).axis("x")["ticktext"]


def test_texts_for_plotly_hold_no_markup() -> None:
    assert plain("<b>&\u202e") == "&lt;b&gt;&amp;\\u202e"
