"""Progress as plain lines, for CI, pipes and terminals that cannot move their cursor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.report import figures
from loadtool.report.stage import Stage
from loadtool.report.text import clean, defuse

EVERY_S: Final = 5.0


def line(stage: Stage, now: Snapshot, active_faults: Collection[str] = ()) -> str:
    """Where the run is, on one line without colours or escapes.

    `12.0s spike 41% | offered 500/s ok 480 shed 15 err 5 | p50 12ms p99 250ms | lag p99 0.300ms | faults: db`
    """
    rates = (now.ok_per_s, now.shed_per_s, now.errors_per_s)
    ok, shed, errors = (figures.number(r) for r in rates)
    parts = [
        f"{now.elapsed_s:.1f}s {clean(stage.phase(now.elapsed_s))} {stage.share(now.elapsed_s):.0%}",
        f"offered {figures.rate(now.offered_per_s)} ok {ok} shed {shed} err {errors}",
        f"p50 {figures.duration(now.p50_ms, space='')} p99 {figures.duration(now.p99_ms, space='')}",
        f"lag p99 {figures.duration(now.lag_p99_ms, space='')}",
    ]
    if now.waiting:
        parts.append(f"waiting for a connection: {figures.count(now.waiting)}")
    if active_faults:
        parts.append(f"faults: {', '.join(clean(f) for f in active_faults)}")
    if now.workers_alive < now.workers:
        parts.append(f"workers: {now.workers_alive} of {now.workers}")
    if now.local:
        parts.append(f"ran out of: {', '.join(clean(what) for what in now.local)}")
    return " | ".join(parts)


class PlainView:
    """A line at the start, every few seconds, and wherever the phase or the active faults change."""

    shows_slos = False

    def __init__(self, write: Callable[[str], None], *, every_s: float = EVERY_S) -> None:
        self._write = write
        self._every_s = every_s
        self._stage: Stage | None = None
        self._next_s = 0.0
        self._last: tuple[str, frozenset[str]] | None = None

    def begin(self, stage: Stage) -> None:
        """The run is about to start, or the next load of several."""
        self._stage = stage
        self._next_s, self._last = 0.0, None
        phases = " → ".join(clean(p.name) for p in stage.phases)
        self._put(
            f"{clean(stage.name)}: {phases}, {figures.clock(stage.end_s)} against {clean(stage.target)}"
        )

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        """Whether it is time for a line."""
        if self._stage is None:
            return False
        state = (self._stage.phase(elapsed_s), frozenset(active_faults))
        return elapsed_s >= self._next_s or state != self._last

    def update(
        self, now: Snapshot, active_faults: Collection[str] = (), slos: Sequence[SloFigure] = ()
    ) -> None:
        """Something may have changed; most calls write nothing."""
        if self._stage is None or not self.wants(now.elapsed_s, active_faults):
            return
        self._put(line(self._stage, now, active_faults))
        self._last = (self._stage.phase(now.elapsed_s), frozenset(active_faults))
        # On the beat of the run's clock, so that lines of different runs can be laid side by side.
        self._next_s = (now.elapsed_s // self._every_s + 1) * self._every_s

    def notice(self, text: str) -> None:
        """Say something that is not progress."""
        self._put(clean(text))

    def end(self) -> None:
        """The run is over; the report follows."""

    def _put(self, text: str) -> None:
        self._write(defuse(text))
