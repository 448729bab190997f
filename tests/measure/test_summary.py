"""Figures of a result, against answers known by arithmetic; and its round trip through plain data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from conservation import violations
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_samples import SECOND, delta, frame, timeline

from loadtool.errors import UsageError
from loadtool.measure.histogram import Histogram, highest_equivalent, quantise
from loadtool.measure.population import from_result, pool
from loadtool.measure.result import Engine, Quantiles, Result
from loadtool.measure.result_json import dump, load
from loadtool.measure.summary import ResultParts, result_parts
from loadtool.measure.tally import Tally


def bucket_ms(us: int) -> float:
    return highest_equivalent(quantise(us)) / 1000


def result_of(parts: ResultParts) -> Result:
    result = Result("0.1.0", "2026-01-01T00:00:00Z", 1, {"name": "x"}, "x.yaml", Engine(), 4.0, 500.0)
    parts.put_into(result)
    return result


def stalled_run() -> Tally:
    """A server that takes 5 ms, 200 arrivals/s for 20 s, and one second during which it answers nobody.

    The arrival that is due when the second begins takes 1005 ms; each that is due k·5 ms later waits for it
    and then takes its 5 ms: 1010 − 5k ms, until nobody waits any more.
    """
    tally = Tally(timeline(("spike", "spike", 20)), ["browse"], workers=1)
    times = [5_000] * 4000
    for k in range(202):
        times[2000 + k] = 1_005_000 if k == 0 else max(5_000, 1_010_000 - 5_000 * k)
    for second in range(20):
        mine = times[second * 200 : second * 200 + 200]
        tally.add(frame(0, second, second + 1.0, delta(second, ok=mine, lag=[20] * 200), final=second == 19))
    return tally


def test_a_stall_shows_in_full() -> None:
    parts = result_parts(stalled_run(), 20 * SECOND, 10.0)
    latency = parts.totals.latency_ms
    # 4000 samples: p99 is the 3960th, below the 40 longest (1005, 1005, 1000, … 815): 810 ms.
    assert latency.p99 == bucket_ms(810_000) == 810.495
    assert latency.p99_9 == bucket_ms(990_000)  # the fifth longest of 1005, 1005, 1000, 995, 990: rank 3996
    assert latency.max == 1005.0
    assert latency.p50 == latency.p90 == 5.003
    # 200 of them waited: 1005 and 1005, 1000, … 15 (k = 1 … 199), 10 (k = 200).
    total = 3799 * 5 + 1005 + sum(1010 - 5 * k for k in range(1, 201))
    assert latency.mean == total / 4000
    worst = [s.p99 for s in parts.series]
    assert worst.index(max(p for p in worst if p is not None)) == 10
    assert [s.p50 for s in parts.series if s.t not in (10.0, 11.0)] == [5.0] * 18


def test_every_failed_arrival_counts_as_infinite() -> None:
    tally = Tally(timeline(("spike", "spike", 4)), ["browse"])
    cell = delta(
        0, ok=[10_000] * 980, status=[20_000] * 5, check=[30_000], errors={"timeout": 4}, shed=[1_000] * 500
    )
    tally.add(frame(0, 0, 4.0, cell, final=True))
    spike = result_parts(tally, 4 * SECOND, 10.0).phases[0]
    # 990 arrivals that were not shed: p98 would be ok, p99 is rank 981, the first failed one.
    assert spike.latency_ms == Quantiles(10.0, 10.0, 10.0, None, None, 30.0, 9930 / 986)
    assert spike.ok_latency_ms == Quantiles(10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0)
    assert spike.shed_ms == Quantiles(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert spike.failed_share == 10 / 990
    assert (spike.scheduled, spike.ok, spike.shed) == (1490, 980, 500)
    assert spike.errors == {"status": 5, "check": 1, "timeout": 4}
    assert (spike.offered_per_s, spike.goodput_per_s) == (372.5, 245.0)


def story(seconds: float = 4.0) -> tuple[Tally, Result]:
    """Two phases with a fault over their boundary, two requests; cut after `seconds`."""
    axis = timeline(("warmup", "warmup", 1), ("spike", "spike", 3), faults=[("slow", 0.5, 2.0)])
    tally = Tally(axis, ["browse", "checkout"], workers=1)
    deltas = [
        delta(0, 0, 0, ok=[1000] * 10, lag=[50_000] * 10),
        delta(0, 1, 1, ok=[200_000] * 5, status=[1000], lag=[1]),
        delta(1, 2, 0, ok=[300_000] * 6, shed=[900] * 2, lag=[20_000, 9_000, 9_000, 9_000]),
        delta(2, 3, 0, ok=[2000] * 7, errors={"unsent": 3}),
        delta(3, 3, 1, ok=[3000] * 8, errors={"aborted": 1}),
    ]
    reached = [d for d in deltas if d.slice < seconds]
    tally.add(frame(0, 0, 1.0, *reached[:2], in_flight=4))
    tally.add(frame(0, 1, seconds, *reached[2:], final=True, cpu_ns=SECOND, retried=2))
    return tally, result_of(result_parts(tally, int(seconds * SECOND), 10.0))


def test_cells_phases_and_requests() -> None:
    _, result = story()
    assert [(c.phase, c.faults, c.request, c.seconds, c.scheduled) for c in result.cells] == [
        ("warmup", [], "browse", 0.5, 10),
        ("warmup", [], "checkout", 0.5, 0),
        ("warmup", ["slow"], "browse", 0.5, 0),
        ("warmup", ["slow"], "checkout", 0.5, 6),
        ("spike", ["slow"], "browse", 1.0, 8),
        ("spike", ["slow"], "checkout", 1.0, 0),
        ("spike", [], "browse", 2.0, 10),
        ("spike", [], "checkout", 2.0, 9),
    ]
    assert [(p.name, p.role, p.start_s, p.end_s, p.scheduled) for p in result.phases] == [
        ("warmup", "warmup", 0.0, 1.0, 16),
        ("spike", "spike", 1.0, 4.0, 27),
    ]
    assert result.phases[1].offered_per_s == 9.0
    assert [(r.name, r.scheduled, r.offered_per_s) for r in result.requests] == [
        ("browse", 28, 7.0),
        ("checkout", 15, 3.75),
    ]
    assert (result.totals.scheduled, result.totals.errors) == (
        43,
        {"status": 1, "unsent": 3, "aborted": 1},
    )
    assert [(s.t, s.scheduled, s.in_flight) for s in result.series] == [
        (0, 16, 4),
        (1, 8, 0),
        (2, 10, 0),
        (3, 9, 0),
    ]
    assert result.cells[4].sums_ms["ok"] == 1800.0
    assert result.cells[4].max_ms["lag"] == 20.0
    assert result.generator.lag_ms == {"p50": 9.007, "p99": 20.0, "max": 20.0}  # without the warm-up
    assert (result.generator.late_share, result.generator.unsent, result.generator.retried) == (0.25, 3, 2)


def test_a_run_cut_short_is_described_as_far_as_it_went() -> None:
    _, result = story(2.5)
    assert [(p.name, p.end_s) for p in result.phases] == [("warmup", 1.0), ("spike", 2.5)]
    assert result.phases[1].offered_per_s == 18 / 1.5
    assert len(result.series) == 3
    assert [c.seconds for c in result.cells] == [0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5]
    _, early = story(1.0)
    assert [p.name for p in early.phases] == ["warmup"]
    assert early.generator.lag_ms["max"] == 50.0  # nothing but the warm-up to speak of
    assert violations(early) == violations(result) == []


def test_what_was_due_just_as_the_run_was_ended_is_in_the_series() -> None:
    """The workers stop a moment after the coordinator has looked at its clock."""
    tally = Tally(timeline(("spike", "spike", 4)), ["browse"])
    cells = delta(1, ok=[1000]), delta(2, errors={"aborted": 1})
    tally.add(frame(0, 0, 2.1, *cells, final=True))
    result = result_of(result_parts(tally, 2 * SECOND, 10.0))
    assert [(s.t, s.scheduled) for s in result.series] == [(0, 0), (1, 1), (2, 1)]
    assert (result.totals.scheduled, violations(result)) == (2, [])


def test_series_histograms_hold_every_answer() -> None:
    _, result = story()
    for figures in result.series:
        hdr = HdrHistogram.decode(figures.hdr)
        assert hdr.get_total_count() == figures.ok + figures.errors.get("status", 0)


def test_ok_answers_have_a_histogram_of_their_own_where_others_failed() -> None:
    _, result = story()
    assert {bool(s.ok_hdr) for s in result.series} == {False, True}
    for figures in result.series:
        assert bool(figures.ok_hdr) == bool(figures.errors.get("status", 0))
        of_ok = HdrHistogram.decode(figures.ok_hdr or figures.hdr)
        assert of_ok.get_total_count() == figures.ok


def test_quiet_slices_are_there_too() -> None:
    tally = Tally(timeline(("spike", "spike", 3.5)), ["browse"])
    tally.add(frame(0, 0, 3.5, delta(2, ok=[1000]), final=True))
    series = result_parts(tally, int(3.5 * SECOND), 10.0).series
    assert [(s.t, s.scheduled, s.p99) for s in series] == [
        (0, 0, None),
        (1, 0, None),
        (2, 1, 1.0),
        (3, 0, None),
    ]


def test_cells_come_back_from_a_result_as_they_were() -> None:
    tally, result = story()
    cells = from_result(load(json.loads(json.dumps(dump(result)))))
    before = tally.populations(4 * SECOND)
    assert list(cells) == list(before)
    for key, population in before.items():
        assert cells[key] == replace(population, values=dict(population.awake()))
    assert pool(cells.items()).latency_ms(0.5) == result.totals.latency_ms.p50


def test_the_round_trip_through_json_is_exact() -> None:
    _, result = story()
    data = dump(result)
    assert next(iter(data)) == "format"
    assert data["histograms"][0]["class"] == "ok"
    assert "class_" not in data["histograms"][0]
    assert load(json.loads(json.dumps(data, allow_nan=False))) == result


def test_what_is_not_finite_becomes_null() -> None:
    _, result = story()
    result.totals.latency_ms.p99 = math.inf
    result.totals.latency_ms.mean = math.nan
    assert dump(result)["totals"]["latency_ms"]["p99"] is None
    assert dump(result)["totals"]["latency_ms"]["mean"] is None


def test_keys_of_a_newer_version_are_ignored() -> None:
    _, result = story()
    data = dump(result)
    data["news"] = {}
    data["engine"]["news"] = data["cells"][0]["news"] = data["histograms"][0]["news"] = 1
    assert load(data) == result


GONE = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), GONE, "not a result: got no `format`, want a result.json that loadtool wrote"),
        (("format",), "1", "format: got 1, want 1"),
        (("format",), 0, "format: got 0, want 1"),
        (("format",), True, "format: got true, want 1"),
        (("format",), 2, "format: got 2, written by loadtool 0.1.0, want 1; update loadtool to read it"),
        (("seed",), GONE, "not a result: seed: is missing"),
        (("cells", 1, "scheduled"), "x", "not a result: cells[1].scheduled: got x, want a valid integer"),
        (("histograms", 0, "class"), GONE, "not a result: histograms[0].class: is missing"),
        (("histograms",), {}, "not a result: histograms: got a mapping, want a valid list"),
        (
            ("histograms", 0),
            5,
            "not a result: histograms[0]: got 5, want a dictionary or an instance of HistogramEntry",
        ),
        (
            ("profile", "steady_state"),
            [{"name": "a"}, {}],
            "not a result: profile.steady_state[1]: got a mapping, want a mapping with a name",
        ),
        (("profile", "probes"), [1], "not a result: profile.probes[0]: got 1, want a mapping with a name"),
        (("profile", "probes"), 7, "not a result: profile.probes: got 7, want a list"),
        (
            ("examples",),
            [{"due_s": 1.5}, {}, {"due_s": "soon"}],
            "not a result: examples[2].due_s: got soon, want a number",
        ),
    ],
)
def test_what_is_no_result_is_refused_in_one_line(path: tuple[Any, ...], value: Any, message: str) -> None:
    data = dump(story()[1])
    at = data
    for step in path[:-1]:
        at = at[step]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    with pytest.raises(UsageError) as caught:
        load(data)
    assert str(caught.value) == message


def test_many_problems_are_summed_up() -> None:
    data = dump(story()[1])
    for cell in data["cells"]:
        cell["scheduled"] = None
    with pytest.raises(
        UsageError,
        match=r"^not a result: (cells\[\d\]\.scheduled: got nothing, want a valid integer; ){3}and 5 more$",
    ):
        load(data)
    for other in (None, 5, "text", []):
        with pytest.raises(UsageError, match=r"^not a result: got no `format`"):
            load(other)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda r: r.histograms.__setitem__(0, replace(r.histograms[0], hdr="x")),
            "result: histograms[0].hdr: not an",
        ),
        (
            lambda r: r.histograms.__setitem__(0, replace(r.histograms[0], phase="x")),
            "result: histograms[0] belongs",
        ),
        (lambda r: r.cells.append(r.cells[0]), "result: cells[8] is there twice"),
        (
            lambda r: r.cells[2].errors.update(odd=1),
            "result: cells[2].errors: got 'odd', want one of status, check",
        ),
    ],
)
def test_entries_that_make_no_sense_are_refused(spoil: Any, message: str) -> None:
    result = story()[1]
    spoil(result)
    with pytest.raises(UsageError) as caught:
        from_result(result)
    assert str(caught.value).startswith(message)


def test_a_histogram_class_of_a_newer_version_is_ignored() -> None:
    result = story()[1]
    result.histograms.append(replace(result.histograms[0], class_="proxy"))
    assert from_result(result) == from_result(story()[1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: setattr(r.totals, "ok", 1), "totals: 43 scheduled, 8 ended"),
        (lambda r: setattr(r.phases[0], "shed", 1), "phase warmup: 16 scheduled, 17 ended"),
        (lambda r: r.series[1].errors.update(tls=2), "slice 1 s: 8 scheduled, 10 ended"),
        (lambda r: setattr(r.series[1], "attempts", 2), "series: attempts add up to 37, totals say 43"),
        (lambda r: r.requests.pop(), "requests: scheduled add up to 28, totals say 43"),
        (lambda r: setattr(r.cells[0], "scheduled", 9), "cell warmup  browse: 9 scheduled, 10 ended"),
        (lambda r: r.cells[0].client.update(retries=2), "cells: client.retries add up to 2, totals say 0"),
        (
            lambda r: r.histograms.__setitem__(0, replace(r.histograms[0], hdr=Histogram().encode())),
            "histograms: 26 times for 36 answers of class ok",
        ),
    ],
)
def test_violations_of_conservation_are_found_in_a_file(spoil: Any, message: str) -> None:
    result = story()[1]
    assert violations(result) == []
    spoil(result)
    assert message in violations(result)


def test_what_clients_did_is_told_by_phase_and_request_and_comes_back_from_the_file() -> None:
    tally = Tally(timeline(("baseline", "baseline", 2), ("spike", "spike", 2)), ["a", "b"])
    marks = {"retries": 5, "exhausted": 1, "throttled": 2}
    cells = (
        delta(1, 0, 0, ok=[9], marks={"retries": 1}),
        delta(2, 1, 1, ok=[9], errors={"unsent": 3}, marks=marks),
    )
    tally.add(frame(0, 0, 4.0, *cells, final=True))
    result = load(dump(result_of(result_parts(tally, 4 * SECOND, 10.0))))
    assert violations(result) == []
    assert result.totals.client == {"retries": 6, "exhausted": 1, "throttled": 2}
    assert [p.client for p in result.phases] == [{"retries": 1}, marks]
    assert [r.client for r in result.requests] == [{"retries": 1}, marks]
    assert result.generator.unsent == 1  # two were held back by the client's own will
    assert pool(from_result(result).items()).client == result.totals.client


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 1), st.integers(0, 20), st.integers(0, 5), st.integers(0, 5)
        ),
        max_size=12,
    )
)
def test_parts_always_add_up_to_the_totals(cells: list[tuple[int, int, int, int, int]]) -> None:
    tally = Tally(timeline(("baseline", "baseline", 2), ("spike", "spike", 2)), ["a", "b"])
    deltas = [
        delta(s, s // 2, r, ok=[(s + 1) * 1000] * ok, shed=[5] * shed, errors={"reset": reset})
        for s, r, ok, shed, reset in cells
    ]
    tally.add(frame(0, 0, 4.0, *deltas, final=True))
    result = result_of(result_parts(tally, 4 * SECOND, 10.0))
    assert tally.conservation() == violations(result) == []
    assert load(dump(result)) == result
