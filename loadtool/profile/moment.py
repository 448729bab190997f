"""Moment: a point of the load's own timeline, as `at: spike+5s`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtool import units
from loadtool.errors import got
from loadtool.profile.readers import NAME_PATTERN

if TYPE_CHECKING:
    from loadtool.profile.model import Fault, Phase

WANT = "a moment such as spike+5s, spike or 12s"
_IN_PHASE = re.compile(rf"({NAME_PATTERN})\s*(?:\+\s*(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Moment:
    """`offset_ns` (at least 0) after the start of `phase`, or of the run if that is None."""

    phase: str | None
    offset_ns: int

    def __str__(self) -> str:
        offset = units.format_duration(self.offset_ns)
        if self.phase is None:
            return offset
        return f"{self.phase}+{offset}" if self.offset_ns else self.phase

    def since_start(self, phases: Sequence[Phase]) -> int:
        """Nanoseconds from the run's start. Raises KeyError for a phase that is not among these."""
        if self.phase is None:
            return self.offset_ns
        start = 0
        for phase in phases:
            if phase.name == self.phase:
                return start + self.offset_ns
            start += phase.for_
        raise KeyError(self.phase)


def parse_moment(value: object) -> Moment:
    """The moment of "spike+5s", "spike" or "12s". Raises ValueError."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if match := _IN_PHASE.fullmatch(text):
        phase, offset = match[1], match[2]
        try:
            return Moment(phase, 0 if offset is None else units.parse_duration(offset))
        except ValueError:
            raise ValueError(got(value, WANT)) from None
    if not text:
        raise ValueError(got(value, WANT))
    try:
        return Moment(None, units.parse_duration(value))
    except ValueError as e:
        raise ValueError(str(e) if "write" in str(e) else got(value, WANT)) from None


def canonical(value: object) -> str:
    """The moment's text in its plainest form. Raises ValueError."""
    return str(parse_moment(value))


def run_length(phases: Sequence[Phase]) -> int:
    """Nanoseconds from the start of the first phase to the end of the last."""
    return sum(phase.for_ for phase in phases)


def window(fault: Fault, phases: Sequence[Phase]) -> tuple[int, int]:
    """When a fault is planned active: [start, end) in ns from the run's start. Without `for`, to its end.

    Raises KeyError if its `at` names a phase that is not among these.
    """
    start = parse_moment(fault.at).since_start(phases)
    return start, run_length(phases) if fault.for_ is None else start + fault.for_
