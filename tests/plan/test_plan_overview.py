from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtool.plan import overview
from loadtool.plan.build import build_job, endpoint_of
from loadtool.plan.job import FaultWindow
from loadtool.plan.overview import Overview, PhaseOverview, RequestOverview
from loadtool.plan.schedule import Schedule
from loadtool.profile.load import load_profile

S = 1_000_000_000
MS = 1_000_000

HEAD = """\
name: shop
target: http://127.0.0.1:8080
arrivals: constant
requests:
  - {name: browse, weight: 3, get: /}
  - {name: buy, weight: 1, post: /buy}
"""
PHASES = """\
phases:
  - {name: warmup,   rate: 20/s,  for: 5s}
  - {name: baseline, rate: 50/s,  for: 24s}
  - {name: spike,    rate: 500/s, for: 15s, ramp: 1s}
  - {name: recovery, rate: 50/s,  for: 30s}
"""
STORE = "proxies: {store: {upstream: '127.0.0.1:1'}}\n"

Look = Callable[..., Overview]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def look(text: str, points: int = 5) -> Overview:
        file = tmp_path / "p.yaml"
        file.write_text(text)
        loaded = load_profile(file, environment={})
        job = build_job(loaded, endpoint=endpoint_of(loaded.profile.target))
        return Overview.of(job, loaded, points=points)

    return look


