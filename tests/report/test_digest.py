from __future__ import annotations

import random
import statistics
from dataclasses import astuple

import pytest
from report_samples import SAMPLES, failed, invalid, passed

from loadtool.measure.result import FaultFigure, Figures, Probe
from loadtool.report import digest, markdown, terminal


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_conserve(name: str) -> None:
    r = SAMPLES[name]()
    for f in (r.totals, *r.phases, *r.requests):
        assert f.scheduled == f.ok + f.shed + sum(f.errors.values())
    for s in r.series:
        assert s.scheduled == s.ok + s.shed + sum(s.errors.values())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("passed", "all 4 SLOs were met."),
        ("failed", "2 of 5 SLOs were not met."),
        ("invalid", "this run proves nothing about the target."),
        ("interrupted", "cut short, and so never a pass."),
        ("empty", "cut short, and so never a pass."),
    ],
)
def test_the_verdict_in_one_sentence(name: str, sentence: str) -> None:
    assert digest.headline(SAMPLES[name]()) == sentence


@pytest.mark.parametrize(
    ("verdict", "slos", "sentence"),
    [
        ("pass", 0, "the profile has no SLOs."),
        ("pass", 1, "its SLO was met."),
        ("pass", 2, "both SLOs were met."),
        ("inconclusive", 5, "no SLO failed, but 1 of 5 SLOs could not be decided."),
        ("", 0, "this result has not been judged."),
    ],
)
def test_sentences_count(verdict: str, slos: int, sentence: str) -> None:
    r = failed()
    r.verdict, r.slos = verdict, r.slos[:slos]
    assert digest.headline(r) == sentence


def test_problems_are_told_once() -> None:
    r = invalid()
    r.problems = [r.reasons[0], "a worker was killed"]
    assert digest.reasons(r) == [r.reasons[0], "a worker was killed"]


def test_a_passed_run_needs_no_reasons() -> None:
    r = passed()
    r.reasons, r.problems = ["4 SLOs met"], ["teardown: it failed"]
    assert digest.reasons(r) == ["teardown: it failed"]


def test_very_many_reasons_are_counted() -> None:
    r = failed()
    r.reasons, r.problems = [f"p99 < {n}ms: 900 ms" for n in range(12)], []
    assert digest.reasons(r) == r.reasons
    r.problems = ["teardown: it failed"]
    assert digest.reasons(r) == [*r.reasons[:11], "and 2 more"]


def test_warnings_are_told_whatever_the_verdict_and_however_many_reasons() -> None:
    said = "teardown: it failed (the verdict does not depend on it)"
    for r in (passed(), invalid()):
        r.warnings = ["teardown: it failed"]
        assert digest.reasons(r)[-1] == said
    r.reasons = [f"p99 < {n}ms: 900 ms" for n in range(13)]
    assert digest.reasons(r)[-2:] == ["and 2 more", said]


def test_how_busy_is_told_where_it_is_known() -> None:
    r = passed()
    r.generator.cpu_share = 0.42
    assert dict(digest.health(r))["workers"].endswith("; busiest at 42% of a core")
    r.generator.cpu_share = 0.0
    assert "busiest" not in dict(digest.health(r))["workers"]


def test_errors_come_by_number_with_their_first_example() -> None:
    r = passed()
    r.examples.append({"kind": "timeout", "request": "later", "due_s": 40.0, "detail": "another one"})
    timeout, reset = digest.errors(r)
    assert (timeout.kind, timeout.n, timeout.detail, timeout.request, timeout.due_s) == (
        "timeout",
        60,
        "no answer within 2s",
        "checkout",
        35.21,
    )
    assert timeout.of_all == pytest.approx(60 / 10300)
    assert (reset.kind, reset.n) == ("reset", 15)


def test_an_error_without_an_example_is_counted_all_the_same() -> None:
    r = passed()
    r.examples = []
    assert [(e.kind, e.n, e.detail) for e in digest.errors(r)] == [("timeout", 60, ""), ("reset", 15, "")]


