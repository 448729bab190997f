"""What is measured: every tool in turn, round after round, so that a slow minute hits them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import own
from benchmark.own import Build
from benchmark.peers import PEERS, SCENARIOS, SIMPLE, TLS, Load, Peer, find
from benchmark.process import run
from benchmark.sends import Lag, Watch, lag
from benchmark.server import Server

SLOWER, FASTER = 0.97, 1.02  # what follows a rate that did not hold, and one that did
TRIES = 4
SEARCH_STEPS = 6
STEP_S = 3.0
QUICK_RATE = 1_000.0  # of runs too short to search with
REFERENCE = "wrk"


@dataclass
class Figures:
    """One tool in one scenario: a value a round."""

    tool: str
    kind: str
    rates: list[float] = field(default_factory=list)  # requests/s
    cpu_per_10k: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    note: str = ""


@dataclass
class Paced:
    """One tool at one rate: a value a round. Lag in ms, by the packets' time stamps."""

    tool: str
    rate: int
    achieved: list[float] = field(default_factory=list)
    lag_p50: list[float] = field(default_factory=list)
    lag_p99: list[float] = field(default_factory=list)
    cpu_per_10k: list[float] = field(default_factory=list)
    own_lag_p99: list[float] = field(default_factory=list)  # what loadtool says of itself


@dataclass(frozen=True)
class Plan:
    """What the bench has at hand and how long it may take."""

    builds: Sequence[Build]
    peers: Sequence[tuple[Peer, str]]  # with its program
    server: Server
    core: int
    directory: Path
    rounds: int
    seconds: float
    connections: int
    say: Callable[[str], None]

    def load(self, scenario: str, rate: int = 0, seconds: float | None = None) -> Load:
        scheme, port = ("https", self.server.tls_port) if scenario == TLS else ("http", self.server.port)
        return Load(
            scenario, f"{scheme}://127.0.0.1:{port}", self.connections,
            self.seconds if seconds is None else seconds, self.directory, rate,
        )  # fmt: skip


def installed(names: Sequence[str] = ()) -> list[tuple[Peer, str]]:
    """The peers that are there, of these names if any are given."""
    wanted = [peer for peer in PEERS if not names or peer.name in names]
    return [(peer, path) for peer in wanted if (path := find(peer.name)) is not None]


def flat_out(plan: Plan, scenario: str) -> list[Figures]:
    """Requests/s and their cost: the peers as fast as they go, loadtool at the highest rate that it holds."""
    load = plan.load(scenario)
    peers = [(peer, path) for peer, path in plan.peers if scenario in peer.scenarios]
    figures = {peer.name: Figures(peer.name, peer.kind) for peer, _ in peers}
    rates: dict[str, float] = {}
    for build in plan.builds:
        figures[build.name] = Figures(build.name, "Python")
    for number in range(plan.rounds):
        for peer, path in peers:
            plan.say(f"{scenario}, round {number + 1}: {peer.name}")
            _closed(plan, peer, path, load, figures[peer.name])
        for build in plan.builds:
            if build.name not in rates:
                plan.say(f"{scenario}, search: {build.name}")
                rates[build.name] = _search(plan, build, load, figures)
            plan.say(f"{scenario}, round {number + 1}: {build.name}")
            rates[build.name] = _open(plan, build, load, figures[build.name], rates[build.name])
    return list(figures.values())


def _closed(plan: Plan, peer: Peer, path: str, load: Load, figures: Figures) -> None:
    ran = run([path, *peer.flat_out(load)], plan.core, plan.server.requests, limit_s=load.seconds + 30)
    window = ran.steady()
    if ran.code != 0 or window is None:
        figures.note = f"failed: exit {ran.code}: {ran.out.strip()[-200:]}"
        return
    figures.rates.append(window.rate)
    figures.cpu_per_10k.append(window.cpu_per_10k)
    figures.peak_mb.append(ran.peak_mb)


def _search(plan: Plan, build: Build, load: Load, figures: dict[str, Figures]) -> float:
    """Between what surely works and a little more than the fastest peer does."""
    if plan.seconds < STEP_S:
        return QUICK_RATE
    best = max((rate for f in figures.values() for rate in f.rates), default=40_000.0)
    short = own.at_rate(load, 0, STEP_S)
    return own.highest(build, short, plan.server, plan.core, best * 0.3, best * 1.2, SEARCH_STEPS)


def _open(plan: Plan, build: Build, load: Load, figures: Figures, rate: float) -> float:
    """One round at about this rate, slower until a run holds. The rate for the next round."""
    tries = TRIES if rate > QUICK_RATE else 1
    for _ in range(tries if rate else 0):
        outcome = own.spike(build, own.at_rate(load, round(rate)), plan.server, plan.core)
        window = outcome.ran.steady()
        if outcome.held and window is not None:
            figures.rates.append(outcome.rate)
            figures.cpu_per_10k.append(window.cpu_per_10k)
            figures.peak_mb.append(outcome.ran.peak_mb)
            return rate * FASTER
        rate *= SLOWER
    figures.note = "held no rate in at least one round"
    return rate


def paced(plan: Plan, rates: Sequence[int]) -> list[Paced]:
    """Send lag and CPU time at fixed rates, of the tools that keep a schedule."""
    rows: dict[tuple[str, int], Paced] = {}
    for number in range(plan.rounds):
        for rate in rates:
            load = plan.load(SIMPLE, rate)
            for peer, path in plan.peers:
                if peer.paced is None:
                    continue
                plan.say(f"{rate}/s, round {number + 1}: {peer.name}")
                row = rows.setdefault((peer.name, rate), Paced(peer.name, rate))
                with Watch(plan.server.port) as watch:
                    ran = run(
                        [path, *peer.paced(load)], plan.core, plan.server.requests, limit_s=load.seconds + 30
                    )
                window = ran.steady()
                _enter(row, lag(watch.sent_ns, rate), window.cpu_per_10k if window else None)
            for build in plan.builds:
                plan.say(f"{rate}/s, round {number + 1}: {build.name}")
                row = rows.setdefault((build.name, rate), Paced(build.name, rate))
                with Watch(plan.server.port) as watch:
                    outcome = own.spike(build, load, plan.server, plan.core, arrivals="constant")
                window = outcome.ran.steady()
                _enter(row, lag(watch.sent_ns, rate), window.cpu_per_10k if window else None)
                row.own_lag_p99.append(outcome.result["phases"][1]["lag_ms"]["p99"])
    return list(rows.values())


def _enter(row: Paced, seen: Lag | None, cost: float | None) -> None:
    if seen is not None:
        row.achieved.append(seen.rate)
        row.lag_p50.append(seen.p50)
        row.lag_p99.append(seen.p99)
    if cost is not None:
        row.cpu_per_10k.append(cost)


def memory(plan: Plan, rate: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Memory of each build over the length of one run at a steady rate: (s, MB), about sixty points."""
    series = {}
    for build in plan.builds:
        plan.say(f"memory over {seconds:g} s at {rate}/s: {build.name}")
        outcome = own.spike(build, plan.load(SIMPLE, rate, seconds), plan.server, plan.core)
        samples = outcome.ran.samples
        every = max(1, len(samples) // 60)
        series[build.name] = [(round(s.at_s, 1), round(s.rss_mb, 2)) for s in samples[::every]]
    return series


__all__ = ["REFERENCE", "SCENARIOS", "Figures", "Paced", "Plan", "flat_out", "installed", "memory", "paced"]
