from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from report_samples import HOSTILE
from report_snapshots import STAGE, snapshot

import loadtool
from loadtool.measure.books import Books
from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import H_LAG, H_OK, OK, OUTCOMES, SHED
from loadtool.measure.snapshot import PhaseNow
from loadtool.report import prometheus
from loadtool.report.prometheus import State

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def phase(name: str, ok_us: tuple[int, ...], lag_us: tuple[int, ...] = (), **others: int) -> PhaseNow:
    """A phase with these times; `others`: arrivals by outcome."""
    books = Books(attempts=100, good=1)
    books.counts[OK] = len(ok_us)
    for outcome, count in others.items():
        books.counts[OUTCOMES.index(outcome)] = count
    books.scheduled = sum(books.counts) + 1  # one is under way
    for code, values in ((H_OK, ok_us), (H_LAG, lag_us)):
        books.values[code] = Histogram()
        for value in values:
            books.values[code].record(value)
    return PhaseNow(
        name, name, books.scheduled, books.ok, books.shed, books.failed, None, None, None, books=books
    )


def state(*phases: PhaseNow, **changes: object) -> State:
    now = replace(snapshot(35.5), phases=phases, **changes)
    return State(STAGE, now, frozenset(["slow-store"]))


SPIKE = phase("spike", (400, 4000, 4_000_000), (100, 300), shed=3, timeout=2, reset=1)


def samples(of: State, accept: str = prometheus.OPENMETRICS) -> Samples:
    """Every sample by name and labels, as Prometheus's own parsers read them."""
    kind, body = prometheus.render(of, accept)
    read = read_openmetrics if kind.startswith(prometheus.OPENMETRICS) else read_text
    found: Samples = {}
    for family in read(body.decode("utf-8")):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_counters_by_phase_and_kind() -> None:
    found = samples(state(phase("baseline", ()), SPIKE))
    counts = {"arrivals": 10, "ok": 3, "good": 1, "shed": 3, "attempts": 100}
    assert {name: value(found, f"loadtool_{name}_total", phase="spike") for name in counts} == counts
    errors = {
        dict(labels)["kind"]: n
        for (name, labels), n in found.items()
        if name == "loadtool_errors_total" and ("phase", "spike") in labels
    }
    assert errors == {**dict.fromkeys(OUTCOMES[SHED + 1 :], 0), "timeout": 2, "reset": 1}
    assert value(found, "loadtool_arrivals_total", phase="baseline") == 1


def test_response_times_count_failed_arrivals_as_infinite() -> None:
    found = samples(state(SPIKE))
    upto = {
        dict(labels)["le"]: n
        for (name, labels), n in found.items()
        if name == "loadtool_response_time_seconds_bucket"
    }
    assert [float(bound) for bound in upto] == [*prometheus.RESPONSE_BOUNDS_S, math.inf]
    expected = {"0.001": 1, "0.0025": 1, "0.005": 2, "2.5": 2, "5.0": 3, "60.0": 3, "+Inf": 6}
    assert {bound: upto[bound] for bound in expected} == expected


def test_the_send_lag_has_a_sum() -> None:
    found = samples(state(SPIKE))
    assert value(found, "loadtool_send_lag_seconds_count", phase="spike") == 2
    assert value(found, "loadtool_send_lag_seconds_sum", phase="spike") == pytest.approx(400e-6)
    assert value(found, "loadtool_send_lag_seconds_bucket", phase="spike", le="0.0001") == 1
    assert value(found, "loadtool_send_lag_seconds_bucket", phase="spike", le="0.0005") == 2


def test_gauges_tell_how_it_stands() -> None:
    found = samples(state(SPIKE, in_flight=17, waiting=3, p50_ms=12.5, p99_ms=math.inf, lag_p99_ms=0.3))
    about = {"version": loadtool.__version__, "profile": STAGE.name, "target": STAGE.target}
    assert value(found, "loadtool_info", **about) == 1
    assert value(found, "loadtool_elapsed_seconds") == 35.5
    assert (value(found, "loadtool_in_flight"), value(found, "loadtool_waiting")) == (17, 3)
    assert (value(found, "loadtool_workers"), value(found, "loadtool_workers_alive")) == (1, 1)
    assert value(found, "loadtool_recent_response_time_seconds", quantile="0.5") == pytest.approx(0.0125)
    assert value(found, "loadtool_recent_response_time_seconds", quantile="0.99") == math.inf
    assert value(found, "loadtool_recent_send_lag_seconds", quantile="0.99") == pytest.approx(0.0003)
    active = {name: value(found, "loadtool_phase_active", phase=name) for name in ("baseline", "spike")}
    assert active == {"baseline": 0, "spike": 1}
    assert value(found, "loadtool_fault_active", fault="slow-store") == 1


def test_both_formats_say_the_same() -> None:
    assert {k: v for k, v in samples(state(SPIKE), "text/plain").items() if k[0] != "loadtool_info"} == {
        k: v for k, v in samples(state(SPIKE)).items() if k[0] != "loadtool_info"
    }
    assert prometheus.render(state(SPIKE), "application/openmetrics-text")[1].endswith(b"# EOF\n")


def test_before_the_load_there_is_only_what_it_is() -> None:
    assert set(samples(State())) == {("loadtool_info", frozenset({("version", loadtool.__version__)}))}
    assert {name for name, _ in samples(State(STAGE))} == {"loadtool_info"}


def test_hostile_names_stay_labels() -> None:
    name = HOSTILE.replace("\udcff", "")  # no name has half a character: YAML is UTF-8
    stage = replace(STAGE, name=name, phases=(replace(STAGE.phases[0], name=name),))
    found = samples(State(stage, state(phase(name, (1,))).now, frozenset([name])))
    assert value(found, "loadtool_ok_total", phase=name) == 1
    assert value(found, "loadtool_fault_active", fault=name) == 1
    assert any(labels >= {("profile", name)} for n, labels in found if n == "loadtool_info")


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; version=1.0.0", True),
        # What Prometheus 2 and 3 send.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3",
            True,
        ),
        ("text/plain;version=0.0.4, application/openmetrics-text;q=0", False),
        (";;,,;q=,", False),
        ("application/openmetrics-textual", False),
    ],
)
def test_the_client_chooses_the_format(accept: str, openmetrics: bool) -> None:
    kind, _ = prometheus.render(state(SPIKE), accept)
    assert kind == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
        if openmetrics
        else "text/plain; version=0.0.4; charset=utf-8"
    )