def test_probes_are_told_apart_by_the_faults_real_windows() -> None:
    r = passed()
    r.faults = [
        FaultFigure("slow", "", "store", "latency", [10.0, 20.0], 10.0, 20.0, True),
        FaultFigure("cut", "", "store", "down", [15.0, 25.0], 15.0, None, False),
        FaultFigure("never", "", "store", "down", [0.0, 5.0]),
    ]
    r.elapsed_s = 30.0
    r.probes = [
        Probe("store", 1.0, True, 1.0),
        Probe("store", 2.0, True, 3.0),
        Probe("store", 9.9, True, 2.0),
        Probe("store", 9.95, True, 100.0),
        Probe("store", 10.0, True, 200.0),
        Probe("store", 16.0, False, None),
        Probe("store", 20.0, False, None),
    ]
    outside, slow, cut = digest.probes(r)
    assert (outside.fault, outside.n, outside.failed, outside.least, outside.median, outside.most) == (
        None,
        3,
        0,
        1.0,
        2.0,
        3.0,
    )
    assert (slow.fault, slow.n, slow.failed, slow.median) == ("slow", 3, 1, 150.0)
    assert (cut.fault, cut.n, cut.failed, cut.median) == ("cut", 2, 2, None)


def told_of(name: str, fault: str | None, taken: list[Probe]) -> tuple[object, ...]:
    ms = [p.ms for p in taken if p.ok and p.ms is not None]
    spread = (min(ms), statistics.median(ms), max(ms)) if ms else (None, None, None)
    return (name, fault, len(taken), sum(not p.ok for p in taken), *spread)


@pytest.mark.parametrize("seed", range(50))
def test_probes_are_told_apart_as_by_looking_at_every_window(seed: int) -> None:
    """Windows that overlap, touch, are empty or end before they begin, and answers on their very edges."""
    rng = random.Random(seed)
    r = passed()
    r.elapsed_s = 30.0
    r.faults, windows = [], []
    for _ in range(rng.randrange(9)):
        name, start = rng.choice("abc"), float(rng.randrange(35))
        end = rng.choice((None, start, start + rng.randrange(-1, 12)))
        r.faults.append(FaultFigure(name, "", "store", "down", [], start, end, True))
        windows.append((name, start, r.elapsed_s if end is None else end))
    r.probes = [
        Probe(rng.choice("xy"), rng.randrange(80) / 2, ok, rng.choice((None, 0.0, 500.0, 9000.0)))
        for ok in rng.choices((True, False), k=200)
    ]

    def felt(p: Probe, *names: str) -> bool:
        answered = p.t + (p.ms or 0.0) / 1000
        return any(name in names and p.t < end and answered >= start for name, start, end in windows)

    faults = dict.fromkeys(name for name, _, _ in windows)
    expected = []
    for probe in dict.fromkeys(p.name for p in r.probes):
        mine = [p for p in r.probes if p.name == probe]
        expected.append(told_of(probe, None, [p for p in mine if not felt(p, *faults)]))
        expected += [told_of(probe, fault, [p for p in mine if felt(p, fault)]) for fault in faults]
    assert [astuple(row) for row in digest.probes(r)] == expected


