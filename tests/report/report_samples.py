"""Results as a run would leave them, for the tests of every report. Conservation holds in each of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, TypeVar

from overload_samples import spike_figures

from loadtool.measure.result import (
    Engine,
    FaultFigure,
    Figures,
    Generator,
    PhaseFigures,
    Probe,
    Quantiles,
    RequestFigures,
    Result,
    Slice,
    SloFigure,
)
from loadtool.measure.spike import Overload

HOSTILE = (
    "\x1b[31mred\x1b[0m [bold]b[/bold] | <script>alert(1)</script> & \r\n::error::x \x00\x07\u202e \udcff"
    " \ufffe `tick` \\"
)

PHASES = (
    ("warmup", "warmup", 0, 5, 20),
    ("baseline", "baseline", 5, 29, 50),
    ("spike", "spike", 29, 44, 500),
    ("recovery", "recovery", 44, 74, 50),
)
FAULT = (34.0, 39.0)

T = TypeVar("T", bound=Figures)


def _slice(t: int) -> Slice:
    phase = next(p for p in PHASES if p[2] <= t < p[3])
    scheduled = phase[4]
    slow = FAULT[0] <= t < FAULT[1]
    shed = {"spike": 40 if slow else 15}.get(phase[0], 0)
    errors = {"timeout": 12, "reset": 3} if slow else {}
    ok = scheduled - shed - sum(errors.values())
    base = 12.0 + t % 3
    if phase[0] == "spike":
        base = 230.0 if slow else 40.0
    return Slice(
        t=float(t),
        scheduled=scheduled,
        ok=ok,
        shed=shed,
        errors=errors,
        good=ok - (20 if slow else 0),
        attempts=scheduled,
        in_flight=int(scheduled * base / 1000),
        p50=base,
        p99=None if slow and t >= 37 else base * 4,
        lag_p99=0.31,
    )


def _figures(cls: type[T], slices: list[Slice], seconds: float, base: float, **more: Any) -> T:
    errors = Counter[str]()
    for s in slices:
        errors.update(s.errors)
    scheduled, shed = sum(s.scheduled for s in slices), sum(s.shed for s in slices)
    failed = errors.total()
    lost = failed / max(scheduled - shed, 1)
    quantiles = Quantiles(
        p50=base,
        p90=base * 2,
        p95=base * 2.5,
        p99=base * 4 if lost < 0.01 else None,
        p99_9=base * 6 if lost < 0.001 else None,
        max=base * 8,
        mean=base * 1.2,
    )
    answered = Quantiles(base, base * 2, base * 2.5, base * 4, base * 6, base * 8, base * 1.2)
    return cls(
        scheduled=scheduled,
        ok=sum(s.ok for s in slices),
        shed=shed,
        errors=dict(errors),
        attempts=scheduled,
        good=sum(s.good for s in slices),
        offered_per_s=scheduled / seconds,
        goodput_per_s=sum(s.good for s in slices) / seconds,
        latency_ms=quantiles,
        ok_latency_ms=answered,
        service_ms=answered,
        lag_ms=Quantiles(0.05, 0.1, 0.2, 0.31, 0.9, 2.4, 0.06),
        shed_ms=Quantiles(p50=1.1, p99=3.9),
        failed_share=lost,
        **more,
    )


def passed() -> Result:
    """A run of the design's example: a spike, a slow store in it, everything within its SLOs."""
    series = [_slice(t) for t in range(74)]
    bases = {"warmup": 12.0, "baseline": 12.4, "spike": 61.0, "recovery": 13.0}
    phases = [
        _figures(
            PhaseFigures,
            series[a:b],
            b - a,
            bases[name],
            name=name,
            role=role,
            start_s=float(a),
            end_s=float(b),
        )
        for name, role, a, b, _ in PHASES
    ]
    probes = [
        Probe("store", t + 0.5, True, 203.0 if FAULT[0] <= t + 0.5 < FAULT[1] else 1.2) for t in range(74)
    ]
    return Result(
        loadtool="0.1.0",
        started="2025-11-21T20:53:07Z",
        seed=42,
        profile={"name": "checkout-10x", "target": "http://127.0.0.1:8080"},
        profile_file="profiles/checkout.yaml",
        engine=Engine(workers=1, compiled=False, transport="http1", cores=2, toxiproxy="embedded server"),
        elapsed_s=74.2,
        good_within_ms=500.0,
        verdict="pass",
        reasons=[],
        slos=[
            SloFigure(
                "p95 < 250ms during baseline",
                41,
                "p95",
                "baseline",
                None,
                31.0,
                250.0,
                "pass",
                1200,
                [29.0, 33.4],
            ),
            SloFigure(
                "error rate < 1%",
                42,
                "error rate",
                None,
                None,
                75 / 9900,
                0.01,
                "pass",
                10200,
                [0.0059, 0.0094],
            ),
            SloFigure(
                "p99 < 1s during slow-store for checkout",
                43,
                "p99",
                "slow-store",
                "checkout",
                920.0,
                1000.0,
                "pass",
                420,
                [870.0, 980.0],
            ),
            SloFigure("shed p99 < 50ms", 44, "shed p99", None, None, 3.9, 50.0, "pass", 350, [3.1, 4.4]),
        ],
        totals=_figures(Figures, series, 74, 18.0),
        phases=phases,
        requests=[
            _figures(RequestFigures, series[:40], 40, 14.0, name="browse"),
            _figures(RequestFigures, series[40:], 34, 33.0, name="checkout"),
        ],
        series=series,
        faults=[
            FaultFigure(
                "slow-store",
                "latency 200ms ±50ms on store",
                "store",
                "latency",
                [34.0, 39.0],
                34.01,
                39.02,
                True,
            )
        ],
        probes=probes,
        examples=[
            {"kind": "timeout", "request": "checkout", "due_s": 35.21, "detail": "no answer within 2s"},
            {"kind": "reset", "request": "browse", "due_s": 36.9, "detail": "Connection reset by peer"},
        ],
        generator=Generator({"p50": 0.05, "p99": 0.31, "max": 2.4}, 0.0, 0, 0, 0.23, {}, 2),
        slo_lines=[41, 42, 43, 44],
    )


