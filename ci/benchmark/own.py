"""loadtool itself, as it is shipped: a profile, the command line, and what its result says of the run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.peers import CONNECT, MIX, MIXED, SLOW, TLS, WEIGHTS, Load
from benchmark.process import Ran, run
from benchmark.server import SLOW_S, Server

WARMUP_S = 1
TRIES = 2  # of a rate


class NoResult(Exception):
    """A run of loadtool that left no result; the text says what it said."""


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

    @property
    def lag_p99_ms(self) -> float:
        """Its own word for its send lag, after the warm-up."""
        return float(self.result["phases"][1]["lag_ms"]["p99"])


def warmup_s(load: Load) -> int:
    """How long it goes on before what counts: for slow answers, until the first ones have come."""
    return SLOW_S + 1 if load.scenario == SLOW else WARMUP_S


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
    limit = "250ms"
    if load.scenario == SLOW:
        client["timeout"], limit = f"{SLOW_S * 3}s", f"{SLOW_S + 2}s"
    return json.dumps(  # which is YAML, too
        {
            "name": "bench",
            "target": load.base,
            "requests": requests,
            "phases": [
                {"name": "warmup", "rate": load.rate, "for": f"{warmup_s(load)}s"},
                {"name": "baseline", "rate": load.rate, "for": f"{load.seconds:g}s"},
            ],
            "arrivals": arrivals,
            "client": client,
            "slos": [f"p99 < {limit}", "error rate < 0.01%"],
        }
    )


def spike(
    build: Build,
    load: Load,
    server: Server,
    cores: Sequence[int],
    *,
    arrivals: str = "poisson",
    workers: int = 1,
) -> Outcome:
    """One run at the load's rate. Raises NoResult if there is none."""
    out = load.directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    text = load.file("profile.yaml", profile(load, server, arrivals))
    words = ["spike", "--profile", text, "--quiet", "--workers", str(workers), "--out", str(out)]
    ran = run([build.program, *words], cores, server, limit_s=load.seconds + warmup_s(load) + 3 * SLOW_S + 30)
    try:
        result = json.loads((out / "result.json").read_text())
    except (OSError, json.JSONDecodeError) as e:
        raise NoResult(f"no result: exit {ran.code}: {' '.join(ran.out.split())[-200:]}") from e
    return Outcome(ran, ran.code == 0, result["verdict"], result, result["reasons"])


def highest(holds: Callable[[int], bool], low: float, high: float, steps: int) -> int:
    """The highest rate that `holds`, by halving between `low` and `high`, or below; 0 if it held none.

    A rate has TRIES, as a busy moment of the machine shall not decide.
    """
    best = 0
    for _ in range(steps):
        rate = round((low + high) / 2)
        if any(holds(rate) for _ in range(TRIES)):
            best, low = rate, rate
        else:
            high, low = rate, low if best else low / 2
    return best


def at_rate(load: Load, rate: int, seconds: float | None = None) -> Load:
    return dataclasses.replace(load, rate=rate, seconds=load.seconds if seconds is None else seconds)
