"""Result: result.json (docs/formats.md) as dataclasses; field names are the file's keys.

Times are in ms as floats unless the name says otherwise. Quantiles that are infinite (more failed than the
quantile leaves room for), or of no sample, are None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loadtool.measure.slow_arrival import SlowArrival
from loadtool.measure.spike import CutLoadSteps, Overload, SpikeFrame, Step

FORMAT = 1


@dataclass(slots=True)
class Quantiles:
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    max: float | None = None
    mean: float | None = None


@dataclass(slots=True)
class Figures:
    """The figures of any set of arrivals: the whole run, a phase or a request."""

    scheduled: int = 0
    ok: int = 0
    shed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    good: int = 0
    offered_per_s: float = 0.0
    goodput_per_s: float = 0.0
    latency_ms: Quantiles = field(default_factory=Quantiles)
    ok_latency_ms: Quantiles = field(default_factory=Quantiles)
    service_ms: Quantiles = field(default_factory=Quantiles)
    lag_ms: Quantiles = field(default_factory=Quantiles)
    queued_ms: Quantiles = field(default_factory=Quantiles)
    shed_ms: Quantiles = field(default_factory=Quantiles)
    ttfb_ms: Quantiles = field(default_factory=Quantiles)
    connect_ms: Quantiles = field(default_factory=Quantiles)
    tls_ms: Quantiles = field(default_factory=Quantiles)
    dns_ms: Quantiles = field(default_factory=Quantiles)
    failed_share: float = 0.0  # errors ÷ (scheduled − shed)
    client: dict[str, int] = field(default_factory=dict)  # what else clients did: MARKS that occurred


@dataclass(slots=True)
class PhaseFigures(Figures):
    name: str = ""
    role: str = ""
    start_s: float = 0.0
    end_s: float = 0.0  # of what was run: earlier than planned if the run was cut short


@dataclass(slots=True)
class RequestFigures(Figures):
    name: str = ""


@dataclass(slots=True)
class Slice:
    t: float  # start, in s from the run's start
    scheduled: int = 0
    ok: int = 0
    shed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    good: int = 0
    attempts: int = 0
    in_flight: int = 0
    p50: float | None = None  # of latency_ms: failed ones count as infinite
    p99: float | None = None
    lag_p99: float | None = None
    hdr: str = ""  # response time of ok and failed answers, HdrHistogram V2
    ok_hdr: str = ""  # of ok answers alone, where `hdr` holds failed ones as well; else empty


@dataclass(slots=True)
class SloWindow:
    """Of an SLO `in any TIME`: the window that its figures are of, which is the worst."""

    length_s: float
    start_s: float
    end_s: float
    windows: int  # that hold arrivals
    failed: int
    undecided: int  # too few samples to tell


@dataclass(slots=True)
class SloFigure:
    text: str
    line: int | None
    metric: str
    phase: str | None  # what `during` names: a phase or a fault
    request: str | None
    value: float | None  # ms, share or per second, as the metric says; None: infinite or nothing measured
    threshold: float
    status: str  # pass, fail or inconclusive
    samples: int
    ci95: list[float | None] | None  # [lo, hi]; a None end is 0 (lo) or infinite (hi)
    note: str = ""  # why, in words: "no sheds", "only 12 samples"
    window: SloWindow | None = None  # of an objective in any stretch of a length


@dataclass(slots=True)
class FaultFigure:
    name: str
    text: str
    proxy: str
    toxic: str
    planned_s: list[float] = field(default_factory=list)  # [start, end)
    started_s: float | None = None
    ended_s: float | None = None  # unknown of one that was gone before its end
    removed: bool = False  # verified by reading back
    problem: str = ""  # what went wrong, which makes the run invalid
    output: str = ""  # the end of what a command wrote
    remark: str = ""  # what is worth knowing all the same: it was late

    def latest_end(self, end_s: float) -> float:
        """By when it was out, in s; `end_s` if it never was.

        One that was found gone at its planned end, or at the end of the run, may have ended earlier.
        """
        if self.ended_s is not None:
            return self.ended_s
        if not self.removed or len(self.planned_s) != 2:
            return end_s
        return max(self.started_s or 0.0, min(self.planned_s[1], end_s))


@dataclass(slots=True)
class Probe:
    name: str
    t: float
    ok: bool
    ms: float | None
    detail: str = ""
    after: bool = False  # asked when load and faults were over: did it come back?
    value: float | None = None  # what a gauge (the profile's `probes`) read; None of one that failed


@dataclass(slots=True)
class Cell:
    """Counts of one request in all stretches of one phase's name with the same faults planned active.

    `seconds`: how long these were together. Phases and requests are sums over cells; SLOs `during` a fault or
    `for` a request are judged on them.
    """

    phase: str
    faults: list[str]
    request: str
    seconds: float
    scheduled: int
    ok: int
    shed: int
    errors: dict[str, int]
    good: int
    attempts: int
    sums_ms: dict[str, float] = field(default_factory=dict)  # exact, by histogram class
    max_ms: dict[str, float] = field(default_factory=dict)
    client: dict[str, int] = field(default_factory=dict)  # MARKS that occurred


@dataclass(slots=True)
class HistogramEntry:
    """One histogram of a cell; entries that differ only in `faults` add up to the phase's."""

    phase: str
    faults: list[str]
    request: str
    class_: str  # `class` in the file
    hdr: str


