"""loadtool itself, as it is shipped: a profile, the command line, and what its result says of the run."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.peers import CONNECT, MIX, MIXED, TLS, WEIGHTS, Load
from benchmark.process import Ran, run
from benchmark.server import Server

WARMUP_S = 1


@dataclass(frozen=True)
class Build:
    """An installed loadtool."""

    name: str
    program: str


@dataclass(frozen=True)
class Outcome:
    """A run of loadtool. It `held` its rate if the run is valid and every SLO passed."""

    ran: Ran
    held: bool
    verdict: str
    result: dict[str, Any]
    reasons: list[str]

    @property
    def rate(self) -> float:
        """Requests/s that were answered as planned, after the warm-up."""
        phase = self.result["phases"][1]
        return float(phase["ok"] / (phase["end_s"] - phase["start_s"]))


def profile(load: Load, server: Server, arrivals: str) -> str:
    """Not a setting that a user would not have: defaults, but for what the scenario is about."""
    requests: list[dict[str, object]] = [{"name": "get", "get": load.url.removeprefix(load.base)}]
    if load.scenario == MIX:
        requests = [
            {"name": name, "weight": weight, "get": f"/mix/{name}/{{{{ randint(1, 500) }}}}"}
            for name, weight in zip(MIXED, WEIGHTS, strict=True)
        ]
    client: dict[str, object] = {"connections": load.connections, "keepalive": load.scenario != CONNECT}
    if load.scenario == TLS:
        client["tls"] = {"ca": str(server.certificate)}
    return json.dumps(  # which is YAML, too
        {
            "name": "bench",
            "target": load.base,
            "requests": requests,
            "phases": [
                {"name": "warmup", "rate": load.rate, "for": f"{WARMUP_S}s"},
                {"name": "baseline", "rate": load.rate, "for": f"{load.seconds:g}s"},
            ],
            "arrivals": arrivals,
            "client": client,
            "slos": ["p99 < 250ms", "error rate < 0.01%"],
        }
    )


def spike(
    build: Build, load: Load, server: Server, core: int, *, arrivals: str = "poisson", workers: int = 1
) -> Outcome:
    """One run at the load's rate. Raises RuntimeError if there is no result."""
    out = load.directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    text = load.file("profile.yaml", profile(load, server, arrivals))
    ran = run(
        [build.program, "spike", "--profile", text, "--quiet", "--workers", str(workers), "--out", str(out)],
        core,
        server.requests,
        limit_s=load.seconds + WARMUP_S + 60,
    )
    path = out / "result.json"
    if not path.exists():
        raise RuntimeError(f"{build.name} left no result: exit {ran.code}\n{ran.out[-2000:]}")
    result = json.loads(path.read_text())
    return Outcome(ran, ran.code == 0, result["verdict"], result, result["reasons"])


def highest(build: Build, load: Load, server: Server, core: int, low: float, high: float, steps: int) -> int:
    """The highest rate that a run holds, by bisection from `low` to `high`; 0 if it held none.

    A rate has two tries, as a busy moment of the machine shall not decide.
    """
    best, rate = 0, low
    for _ in range(steps):
        if any(spike(build, at_rate(load, round(rate)), server, core).held for _ in range(2)):
            best = round(rate)
            low = rate
        else:
            high = rate
            low = low if best else rate / 2
        rate = (low + high) / 2 if best else low
    return best


def at_rate(load: Load, rate: int, seconds: float | None = None) -> Load:
    return Load(
        load.scenario, load.base, load.connections, load.seconds if seconds is None else seconds,
        Path(load.directory), rate,
    )  # fmt: skip
