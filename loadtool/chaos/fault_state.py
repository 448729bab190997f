"""FaultState: what has become of one planned fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change
from loadtool.chaos.placement import Placement
from loadtool.measure.result import FaultFigure
from loadtool.units import SECOND

_LATE_S: Final = 0.1  # a fault that is placed or removed this much after its time says so


@dataclass(slots=True)
class FaultState:
    """Times in s since the run's start. `problems` make the run invalid, `remarks` do not.

    `stuck`: why its planned end could not take it out; what that means is known when the run is over.
    """

    plan: PlannedFault
    change: Change
    placement: Placement
    started_s: float | None = None
    ended_s: float | None = None
    gone: bool = False  # read back
    stuck: str = ""
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def remark_if_late(self, what: str, late_s: float) -> None:
        if late_s > _LATE_S:
            self.remarks.append(f"{what} {late_s:.1f} s late")

    def figure(self, problems: Sequence[str]) -> FaultFigure:
        """As it stands in the result, with all of its problems."""
        return FaultFigure(
            name=self.plan.name,
            text=self.plan.text,
            proxy=self.plan.proxy,
            toxic=self.plan.kind,
            planned_s=[self.plan.start_ns / SECOND, self.plan.end_ns / SECOND],
            started_s=self.started_s,
            ended_s=self.ended_s,
            removed=self.gone,
            problem="; ".join(problems),
            output=self.placement.output,
            remark="; ".join(self.remarks),
        )
