"""FaultState: what has become of one planned fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change
from loadtool.chaos.placement import CommandPlacement, DownPlacement, Placement, ToxicPlacement
from loadtool.chaos.told import gone, remedy
from loadtool.errors import FaultError
from loadtool.measure.result import FaultFigure
from loadtool.units import SECOND

_LEAST_IN_PLACE: Final = 0.5  # the share of its planned time in which it has to be there
_LATE_S: Final = 0.1  # a fault that is placed or removed this much after its time says so
_LONG_S: Final = 1.0  # in for this much of the load after its time, it makes the run invalid


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
    lost: bool = False  # it was gone before its end, and nobody knows since when
    stuck: str = ""
    freed: str = "at the end of the run"  # when it was taken out after all, if it was stuck
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def remark_if_late(self, what: str, late_s: float) -> None:
        if late_s > _LATE_S:
            self.remarks.append(f"{what} {late_s:.1f} s late")

    def late_placement(self) -> str:
        """What is wrong with when it was placed: it missed half of its time, or all of it. Else a remark."""
        assert self.started_s is not None
        start, end = self.plan.start_ns / SECOND, self.plan.end_ns / SECOND
        late, left = self.started_s - start, end - self.started_s
        if left <= 0:
            return f"was placed {late:.1f} s late, after its end"
        if left < _LEAST_IN_PLACE * (end - start):
            # What an objective says of its time would be mostly about a time without it.
            return f"was placed {late:.1f} s late, {left:.1f} s before its end"
        self.remark_if_late("placed", late)
        return ""

    def late_removal(self, load_end_s: float) -> str:
        """What is wrong with one that went after the load: it was to be out long before. Else a remark.

        What it did after the load's end, `load_end_s` since the run's start, harmed nothing.
        """
        end = self.plan.end_ns / SECOND
        beyond_s = load_end_s - end
        if self.stuck or self.ended_s is None or beyond_s <= _LATE_S:
            return ""
        if beyond_s > _LONG_S:
            out = f"was {gone(self.change)} only {self.freed}"
            return f"{out}: it was to be out {beyond_s:.1f} s before the load's end"
        self.remark_if_late("removed", self.ended_s - end)
        return ""

    def why_stuck(self, control: Control | None) -> str:
        """What its planned end could not do; `control` is its server, if it has one."""
        if self.gone:
            return f"was {gone(self.change)} only {self.freed}: {self.stuck}"
        return f"could not be {gone(self.change)}: {self.stuck}; {remedy(control, self.change)}"

    def all_problems(self, control: Control | None) -> list[str]:
        return [*self.problems, self.why_stuck(control)] if self.stuck else self.problems

    def holds_down(self, change: Change) -> bool:
        """Whether it is in place, is this same `down` of a proxy and will bring it up again."""
        in_place = self.started_s is not None and not self.gone and not self.stuck
        return in_place and self.change.kind == "down" and self.change == change

    def figure(self, control: Control | None) -> FaultFigure:
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
            problem="; ".join(self.all_problems(control)),
            output=self.placement.output,
            remark="; ".join(self.remarks),
        )


def state_of(
    plan: PlannedFault,
    name: str,
    proxies: Mapping[str, str],
    control: Control | None,
    environment: Mapping[str, str] | None,
) -> FaultState:
    """The state of a fault that was not placed yet, `name` on the server, whose names of proxies those are.

    Raises FaultError if there is no server for it.
    """
    if plan.run:
        change = Change("run", toxic=name, undo=plan.undo, directory=plan.directory)
        return FaultState(plan, change, CommandPlacement(plan, change, environment))
    if control is None:
        raise FaultError(f"fault {plan.name}: there is no Toxiproxy to place it with")
    if plan.down:
        change = Change("down", proxies[plan.proxy])
        return FaultState(plan, change, DownPlacement(plan, change, control))
    change = Change("toxic", proxies[plan.proxy], name)
    return FaultState(plan, change, ToxicPlacement(plan, change, control))
