"""Snapshot: what is known while a run lasts, for the live view.

Rates and quantiles "now" are over the last three seconds that every worker has reported, by the time at which
arrivals *ended*; the figures by phase are by the time at which they were *due*, as in the result. Quantiles
are in ms; `math.inf` when too many failed, None when nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtool.measure.books import Books


@dataclass(frozen=True, slots=True)
class Point:
    """One slice of the curves: rates per second of what was offered and what ended in it."""

    t: float  # start, in s from the run's start
    offered: float
    ok: float
    shed: float
    errors: float
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class PhaseNow:
    """A phase as it stands; one that has not begun has nothing scheduled."""

    name: str
    role: str
    scheduled: int
    ok: int
    shed: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    lag_p99_ms: float | None
    # Counts, and the values of ok arrivals and of the lag; to be read only.
    books: Books | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    elapsed_s: float
    scheduled: int
    good: int
    attempts: int
    outcomes: Mapping[str, int]  # arrivals by outcome, every outcome, since the start
    offered_per_s: float
    ok_per_s: float
    shed_per_s: float
    errors_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    lag_p99_ms: float | None
    phases: tuple[PhaseNow, ...]
    in_flight: int  # arrivals sent and not yet done
    waiting: int  # arrivals waiting for a connection
    connections: int
    recent: tuple[Point, ...]  # one a slice, since the start
    workers: int
    workers_alive: int
    local: Mapping[str, int]  # local resources that ran out
    client: Mapping[str, int] = field(default_factory=dict)  # MARKS that occurred, since the start

    @property
    def ok(self) -> int:
        return self.outcomes["ok"]

    @property
    def shed(self) -> int:
        return self.outcomes["shed"]

    @property
    def errors(self) -> int:
        """Errors of every kind, since the start."""
        return sum(self.outcomes.values()) - self.ok - self.shed
