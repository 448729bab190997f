"""Side by side: every tool in turn, round after round, so that a slow minute hits them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmark import own
from benchmark.cores import Cores
from benchmark.own import Build, NoResult
from benchmark.peers import MOST_CONNECTIONS, PEERS, SIMPLE, TLS, Load, Peer, find
from benchmark.process import Ran, run
from benchmark.sends import Watch, lag
from benchmark.server import Server

T = TypeVar("T")

# What follows a rate that did not hold, and one that did: the next round starts well above it, as a busy
# moment may have ended the search too low.
SLOWER, FASTER = 0.95, 1.1
STEPS_DOWN = 8
SEARCH_STEPS = 5
STEP_S = 1.5
QUICK_RATE = 1_000.0  # of runs too short to search with
PACED_S = 1.0  # a run at a rate is so much longer, as its first second does not count
REFERENCE = "wrk"
OWN_KIND = "Python"
MISSING = "not installed"
CANNOT = "cannot do this"


@dataclass
class Figures:
    """One tool in one scenario: a value a round."""

    tool: str
    kind: str
    rates: list[float] = field(default_factory=list)  # requests/s
    cpu_per_10k: list[float] = field(default_factory=list)  # s
    peak_mb: list[float] = field(default_factory=list)
    server_busy: list[float] = field(default_factory=list)  # the server's CPU seconds a second
    note: str = ""


@dataclass
class Paced:
    """One tool at one rate: a value a round. Lag in ms, by the packets' time stamps."""

    tool: str
    rate: int
    kind: str = ""
    achieved: list[float] = field(default_factory=list)
    lag_p50: list[float] = field(default_factory=list)
    lag_p99: list[float] = field(default_factory=list)
    cpu_per_10k: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    own_lag_p99: list[float] = field(default_factory=list)  # what loadtool says of itself
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What the bench has at hand and how long it may take."""

    builds: Sequence[Build]
    peers: Sequence[tuple[Peer, str | None]]  # with its program; None if it is not there
    server: Server
    core: int  # of the tool
    directory: Path
    rounds: int
    seconds: float
    connections: int
    say: Callable[[str], None]
    watched: Cores | None = None  # the tool's core and the target's; None: never mind what they are like

    def settled(self, run: Callable[[], T]) -> T:
        """The outcome of a run that is compared with others."""
        return run() if self.watched is None else self.watched.settled(run)

    def load(self, scenario: str, rate: int = 0, seconds: float | None = None) -> Load:
        scheme, port = ("https", self.server.tls_port) if scenario == TLS else ("http", self.server.port)
        return Load(
            scenario, f"{scheme}://127.0.0.1:{port}", self.connections,
            self.seconds if seconds is None else seconds, self.directory, rate,
        )  # fmt: skip


def chosen(names: Sequence[str] | None) -> list[tuple[Peer, str | None]]:
    """The peers of these names, or all, and where each is."""
    return [(peer, find(peer.name)) for peer in PEERS if names is None or peer.name in names]


def failure(ran: Ran) -> str:
    """Why nothing follows from a program's run, in one line."""
    said = " ".join(ran.out.split())[-160:]
    why = f"failed: exit {ran.code}" if ran.code else "failed: too few requests to tell"
    return f"{why}: {said}" if said else why


def flat_out(plan: Plan, scenario: str) -> list[Figures]:
    """Requests/s and their cost: the peers as fast as they go, loadtool at the highest rate that it holds."""
    load = plan.load(scenario)
    figures = {peer.name: Figures(peer.name, peer.kind) for peer, _ in plan.peers}
    rates: dict[str, float] = {}
    for build in plan.builds:
        figures[build.name] = Figures(build.name, OWN_KIND)
    for number in range(plan.rounds):
        for peer, path in plan.peers:
            if path is None or scenario not in peer.scenarios:
                figures[peer.name].note = MISSING if path is None else CANNOT
                continue
            plan.say(f"{scenario}, round {number + 1}: {peer.name}")
            _closed(plan, [path, *peer.flat_out(load)], load, figures[peer.name])
        for build in plan.builds:
            try:
                if build.name not in rates:
                    plan.say(f"{scenario}, search: {build.name}")
                    rates[build.name] = _search(plan, build, load, figures)
                plan.say(f"{scenario}, round {number + 1}: {build.name}")
                rates[build.name] = hold(
                    plan, build, load, [plan.core], figures[build.name], rates[build.name]
                )
            except NoResult as e:
                figures[build.name].note = str(e)
    return list(figures.values())