def failed() -> Result:
    """Two SLOs broken, one of them by a quantile that lies beyond every answer; one undecided."""
    r = passed()
    r.verdict = "fail"
    r.reasons = ["p99 < 1s during slow-store for checkout: ∞", "error rate < 0.1%: 0.758%"]
    r.slos[1] = replace(r.slos[1], text="error rate < 0.1%", threshold=0.001, status="fail")
    r.slos[2] = replace(r.slos[2], value=None, status="fail", ci95=[980.0, None])
    r.slos.append(
        SloFigure(
            "p99.9 < 2s during warmup",
            45,
            "p99.9",
            "warmup",
            None,
            96.0,
            2000.0,
            "inconclusive",
            100,
            [96.0, None],
            "only 100 samples",
        )
    )
    r.slo_lines.append(45)
    return r


def overloaded() -> Result:
    """Two spikes: one shed well, one without some figures from which the service did not come back."""
    r = passed()
    r.verdict, r.reasons = "fail", ["recovery < 10s: again: not recovered in the 30 s watched"]
    down = spike_figures(
        "stayed-down",
        name="again",
        sentence="Served 3 of 500 requests/s in time (48/s before the spike), left 99 % waiting too long, "
        "not back to normal in the 30 s watched: stayed-down",
        reference="baseline",
        reference_per_s=48.0,
        goodput_retention=0.06,
        end_retention=None,
        shed_ratio=0.0,
        shed_ratio_attempts=0.0,
        shed_p99_ms=None,
        honest_rejection=0.0,
        recovery_s=None,
        recovered=False,
        hysteresis=None,
        hysteresis_bound=None,
        retry_amplification=2.5,
        retry_amplification_after=2.75,
        latency_growth=3.0,
        time_to_first_shed_s=None,
        implied_buffer=None,
        shed=0,
        errors=7440,
        late=7400,
        hard=40,
        unknown={
            "end_retention": "the run ended before the spike did",
            "recovery_s": "not recovered in the 30 s watched",
            "hysteresis": "no arrival was due in the last third of the recovery",
            "time_to_first_shed_s": "no sheds",
        },
        notes=["slow-store began while recovery was watched, and what came of that counts"],
    )
    r.overload = Overload([spike_figures("shed"), down], "stayed-down")
    r.slos.append(
        SloFigure(
            "recovery < 10s", 46, "recovery", None, None, None, 10_000.0, "fail", 1500, None,
            "again: not recovered in the 30 s watched",
        )
    )  # fmt: skip
    r.slo_lines.append(46)
    return r