@dataclass(slots=True)
class Engine:
    workers: int = 1
    compiled: bool = False
    transport: str = "http1"
    cores: int = 1
    toxiproxy: str | None = None  # where the faults came from, in words


@dataclass(slots=True)
class Generator:
    """How the load generator itself fared."""

    lag_ms: dict[str, float | None] = field(default_factory=dict)  # p50, p99, max
    late_share: float = 0.0  # share of arrivals sent later than the validity bound; warm-ups left out
    unsent: int = 0
    workers_lost: int = 0
    cpu_share: float = 0.0  # CPU seconds of the busiest worker ÷ elapsed
    local: dict[str, int] = field(default_factory=dict)  # local resources that ran out
    retried: int = 0  # sent again because a reused connection ended just then


@dataclass(slots=True)
class Aborted:
    """A run that ended early, since an objective could no longer be met."""

    at_s: float
    slo: str
    why: str


@dataclass(slots=True)
class Result:
    loadtool: str
    started: str  # ISO 8601, UTC
    seed: int
    profile: dict[str, Any]  # normalised, secrets masked
    profile_file: str
    engine: Engine
    elapsed_s: float
    good_within_ms: float
    verdict: str = ""
    reasons: list[str] = field(default_factory=list)
    interrupted: str | None = None  # SIGINT, SIGTERM or SIGHUP
    interrupted_after_load: bool = False  # so none of the load is missing
    aborted: Aborted | None = None
    problems: list[str] = field(default_factory=list)  # what makes the run invalid, found outside judge/
    warnings: list[str] = field(default_factory=list)  # what failed beside the measurement, which stands
    slos: list[SloFigure] = field(default_factory=list)
    totals: Figures = field(default_factory=Figures)
    phases: list[PhaseFigures] = field(default_factory=list)
    requests: list[RequestFigures] = field(default_factory=list)
    series: list[Slice] = field(default_factory=list)
    slice_s: float = 1.0
    faults: list[FaultFigure] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    overload: Overload | None = None
    no_overload: str = ""  # why `overload` is None, in words
    generator: Generator = field(default_factory=Generator)
    cells: list[Cell] = field(default_factory=list)
    histograms: list[HistogramEntry] = field(default_factory=list)
    slo_lines: list[int | None] = field(default_factory=list)  # line in the profile of each SLO
    steps: list[Step] = field(default_factory=list)
    spikes: list[SpikeFrame] = field(default_factory=list)
    cut_load: list[CutLoadSteps] = field(default_factory=list)  # what came after the profile's end
    slowest: list[SlowArrival] = field(default_factory=list)  # the slowest first, if `client.trace` is on
    load_started: str = ""  # ISO 8601, UTC: the zero of all times here; `started` is before the preparation
    # When the load was told to end: after `elapsed_s`, if all had been sent and answers were awaited.
    # None: it ended by itself, or an older version wrote the file.
    ended_s: float | None = None
    format: int = FORMAT

    @property
    def end_s(self) -> float:
        """When the load ended (s), as far as is known; its rates are over `elapsed_s`."""
        return self.elapsed_s if self.ended_s is None else self.ended_s
