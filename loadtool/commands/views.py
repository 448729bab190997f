"""Which view a run gets: live where a terminal can draw one, else plain lines, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from loadtool.commands.console import interactive, note
from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.report.stage import Stage

if TYPE_CHECKING:
    from loadtool.run import View


class Patient:
    """A live view that has no screen before the load begins: until then, notices are lines above it."""

    def __init__(self, view: View, write: Callable[[str], None]) -> None:
        self._view = view
        self._write = write
        self._begun = False

    def notice(self, text: str) -> None:
        (self._view.notice if self._begun else self._write)(text)

    def begin(self, stage: Stage) -> None:
        self._view.begin(stage)
        self._begun = True

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        self._view.update(now, active_faults, slos)

    def end(self) -> None:
        self._view.end()
        self._begun = False


def choose(*, plain: bool, quiet: bool) -> View:
    """The view for this process's terminal."""
    if quiet:
        from loadtool.run import Silent

        return Silent()
    if not plain and interactive():
        from rich.console import Console

        from loadtool.report.live import LiveView, suits

        console = Console()
        if suits(console):
            return Patient(LiveView(console), note)
    from loadtool.report.plain import PlainView

    return PlainView(note)
