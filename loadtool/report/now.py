"""Now: all that one picture of the live view shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.report.stage import Stage


@dataclass(frozen=True, slots=True)
class Now:
    """All that a picture shows."""

    stage: Stage
    snapshot: Snapshot
    active_faults: Collection[str] = ()
    slos: Sequence[SloFigure] = ()
    notice: str = ""

    @property
    def t(self) -> float:
        return self.snapshot.elapsed_s
