"""Stage: what a view of a running test knows before it begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasts from `start_s` to `end_s`, in s from the run's start: a phase, a fault.

    It grows over its first `ramp_s`. A fault that comes again has a bar each time.
    """

    name: str
    start_s: float
    end_s: float
    ramp_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The plan as views need it. `curve` is (t, arrivals/s), each sample good until the next.

    `beyond` is load that goes on after the plan's end, until it is known whether it has to.
    """

    name: str
    target: str
    phases: tuple[Bar, ...]
    faults: tuple[Bar, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    slos: tuple[str, ...] = ()
    clients: bool = False  # whether clients try again or hold back
    beyond: tuple[Bar, ...] = ()

    @property
    def end_s(self) -> float:
        """When the last arrival may be due."""
        return self.phases[-1].end_s if self.phases else 0.0

    def share(self, t: float) -> float:
        """How much of the schedule lies behind, from 0 to 1."""
        return min(max(t / self.end_s, 0.0), 1.0) if self.end_s > 0 else 1.0

    def rate(self, t: float) -> float:
        """Arrivals per second as planned at t; 0 outside of the curve."""
        before = [rate for start, rate in self.curve if start <= t]
        return before[-1] if before and t < self.end_s else 0.0

    def phase(self, t: float) -> str:
        """The phase at t; `draining` once the schedule has ended and the last answers are awaited."""
        return next((p.name for p in (*self.phases, *self.beyond) if t < p.end_s), "draining")
