"""The live view: one screen that is drawn anew in place while a run lasts.

It takes the terminal's second screen, as editors do, so that nothing scrolls, every redraw fits the size of
that moment, and the first screen comes back untouched for the report.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from threading import Lock
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.text import Text

from loadtool.measure.result import SloFigure
from loadtool.measure.snapshot import Snapshot
from loadtool.report.live_frame import frame
from loadtool.report.live_picture import Pictures
from loadtool.report.now import Now
from loadtool.report.screen import Screen
from loadtool.report.stage import Stage
from loadtool.report.text import clean

SIGNS: Final = "─│█▒×⣿┃✓✗…∞"
LEAST_SIZE: Final = (40, 10)  # columns and lines: in less, plain lines say more


def suits(console: Console) -> bool:
    """Can a live view be drawn here: a terminal that moves its cursor, has its signs and is not too small?"""
    large = console.width >= LEAST_SIZE[0] and console.height >= LEAST_SIZE[1]
    return console.is_terminal and not console.is_dumb_terminal and large and _takes_signs(console)


def _takes_signs(console: Console) -> bool:
    """Whether its encoding has what is drawn: as question marks, passed and failed look the same."""
    try:
        SIGNS.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


class LiveView:
    """`begin`, then `update` a few times a second, then `end`; as a context manager it ends by itself.

    A terminal that stops reading (Ctrl-S) blocks `update`: whoever has more to do calls it from a thread.
    `notice` never waits for it.
    """

    shows_slos = True

    def __init__(self, console: Console | None = None, *, light: bool = False) -> None:
        """`light`: the terminal's background is."""
        self.console = console if console is not None else Console()
        self._pictures = Pictures()
        self._stage: Stage | None = None
        self._notice = ""
        self._drawing = Lock()
        self._last: tuple[Snapshot, Collection[str], Sequence[SloFigure]] | None = None
        self._screen = Screen(self.console, light=light)

    def begin(self, stage: Stage) -> None:
        """Take the screen, or go on with it for the next of several loads; the first `update` fills it.

        What was said between two loads, such as which one comes, stays.
        """
        self._stage, self._last = stage, None
        if not self._screen.taken:
            self._notice = ""
        self._screen.take()

    def wants(self, elapsed_s: float, active_faults: Collection[str]) -> bool:
        return True  # its clock goes on

    def update(
        self, now: Snapshot, active_faults: Collection[str] = (), slos: Sequence[SloFigure] = ()
    ) -> None:
        """Draw what is known now: `active_faults` by name as they really are, `slos` as they stand."""
        with self._drawing:
            self._last = (now, active_faults, slos)
            self._draw()

    def notice(self, text: str) -> None:
        """Show a line that stays: what an interrupt has set in motion, what went wrong.

        Before `begin` and after `end` it is printed; while an `update` draws, the next one will show it.
        """
        if not self._screen.taken:
            self.console.print(Text(clean(text), style="dim"))
            return
        self._notice = text
        if self._drawing.acquire(blocking=False):
            try:
                self._draw()
            finally:
                self._drawing.release()

    def end(self) -> None:
        """Give the screen back. May be called twice."""
        self._screen.give_back()

    def _draw(self) -> None:
        if self._stage is None or self._last is None or not self._screen.taken:
            return
        width, height = self.console.size
        lines = frame(Now(self._stage, *self._last, self._notice), width, height, self._pictures)
        self._screen.draw(lines, (width, height))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
