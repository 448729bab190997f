"""Placements: how each kind of fault gets into place, what it does while it is there, and how it gets out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

import trio

from loadtool.chaos.command import Command, run_to_end, shown
from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault
from loadtool.chaos.journal import Change
from loadtool.chaos.rollback import undo_surely
from loadtool.errors import FaultError

UNDO_S: Final = 15.0  # that an undo has at least, and beyond the load's end at most
RAMP_STEP_S: Final = 0.1
RAMP_STEPS: Final = 5  # at least, where a ramp is long enough
CHUNK_BYTES: Final = 32 * 1024  # that Toxiproxy reads at a time


class Placement(ABC):
    """One fault on its way in and out. All of it raises FaultError."""

    def __init__(self, plan: PlannedFault, change: Change) -> None:
        self.plan = plan
        self.change = change
        self.late_s = 0.0  # by how much what it does while it is in place was late, at most

    @property
    def output(self) -> str:
        """What it wrote, if it is a command."""
        return ""

    @abstractmethod
    async def place(self) -> None:
        """Put it in place. Its change has been written down before."""

    async def hold(self, since: float) -> None:
        """What is to be done while it is in place, planned from `since` on trio's clock on; cancelled at its
        end.
        """
        await trio.lowlevel.checkpoint()

    def end_load(self) -> None:  # noqa: B027  # most have nothing to do then
        """The load is over: from now on taking it out has an end."""

    @abstractmethod
    async def take_out(self) -> bool:
        """Take it out and see that it is gone. Returns False if it was gone before."""


class ToxicPlacement(Placement):
    """A toxic on a proxy. With a ramp its attributes grow in place, so that no connection drops."""

    def __init__(self, plan: PlannedFault, change: Change, control: Control) -> None:
        super().__init__(plan, change)
        self._control = control

    async def place(self) -> None:
        assert self.plan.toxic is not None
        await self._control.add_toxic(
            self.change.proxy,
            self.change.toxic,
            self.plan.toxic,
            self.plan.attributes_at(0 if self.plan.ramp_ns else 1),
            stream=self.plan.stream,
            toxicity=self.plan.toxicity,
        )

    async def hold(self, since: float) -> None:
        if not self.plan.ramp_ns:
            return
        length, width = self.plan.ramp_ns / 1e9, self._step_s()
        step, last = 0, self.plan.attributes_at(0)
        failure: FaultError | None = None
        while step * width < length:
            step += 1
            due = since + min(step * width, length)
            await trio.sleep_until(due)
            # Of several that are due, the last one is enough.
            step = max(step, int((trio.current_time() - since) / width))
            attributes = self.plan.attributes_at(min(step * width / length, 1))
            if attributes == last:
                continue
            try:
                await self._control.update_toxic(self.change.proxy, self.change.toxic, attributes)
                last, failure = attributes, None
            except FaultError as e:
                failure = e  # the next step makes up for it, unless it was the last
            self.late_s = max(self.late_s, trio.current_time() - due)
        if failure is not None:
            raise failure

    def _step_s(self) -> float:
        """How long a step of the ramp lasts.

        At each one Toxiproxy lets go of what it holds back just then, or begins its wait anew: no step
        shorter than that would ever show it in full. So they are few where the wait is long.
        """
        held_s = _held_s(self.plan.toxic, self.plan.attributes)
        return max(RAMP_STEP_S, min(10 * held_s, self.plan.ramp_ns / 1e9 / RAMP_STEPS))

    async def take_out(self) -> bool:
        return await undo_surely(self._control, self.change)


def _held_s(toxic: str | None, attributes: Mapping[str, int]) -> float:
    """For how long a toxic holds back a chunk, or an end, once its attributes are the full ones."""
    if toxic == "latency":
        return (attributes["latency"] + attributes.get("jitter", 0)) / 1000
    if toxic == "bandwidth":
        return CHUNK_BYTES / (attributes["rate"] * 1000)
    if toxic == "slow_close":
        return attributes["delay"] / 1000
    if toxic == "slicer":
        return CHUNK_BYTES / attributes["average_size"] * attributes.get("delay", 0) / 1e6
    return 0.0


class DownPlacement(Placement):
    """A proxy that is disabled: it refuses connections, and those that it had are closed."""

    def __init__(self, plan: PlannedFault, change: Change, control: Control) -> None:
        super().__init__(plan, change)
        self._control = control

    async def place(self) -> None:
        await self._control.set_enabled(self.change.proxy, False)

    async def take_out(self) -> bool:
        return await undo_surely(self._control, self.change)


class CommandPlacement(Placement):
    """A command. If it still runs at the fault's end it is ended; then its `undo` is run.

    That has all of the load's time, and UNDO_S from the load's end or from its own start.
    """

    def __init__(self, plan: PlannedFault, change: Change, environment: Mapping[str, str] | None) -> None:
        super().__init__(plan, change)
        self._environment = environment
        self._command: Command | None = None
        self._undone = ""  # what its undo wrote
        self._undoing = trio.CancelScope()  # around an undo
        self._load_is_over = False
        self._cut = ""  # how an undo was ended before its own end

    @property
    def output(self) -> str:
        """The end of what the command wrote, and of what its undo did."""
        wrote = self._command.output if self._command is not None else ""
        if not self._undone:
            return wrote
        newline = "\n" if wrote and not wrote.endswith("\n") else ""
        return f"{wrote}{newline}$ {shown(self.change.undo)}\n{self._undone}"

    async def place(self) -> None:
        self._command = Command(self.plan.run, self.plan.directory, self._environment)

    async def hold(self, since: float) -> None:
        assert self._command is not None
        await self._command.wait()

    async def take_out(self) -> bool:
        if self._cut:
            raise FaultError(self._cut)  # what was half undone could not be undone again for sure
        if self._command is not None:
            await self._command.stop()
        undo, began = self.change.undo, trio.current_time()
        if not undo:
            return True
        in_load = not self._load_is_over
        # Not to be cancelled with the load, for the same reason.
        with trio.CancelScope(deadline=math.inf if in_load else began + UNDO_S, shield=True) as self._undoing:
            self._undone = await run_to_end(undo, self.change.directory, self._environment)
            return True
        took = f"was ended {UNDO_S:g} s after the load, {trio.current_time() - began:.0f} s after its start"
        self._cut = f"the command {shown(undo)!r} {took if in_load else f'took longer than {UNDO_S:g} s'}"
        raise FaultError(self._cut)

    def end_load(self) -> None:
        if not self._load_is_over:
            self._load_is_over = True
            self._undoing.deadline = trio.current_time() + UNDO_S