class Moment(float):
    """Counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        Moment.compared += 1
        return float(self) < other

    def __le__(self, other: float) -> bool:
        Moment.compared += 1
        return float(self) <= other

    def __gt__(self, other: float) -> bool:
        Moment.compared += 1
        return float(self) > other

    def __ge__(self, other: float) -> bool:
        Moment.compared += 1
        return float(self) >= other


def test_a_day_of_probes_is_not_held_against_every_window_one_by_one() -> None:
    r = passed()
    r.elapsed_s = 86_400.0
    r.faults = [
        FaultFigure("often", "", "store", "down", [], Moment(900 * n), Moment(900 * n + 300), True)
        for n in range(96)
    ]
    r.probes = [Probe("store", 50.0 * n, True, 1.0) for n in range(1728)]
    Moment.compared = 0
    outside, often = digest.probes(r)
    assert (outside.n, often.n) == (1728 * 2 // 3, 1728 // 3)
    assert Moment.compared < 30 * len(r.probes)


@pytest.mark.parametrize(
    ("fault", "planned", "actual", "removal"),
    [
        (
            FaultFigure("f", "", "p", "t", [34.0, 39.0], 34.01, 39.02, True),
            "34.0 – 39.0 s",
            "34.01 – 39.02 s",
            "removed",
        ),
        (FaultFigure("f", "", "p", "t", [34.0, 39.0], 34.01), "34.0 – 39.0 s", "34.01 s – ?", "NOT REMOVED"),
        (FaultFigure("f", "", "p", "t", [34.0, 39.0]), "34.0 – 39.0 s", "never placed", "nothing to remove"),
        (FaultFigure("f", "", "p", "t", problem="refused"), "n/a", "never placed", "NOT REMOVED"),
        (
            FaultFigure("f", "", "p", "t", problem="late", removed=True),
            "n/a",
            "never placed",
            "nothing to remove",
        ),
    ],
)
def test_a_fault_as_planned_and_as_it_was(
    fault: FaultFigure, planned: str, actual: str, removal: str
) -> None:
    assert (digest.planned(fault), digest.actual(fault), digest.removal(fault)) == (planned, actual, removal)


def test_a_quantile_is_infinite_only_where_something_was_due() -> None:
    assert digest.quantile(Figures(scheduled=5, shed=1), None) == "∞"
    assert digest.quantile(Figures(scheduled=5, shed=5), None) == "n/a"
    assert digest.quantile(Figures(scheduled=5), 12.0) == "12 ms"


def test_the_generators_health_names_what_went_wrong() -> None:
    told = dict(digest.health(invalid()))
    assert told["send lag"] == "p50 2 ms · p99 48 ms · max 310 ms; 8.10% of arrivals late"
    assert told["workers"] == "2 processes on 2 usable cores, 1 LOST; busiest at 99.7% of a core"
    assert told["ran out of"] == "EMFILE 31 times"
    assert told["unsent"] == "31 arrivals timed out before they left"
    well = dict(digest.health(passed()))
    assert well["engine"] == "transport http1, plain Python, loadtool 0.1.0"
    assert well["toxiproxy"] == "embedded server"
    assert "unsent" not in well
    assert "ran out of" not in well


@pytest.mark.parametrize(
    ("profile", "spoken"),
    [
        ({"client": {"http2": True}}, "HTTP/2"),
        ({"client": {"http2": False}}, "HTTP/1.1"),
        ({"client": None}, "HTTP/1.1"),
        ({"client": ["http2"]}, "HTTP/1.1"),  # of a file that somebody has edited
        ({}, "HTTP/1.1"),
    ],
)
def test_the_engine_names_what_httpx_speaks(profile: dict[str, object], spoken: str) -> None:
    result = passed()
    result.engine.transport = "httpx"
    result.profile = profile
    assert dict(digest.health(result))["engine"] == f"transport httpx, {spoken}, plain Python, loadtool 0.1.0"


@pytest.mark.parametrize(
    ("client", "attempts", "told", "said"),
    [
        (None, 1000, {}, ""),
        ({"timeout": "2s"}, 1000, {"shed_attempts": 4, "told": 2}, ""),
        ({"retries": {"policy": "none"}}, 1000, {}, ""),
        ({"retries": {"policy": "immediate"}}, 1000, {}, "1,000 attempts at 1,000 arrivals (1x), 0 retries"),
        (
            {"retries": {"policy": "immediate"}},
            1240,
            {"retries": 240, "exhausted": 1},
            "1,240 attempts at 1,000 arrivals (1.24x), 240 retries, budget exhausted 1 time",
        ),
        (
            {"retries": {"policy": "immediate"}, "throttle": {"policy": "adaptive"}},
            901,
            {"retries": 1, "throttled": 100, "withheld": 7},
            "901 attempts at 1,000 arrivals (0.901x), 1 retry, 100 arrivals and 7 retries held back by the "
            "clients' throttle",
        ),
        (
            {"throttle": {"policy": "adaptive"}},
            999,
            {"throttled": 1},
            "999 attempts at 1,000 arrivals (0.999x), 1 arrival held back by the clients' throttle",
        ),
    ],
)
def test_clients_that_try_again_or_hold_back(
    client: dict[str, object] | None, attempts: int, told: dict[str, int], said: str
) -> None:
    r = passed()
    r.profile = {**r.profile, **({"client": client} if client is not None else {})}
    r.totals = Figures(scheduled=1000, attempts=attempts, client=told)
    assert digest.clients(r) == said
    for text in (terminal.render(r, width=200), markdown.render(r).replace("&#x27;", "'")):
        assert (said in text) if said else ("attempts at" not in text)
