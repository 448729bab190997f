"""Jobs for the tests of this room: a plain one, with whatever a test wants otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loadtool.plan.job import ClientSpec, Endpoint, Job, PhaseSpec, RequestSpec

SECOND = 1_000_000_000

ENDPOINT = Endpoint("http", "127.0.0.1", 8080, "127.0.0.1:8080", "127.0.0.1")
CLIENT = ClientSpec(
    timeout_ns=2 * SECOND, deadline_ns=None, connections=1000, keepalive=True, shed=(429, 503)
)
PLAIN = Job(
    seed=42,
    arrivals="constant",
    phases=(PhaseSpec("steady", "baseline", 10.0, 10 * SECOND),),
    faults=(),
    requests=(RequestSpec("home", 1.0, "GET", "/"),),
    rows=(),
    endpoint=ENDPOINT,
    client=CLIENT,
    good_within_ns=SECOND,
    slice_ns=SECOND,
)

# A warm-up, a baseline, a spike and a recovery.
SPIKE = (
    PhaseSpec("warmup", "warmup", 20.0, 5 * SECOND),
    PhaseSpec("baseline", "baseline", 50.0, 24 * SECOND),
    PhaseSpec("spike", "spike", 500.0, 15 * SECOND, ramp_ns=SECOND),
    PhaseSpec("recovery", "recovery", 50.0, 30 * SECOND),
)


def make_job(**changes: Any) -> Job:
    return replace(PLAIN, **changes)


def phase(rate: float, seconds: float, name: str = "p", role: str = "baseline", **more: float) -> PhaseSpec:
    """A phase; `ramp` and `double_every` in seconds too."""
    return PhaseSpec(
        name, role, rate, round(seconds * SECOND),
        ramp_ns=round(more.get("ramp", 0) * SECOND),
        double_every_ns=round(more.get("double_every", 0) * SECOND),
    )  # fmt: skip


def request(**changes: Any) -> RequestSpec:
    return replace(RequestSpec("it", 1.0, "GET", "/"), **changes)
