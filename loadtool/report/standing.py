"""Standing: the SLOs of a load that goes on, for the views that show them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import trio

from loadtool.judge.slo import classes_of, judge_groups
from loadtool.measure.groups import Groups
from loadtool.measure.result import SloFigure
from loadtool.measure.tally import Tally
from loadtool.profile.slo import Slo

SLOS_EVERY_S: Final = 1.0
RESTS: Final = 10  # times what judging took, if that is longer: the load's frames have to be read meanwhile
LONGEST_S: Final = 0.05  # that faults and probes may have to wait for it at once


class Standing:
    """Judges now and then, in a thread and on a copy: nothing waits for it but the copy.

    Once even that takes too long, the SLOs stay as they stood.
    """

    def __init__(self, slos: Sequence[Slo], warmups: set[str], notice: Callable[[str], None]) -> None:
        """`notice`: told when they are judged for the last time."""
        self.slos: Sequence[SloFigure] = ()  # as of the last look
        self._of = slos
        self._warmups = warmups
        self._notice = notice
        self._classes = classes_of(slos)
        self._next_s = -SLOS_EVERY_S

    async def look(self, tally: Tally, elapsed_ns: int) -> Sequence[SloFigure]:
        """The SLOs, judged anew if it is time for that."""
        elapsed_s = elapsed_ns / 1e9
        if elapsed_s < self._next_s or not self._of:
            return self.slos
        began = time.thread_time()  # another clock would go on while we are stopped (Ctrl-Z)
        copy = tally.groups(elapsed_ns, copied=self._classes)
        copied_s = time.thread_time() - began
        self.slos, judged_s = await trio.to_thread.run_sync(self._judged, copy, abandon_on_cancel=True)
        self._next_s = elapsed_s + max(SLOS_EVERY_S, (copied_s + judged_s) * RESTS)
        if copied_s > LONGEST_S:
            self._next_s = float("inf")
            self._notice(
                f"SLOs are shown as they stood at {elapsed_s:.1f} s: to judge so many figures while the load "
                "lasts would hold up the faults; the report judges all"
            )
        return self.slos

    def _judged(self, groups: Groups) -> tuple[list[SloFigure], float]:
        """With the CPU time that it took, in s."""
        began = time.thread_time()
        figures = judge_groups(self._of, groups, self._warmups)
        return figures, time.thread_time() - began
