"""Which view a run gets: live where a terminal can draw one, else plain lines, or nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from loadtool.commands.console import interactive, note
from loadtool.errors import UsageError
from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.report.stage import Stage

if TYPE_CHECKING:
    from loadtool.drive import View
    from loadtool.report.exporter import Exporter


class Patient:
    """A live view that has no screen before the load begins: until then, notices are lines above it.

    A terminal that goes away (a closed window, a lost SSH connection) ends the view and not the run. Ctrl-Z
    gives the screen back before it stops the coordinator, and `fg` takes it again.
    """

    def __init__(self, view: View, write: Callable[[str], None]) -> None:
        self._view = view
        self._write = write
        self._begun = False
        self._stage: Stage | None = None

    @property
    def shows_slos(self) -> bool:
        return self._view.shows_slos

    def notice(self, text: str) -> None:
        if self._begun:
            self._draw(lambda: self._view.notice(text))
        else:
            self._write(text)

    def begin(self, stage: Stage) -> None:
        self._begun, self._stage = True, stage
        self._draw(lambda: self._view.begin(stage))
        if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:  # else somebody wants it otherwise
            signal.signal(signal.SIGTSTP, self._stop)

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        return self._begun and self._view.wants(elapsed_s, active_faults)

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        if self._begun:
            self._draw(lambda: self._view.update(now, active_faults, slos))

    def end(self) -> None:
        if signal.getsignal(signal.SIGTSTP) == self._stop:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if self._begun:
            self._draw(self._view.end)
        self._begun = False

    def _stop(self, number: int, frame: object) -> None:
        """Give the screen back, stop until somebody says SIGCONT, and take it again."""
        begun, stage = self._begun, self._stage
        self._begun = False
        self._draw(self._view.end)
        os.kill(os.getpid(), signal.SIGSTOP)
        if begun and stage is not None:
            self._begun = True
            self._draw(lambda: self._view.begin(stage))

    def _draw(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except OSError:
            self._begun = False


class Watched:
    """A view, and the exporter that is told the same."""

    def __init__(self, view: View, exporter: Exporter) -> None:
        self._view = view
        self._exporter = exporter
        self.notice, self.end = view.notice, view.end

    @property
    def shows_slos(self) -> bool:
        return self._view.shows_slos

    def begin(self, stage: Stage) -> None:
        self._exporter.begin(stage)
        self._view.begin(stage)

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        return True  # somebody may ask the exporter at any time

    def update(self, now: Snapshot, active_faults: Collection[str], slos: Sequence[SloFigure]) -> None:
        self._exporter.observe(now, active_faults)  # first: a stopped terminal holds up the other
        self._view.update(now, active_faults, slos)


def exporter(place: str | None) -> Exporter | None:
    """What serves the metrics at this place, told on standard error. Raises UsageError if it can't."""
    if place is None:
        return None
    from loadtool.report.exporter import Exporter, place_of

    try:
        made = Exporter.bind(*place_of(place))
    except ValueError as e:
        raise UsageError(f"--prometheus: {e}") from None
    note(f"metrics at {made.url}")
    return made


def choose(*, plain: bool, quiet: bool, exporter: Exporter | None = None) -> View:
    """The view for this process's terminal, and what else is told the same."""
    view = _shown(plain=plain, quiet=quiet)
    return view if exporter is None else Watched(view, exporter)


def _shown(*, plain: bool, quiet: bool) -> View:
    if quiet:
        from loadtool.drive import Silent

        return Silent()
    if not plain and interactive():
        from rich.console import Console

        from loadtool.report.live import LiveView, suits
        from loadtool.report.palette import is_light

        console = Console()
        if suits(console):
            return Patient(LiveView(console, light=is_light(os.environ)), note)
    from loadtool.report.plain import PlainView

    return PlainView(note)