def test_figures(look: Look) -> None:
    fault = "faults: [{name: cut, at: spike+5s, for: 5s, proxy: store, down: true}]\n"
    o = look(HEAD + PHASES + STORE + fault + "client: {timeout: 2s}\n")
    assert (o.name, o.arrivals_kind, o.seed, o.duration_ns) == ("shop", "constant", 1, 74 * S)
    assert (o.arrivals, o.exact) == (10075, True)
    assert o.phases == (
        PhaseOverview("warmup", "warmup", 0, 5 * S, 20, 20, 100),
        PhaseOverview("baseline", "baseline", 5 * S, 29 * S, 50, 50, 1200),
        PhaseOverview("spike", "spike", 29 * S, 44 * S, 50, 500, 7275),
        PhaseOverview("recovery", "recovery", 44 * S, 74 * S, 50, 50, 1500),
    )
    assert [(r.name, r.method, r.path, r.share) for r in o.requests] == [
        ("browse", "GET", "/", 0.75),
        ("buy", "POST", "/buy", 0.25),
    ]
    assert sum(r.arrivals for r in o.requests) == 10075
    assert (o.peak_rate, o.peak_at_ns) == (500, 30 * S)
    assert (o.timeout_ns, o.connections_needed, o.connections_at_ns, o.connections) == (
        2 * S,
        1000,
        32 * S,
        1000,
    )
    assert not o.capped
    assert o.faults == (FaultWindow("cut", 34 * S, 39 * S),)
    assert o.curve == tuple(((74 * S - 1) * i // 4, rate) for i, rate in enumerate([20, 50, 500, 50, 50]))
    assert o.warnings == ()


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_counts_are_those_of_the_run(look: Look, tmp_path: Path, kind: str) -> None:
    o = look(HEAD.replace("constant", kind) + PHASES)
    loaded = load_profile(tmp_path / "p.yaml", environment={})
    batches = list(Schedule(build_job(loaded, endpoint=endpoint_of("http://a"))).batches())
    assert o.arrivals == sum(len(b.due) for b in batches)
    for i, r in enumerate(o.requests):
        assert r.arrivals == sum(b.request.count(i) for b in batches)
    for p in o.phases:
        assert p.arrivals == sum(p.start_ns <= due < p.end_ns for b in batches for due in b.due)


def test_past_counting_figures_are_expectations(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "COUNTED", 1000)
    o = look(HEAD + PHASES)
    assert not o.exact
    assert [p.arrivals for p in o.phases] == [100, 1200, 7275, 1500]
    assert [(r.name, r.arrivals) for r in o.requests] == [("browse", 7556), ("buy", 2519)]
    assert isinstance(o.requests[0], RequestOverview)


def test_connections_are_capped_and_it_says_so(look: Look) -> None:
    o = look(HEAD + PHASES + "client: {timeout: 10s, connections: 700}\n")
    assert (o.connections_needed, o.connections, o.capped) == (5000, 700, True)
    assert [w.partition(": ")[2] for w in o.warnings] == [
        "client.connections: 700 are fewer than the 5,000 arrivals within one timeout (10s, up to 40s): "
        "if the "
        "service stalls, the rest queue here, and the wait counts; want 5,000, or a shorter timeout"
    ]


def phases(*lines: str) -> str:
    return HEAD + "client: {timeout: 1s}\nphases:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


BASELINE = "name: baseline, rate: 50/s, for: 20s"
SPIKE = "name: spike, rate: 500/s, for: 10s"
LONE = phases("name: baseline, rate: 1/s, for: 1s")
CALM = phases(BASELINE, SPIKE, "name: recovery, rate: 50/s, for: 30s")
TOXIC = """\
faults:
  - {name: flaky, at: spike, for: 5s, proxy: store, toxic: latency, latency: 1s, toxicity: 10%}
"""
FRONT = "proxies: {store: {upstream: target}}\n"
ROLL = (
    "faults[0].toxicity: 10% is rolled once per connection, not per request, so 10% of connections are hit; "
)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (CALM, []),
        (LONE + "slos: [p99 < 1s, error rate < 1%]\n", [
            "10: slos[0]: p99 < 1s: 1 arrival leaves 0.0 beyond p99, too few to decide it if it is close; "
            "want 1,000 arrivals, or a lower quantile",
            "10: slos[1]: error rate < 1%: among 1 arrival a single error fails it; want more than 100 "
            "arrivals, or a laxer threshold",
        ]),
        # Objectives: 1000 in the baseline, 5000 in the spike, 1500 in recovery; a quarter of them buy.
        (CALM + "slos: [p99 < 1s during baseline, p99.9 < 1s, max < 1s during spike, error rate < 0.1%]\n", [
            "12: slos[1]: p99.9 < 1s: 7,500 arrivals leave 7.5 beyond p99.9, too few to decide it if it "
            "is close; "
            "want 10,000 arrivals, or a lower quantile",
        ]),
        (CALM + "slos:\n  - p99 < 1s during baseline for buy\n  - shed p99 < 1s during baseline for buy\n", [
            "13: slos[0]: p99 < 1s during baseline for buy: BUY arrivals leave BEYOND beyond p99, too "
            "few to decide it "
            "if it is close; want 1,000 arrivals, or a lower quantile",
        ]),
        (CALM + "slos: [error rate < 0.01%, error rate <= 0%]\n", [
            "12: slos[0]: error rate < 0.01%: among 7,500 arrivals a single error fails it; want more "
            "than 10,000 "
            "arrivals, or a laxer threshold",
        ]),
        # Objectives that no run can pass.
        (CALM + "slos: [error rate < 0%, goodput retention > 100%, goodput < 0/s, latency growth < 0x]\n", [
            "12: slos[0]: error rate < 0%: no run can pass it: error rate is never below 0%; want <= 0%",
            "12: slos[1]: goodput retention > 100%: no run can pass it: goodput retention is never above "
            "100%; want >= 100%",
            "12: slos[2]: goodput < 0/s: no run can pass it: goodput is never below 0/s; want <= 0/s",
            "12: slos[3]: latency growth < 0x: no run can pass it: latency growth is never below 0x; "
            "want <= 0x",
        ]),
        (CALM + "slos: [hysteresis < 0%, error rate >= 0%, error rate < 100%, end retention >= 100%]\n", []),
        (phases(BASELINE, "name: pause, rate: 0, for: 5s") + "slos: [p50 < 1s during pause, p50 < 1s]\n", [
            "11: slos[0]: p50 < 1s during pause: covers no arrivals, so nothing decides it; raise the "
            "rate there",
        ]),
        # A fault of 1 s in the spike covers 500.
        (CALM + STORE + "faults: [{name: cut, at: spike, for: 1s, proxy: store, down: true}]\n"
         "slos: [p99 < 1s during cut, p98 < 1s during cut]\n", [
            "14: slos[0]: p99 < 1s during cut: 500 arrivals leave 5.0 beyond p99, too few to decide it "
            "if it is close; "
            "want 1,000 arrivals, or a lower quantile",
        ]),
        # Faults that are over before they are in, by their own length or by the run's end.
        (CALM + STORE + "faults: [{name: cut, at: spike, for: 20ms, proxy: store, down: true}]\n", [
            "13: faults[0]: cut lasts 20ms, hardly longer than it takes to put it in: it may come too late, "
            "and the run be invalid; want 100ms or more",
        ]),
        (CALM + STORE + "faults: [{name: cut, at: recovery+29950ms, proxy: store, down: true}]\n", [
            "13: faults[0]: cut lasts 50ms, hardly longer than it takes to put it in: it may come too late, "
            "and the run be invalid; want 100ms or more",
        ]),
        (CALM + STORE + "faults: [{name: cut, at: spike, for: 100ms, proxy: store, down: true}]\n", []),
        # Toxicity.
        (CALM + STORE + TOXIC, [
            f"14: {ROLL}how many requests that is depends on how the service reuses its connections",
        ]),
        (CALM + FRONT + TOXIC, [f"14: {ROLL}client: {{keepalive: false}} rolls it for each request"]),
        (CALM.replace("1s}", "1s, keepalive: false}") + FRONT + TOXIC, []),
        (CALM + STORE + TOXIC.replace("10%", "100%"), []),
        # Ramps with toxicity, and commands that nothing takes back.
        (CALM + FRONT + TOXIC.replace("10%", "10%, ramp: 1s"), [
            f"14: {ROLL}client: {{keepalive: false}} rolls it for each request",
            "14: faults[0].ramp: a ramp updates the toxic again and again, and each time a Toxiproxy that is "
            "not the embedded one rolls anew which 10% of the connections are hit; leave out the ramp or the "
            "toxicity",
        ]),
        (CALM + STORE + TOXIC.replace("toxicity: 10%", "ramp: 1s"), []),
        (CALM + "faults: [{name: stop, at: spike, for: 1s, run: docker stop db}]\n", [
            "12: faults[0]: has no `undo`: when the fault ends the command is ended if it still runs, and no "
            "more; add one unless that takes back all that it does",
        ]),
        (CALM + "faults: [{name: stop, at: spike, for: 1s, run: x, undo: docker start db}]\n", []),
        # One that comes twice for 1 s in the spike covers 1000.
        (CALM + STORE + "faults: [{name: cut, at: [spike, spike+5s], for: 1s, proxy: store, down: true}]\n"
         "slos: [p99 < 1s during cut, p99.1 < 1s during cut]\n", [
            "14: slos[1]: p99.1 < 1s during cut: 1,000 arrivals leave 9.0 beyond p99.1, too few to decide it "
            "if it is close; want 1,111 arrivals, or a lower quantile",
        ]),
        # Windows that lie nowhere: from 20.5 s to 23.5 s are two whole seconds.
        (phases("name: warmup, rate: 1000/s, for: 20500ms", "name: baseline, rate: 1000/s, for: 3s")
         + "slos: [error rate < 5% in any 3s during baseline, error rate < 5% in any 2s during baseline, "
         "error rate < 5% in any 3s, error rate < 5% in any 3s during warmup]\n", [
            "11: slos[0]: error rate < 5% in any 3s during baseline: it needs 3 of the run's whole slices of "
            "1 s in a row, and baseline holds 2, so nothing decides it; want a shorter window, or baseline "
            "to last longer",
            "11: slos[2]: error rate < 5% in any 3s: it needs 3 of the run's whole slices of 1 s in a row, "
            "and the run holds 2, so nothing decides it; want a shorter window, or the run to last longer",
        ]),
        (CALM + STORE
         + "faults: [{name: cut, at: [spike+500ms, spike+5s], for: 2s, proxy: store, down: true}]\n"
         "slos: [error rate < 5% in any 2s during cut]\n", []),
        (CALM + STORE + "faults: [{name: cut, at: spike+500ms, for: 1s, proxy: store, down: true}]\n"
         "slos: [error rate < 5% in any 1s during cut]\n", [
            "14: slos[0]: error rate < 5% in any 1s during cut: it needs 1 of the run's whole slices of 1 s "
            "in a row, and cut holds 0, so nothing decides it; want a shorter window, or cut to last longer",
        ]),
        # Of over a quarter of an hour slices are wider.
        (phases("name: baseline, rate: 50/s, for: 1000s", "name: after, rate: 50/s, for: 3s, role: baseline")
         + "slos: [error rate < 5% in any 3s during after]\n", [
            "11: slos[0]: error rate < 5% in any 3s during after: it needs 2 of the run's whole slices of "
            "2 s in a row, and after holds 1, so nothing decides it; want a shorter window, or after to last "
            "longer",
        ]),
        # Spikes without what they are judged by.
        (phases(SPIKE, "name: recovery, rate: 50/s, for: 30s"), [
            "9: phases[0]: spike has no baseline phase before it to be judged against; add one with "
            "role: baseline",
        ]),
        (phases(BASELINE, SPIKE), [
            "10: phases[1]: spike has no recovery phase after it, so nothing shows whether the service "
            "comes back; "
            "add one with role: recovery, at the baseline's rate",
        ]),
        # Recoveries too short.
        (phases(BASELINE, SPIKE, "name: recovery, rate: 50/s, for: 9s"), [
            "11: phases[2].for: recovery from spike is watched for 9s, less than one window of 10s: too "
            "short to prove "
            "it; watch for 30s",
        ]),
        (phases(BASELINE, SPIKE, "name: recovery, rate: 50/s, for: 29s"), [
            "11: phases[2].for: recovery from spike is watched for 29s: a backlog that drains for longer "
            "reads as "
            "stayed-down; 30s tell them apart better",
        ]),
        (phases("name: baseline, rate: 3/s, for: 20s", SPIKE, "name: recovery, rate: 3/s, for: 60s"), [
            "11: phases[2].for: recovery from spike is watched for 1m: a backlog that drains for longer "
            "reads as "
            "stayed-down; 1m40s tell them apart better",
        ]),
        (phases(BASELINE, SPIKE, "name: recovery, rate: 60/s, for: 60s"), [
            "11: phases[2].for: recovery from spike can't be measured: up to the end of recovery the "
            "rate is above 1.1 "
            "× the baseline's or a fault is active; add 30s without either",
        ]),
        (CALM.replace("timeout: 1s", "timeout: 31s, connections: 10000"), [
            "7: client.timeout: 31s is longer than recovery from spike is watched (30s), so requests of "
            "the spike may "
            "be open to the end; shorten the timeout or lengthen recovery",
        ]),
    ],
)  # fmt: skip
def test_doubts(look: Look, tmp_path: Path, text: str, want: list[str]) -> None:
    buys = next(r.arrivals for r in look(phases(BASELINE)).requests if r.name == "buy")
    want = [w.replace("BUY", str(buys)).replace("BEYOND", f"{buys / 100:.1f}") for w in want]
    o = look(text)
    assert list(o.warnings) == [f"{tmp_path}/p.yaml:{w}" for w in want]