def invalid() -> Result:
    """The generator was late and ran out of files; the SLOs would have passed."""
    r = passed()
    r.verdict = "invalid"
    r.reasons = [
        "send lag p99 was 48 ms in spike, over 10 ms: fewer requests per core, --workers, a quieter machine"
    ]
    r.generator = Generator({"p50": 2.0, "p99": 48.0, "max": 310.0}, 0.081, 31, 1, 0.997, {"EMFILE": 31}, 0)
    r.engine.workers = 2
    r.faults[0] = replace(
        r.faults[0], ended_s=None, removed=False, problem="the proxy did not answer within 5 s"
    )
    return r


def interrupted() -> Result:
    """Ctrl-C after 36 s, in the middle of the fault."""
    r = passed()
    r.verdict, r.interrupted, r.elapsed_s = "interrupted", "SIGINT", 36.4
    r.reasons = ["interrupted by SIGINT after 36.4 s"]
    r.series = r.series[:37]
    r.phases = r.phases[:3]
    r.phases[2].end_s = 36.4
    r.probes = r.probes[:36]
    r.faults[0] = replace(r.faults[0], ended_s=36.5)
    return r


def empty() -> Result:
    """Nothing was measured: ended before the first arrival."""
    return Result(
        loadtool="0.1.0",
        started="2025-11-21T20:53:07Z",
        seed=1,
        profile={"name": "nothing", "target": "http://127.0.0.1:9"},
        profile_file="nothing.yaml",
        engine=Engine(),
        elapsed_s=0.0,
        good_within_ms=1000.0,
        verdict="interrupted",
        interrupted="SIGTERM",
        slos=[
            SloFigure(
                "p99 < 1s", None, "p99", None, None, None, 1000.0, "inconclusive", 0, None, "no samples"
            )
        ],
    )


def all_failed() -> Result:
    """Every arrival was refused."""
    r = passed()
    for figures in (r.totals, *r.phases, *r.requests):
        figures.errors = {"connect": figures.scheduled}
        figures.ok = figures.shed = figures.good = 0
        figures.goodput_per_s, figures.failed_share = 0.0, 1.0
        figures.latency_ms = figures.ok_latency_ms = figures.service_ms = figures.shed_ms = Quantiles()
    for s in r.series:
        s.errors = {"connect": s.scheduled}
        s.ok = s.shed = s.good = 0
        s.p50 = s.p99 = None
    r.slos = [replace(s, value=None, status="fail", ci95=[None, None]) for s in r.slos[:1]]
    r.slo_lines = r.slo_lines[:1]
    r.examples = [{"kind": "connect", "request": "browse", "due_s": 0.01, "detail": "Connection refused"}]
    r.verdict, r.reasons = (
        "invalid",
        ["no HTTP answer in the whole run: 127.0.0.1:8080 refused every connection"],
    )
    return r


def hostile() -> Result:
    """Every text that a profile or a target can choose attacks the reader's terminal, browser or CI."""
    r = failed()
    r.profile = {"name": HOSTILE, "target": HOSTILE}
    r.profile_file = f"profiles/{HOSTILE}.yaml"
    r.reasons = [HOSTILE]
    r.problems = [HOSTILE]
    r.slos = [replace(s, text=f"p99 < 1s for {HOSTILE!r}", request=HOSTILE, note=HOSTILE) for s in r.slos]
    for p in r.phases:
        p.name = HOSTILE
    for q in r.requests:
        q.name = HOSTILE
    r.faults = [replace(f, name=HOSTILE, text=HOSTILE, proxy=HOSTILE, problem=HOSTILE) for f in r.faults]
    r.probes = [replace(p, name=HOSTILE, detail=HOSTILE) for p in r.probes]
    r.examples = [{"kind": "timeout", "request": HOSTILE, "due_s": 1.0, "detail": HOSTILE}]
    r.engine.toxiproxy = HOSTILE
    r.generator.local = {HOSTILE: 3}
    r.overload = overloaded().overload
    assert r.overload is not None
    r.overload.spikes = [
        replace(
            f,
            name=HOSTILE,
            sentence=f"{HOSTILE}: {f.verdict}",
            notes=[HOSTILE],
            unknown=dict.fromkeys(f.unknown, HOSTILE),
        )
        for f in r.overload.spikes
    ]
    return r


SAMPLES = {
    "passed": passed,
    "failed": failed,
    "overloaded": overloaded,
    "invalid": invalid,
    "interrupted": interrupted,
    "empty": empty,
    "all_failed": all_failed,
    "hostile": hostile,
}