def _closed(plan: Plan, words: Sequence[str], load: Load, figures: Figures) -> None:
    ran = plan.settled(lambda: run(words, [plan.core], plan.server, limit_s=load.seconds + 20))
    window = ran.steady()
    if ran.code != 0 or window is None:
        figures.note = failure(ran)
        return
    figures.rates.append(window.rate)
    figures.cpu_per_10k.append(window.cpu_per_10k)
    figures.peak_mb.append(ran.peak_mb)
    figures.server_busy.append(window.server_busy)


def _search(plan: Plan, build: Build, load: Load, figures: dict[str, Figures]) -> float:
    """Between what surely works and a little more than the fastest peer does."""
    if plan.seconds < STEP_S:
        return QUICK_RATE
    best = max((rate for f in figures.values() for rate in f.rates), default=40_000.0)
    return search(plan, build, load, [plan.core], best * 0.4, best * 1.15)


def search(
    plan: Plan, build: Build, load: Load, cores: Sequence[int], low: float, high: float, workers: int = 1
) -> int:
    """The highest rate that short runs hold, requests/s. Raises NoResult."""

    def holds(rate: int) -> bool:
        short = own.at_rate(load, rate, STEP_S)
        return own.spike(build, short, plan.server, cores, workers=workers).held

    return own.highest(holds, low, high, SEARCH_STEPS)


def hold(
    plan: Plan,
    build: Build,
    load: Load,
    cores: Sequence[int],
    figures: Figures,
    rate: float,
    workers: int = 1,
) -> float:
    """One round at about this rate, slower until a run holds; the rate for the next. Raises NoResult.

    A rate has as many tries as in the search, and for the same reason.
    """
    steps = STEPS_DOWN if rate > QUICK_RATE else 1
    why = "the search found none"
    for number in range(steps * own.TRIES if rate else 0):
        asked = own.at_rate(load, round(rate))
        outcome = plan.settled(partial(own.spike, build, asked, plan.server, cores, workers=workers))
        window = outcome.ran.steady()
        if outcome.held and window is not None:
            figures.rates.append(outcome.rate)
            figures.cpu_per_10k.append(window.cpu_per_10k)
            figures.peak_mb.append(outcome.ran.peak_mb)
            figures.server_busy.append(window.server_busy)
            return rate * FASTER
        if (number + 1) % own.TRIES == 0:
            rate *= SLOWER
        why = f"{outcome.verdict}: {'; '.join(outcome.reasons) or 'too few requests to tell'}"[:200]
    figures.note = f"held no rate in at least one round: {why}"
    return rate


def paced(plan: Plan, rates: Sequence[int]) -> list[Paced]:
    """Send lag and CPU time at fixed rates, of the tools that keep a schedule.

    Raises PermissionError without the right to watch packets.
    """
    rows: dict[tuple[str, int], Paced] = {}
    for number in range(plan.rounds):
        for rate in rates:
            load = plan.load(SIMPLE, rate, plan.seconds + PACED_S)
            # As shipped: with few connections, a target that stands still for a moment holds requests back.
            free = dataclasses.replace(load, connections=MOST_CONNECTIONS)
            for peer, path in plan.peers:
                if peer.paced is None:
                    continue
                row = rows.setdefault((peer.name, rate), Paced(peer.name, rate, peer.kind))
                if path is None:
                    row.note = MISSING
                    continue
                plan.say(f"{rate}/s, round {number + 1}: {peer.name}")
                with Watch(plan.server.port) as watch:
                    words = [path, *peer.paced(load)]
                    ran = run(words, [plan.core], plan.server, limit_s=load.seconds + 20)
                _enter(row, ran, watch)
            for build in plan.builds:
                plan.say(f"{rate}/s, round {number + 1}: {build.name}")
                row = rows.setdefault((build.name, rate), Paced(build.name, rate, OWN_KIND))
                try:
                    with Watch(plan.server.port) as watch:
                        outcome = own.spike(build, free, plan.server, [plan.core], arrivals="constant")
                except NoResult as e:
                    row.note = str(e)
                    continue
                if outcome.verdict != "pass":
                    row.note = f"{outcome.verdict}: {'; '.join(outcome.reasons)}"[:200]
                _enter(row, outcome.ran, watch)
                row.own_lag_p99.append(outcome.lag_p99_ms)
    return list(rows.values())


def _enter(row: Paced, ran: Ran, watch: Watch) -> None:
    seen, window = lag(watch.sent_ns, row.rate), ran.steady()
    if seen is None or window is None:
        row.note = row.note or failure(ran)
        return
    row.achieved.append(seen.rate)
    row.lag_p50.append(seen.p50)
    row.lag_p99.append(seen.p99)
    row.cpu_per_10k.append(window.cpu_per_10k)
    row.peak_mb.append(ran.peak_mb)
