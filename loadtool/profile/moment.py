"""Moment: a point of the load's own timeline, as `at: spike+5s` or `until: end of spike`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtool import units
from loadtool.errors import got
from loadtool.profile.readers import NAME_PATTERN

if TYPE_CHECKING:
    from loadtool.profile.model import Fault, Phase

WANT = "a moment such as spike+5s, spike or 12s"
WANT_END = "end of spike, or a moment such as spike+5s or 45s"
MOST_WINDOWS: Final = 250  # of one fault; each is a stretch of its own in which arrivals are counted
_IN_PHASE = re.compile(rf"({NAME_PATTERN})\s*(?:\+\s*(.*))?", re.DOTALL)
_END_OF = re.compile(rf"end\s+of\s+({NAME_PATTERN})")


@dataclass(frozen=True, slots=True)
class Moment:
    """`offset_ns` (at least 0) after the start of `phase`, or of the run if that is None.

    `end_of_phase`: the phase's end instead; `offset_ns` is 0 then.
    """

    phase: str | None
    offset_ns: int
    end_of_phase: bool = False

    def __str__(self) -> str:
        if self.end_of_phase:
            return f"end of {self.phase}"
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
                return start + (phase.for_ if self.end_of_phase else self.offset_ns)
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


def parse_until(value: object) -> Moment:
    """The moment of "end of spike", "spike+5s" or "45s". Raises ValueError.

    A phase's name alone is refused: one reader takes it for the phase's start, the next for its end.
    """
    text = value.strip() if isinstance(value, str) else ""
    if match := _END_OF.fullmatch(text):
        return Moment(match[1], 0, end_of_phase=True)
    try:
        moment = parse_moment(value)
    except ValueError as e:
        raise ValueError(str(e) if "write" in str(e) else got(value, WANT_END)) from None
    if moment.phase is not None and "+" not in text:
        raise ValueError(got(value, f"end of {moment.phase}, or a moment such as {moment.phase}+5s"))
    return moment


def canonical_until(value: object) -> str:
    """The text of an `until` in its plainest form. Raises ValueError."""
    moment = parse_until(value)
    starts = moment.phase is not None and not moment.offset_ns and not moment.end_of_phase
    return f"{moment}+0s" if starts else str(moment)


def run_length(phases: Sequence[Phase]) -> int:
    """Nanoseconds from the start of the first phase to the end of the last."""
    return sum(phase.for_ for phase in phases)


def named_moments(fault: Fault) -> list[Moment]:
    """When a fault begins, each time that its `at` says, and its `until`."""
    until = [] if fault.until is None else [parse_until(fault.until)]
    return [*map(parse_moment, fault.at), *until]


def fault_end(fault: Fault, phases: Sequence[Phase]) -> int:
    """Up to when a fault may last, in ns from the run's start: `until`, else the run's end.

    Raises KeyError if `until` names a phase that is not among these.
    """
    return run_length(phases) if fault.until is None else parse_until(fault.until).since_start(phases)


def windows(fault: Fault, phases: Sequence[Phase]) -> tuple[tuple[int, int], ...]:
    """When a fault is planned active: each [start, end) in ns from the run's start, in order.

    Without `for`, to `until` or the run's end. With `every`, again and again for as long as a whole one fits
    before that; `MOST_WINDOWS` at most. Raises KeyError for a phase that is not among these.
    """
    starts = sorted(parse_moment(text).since_start(phases) for text in fault.at)
    end = fault_end(fault, phases)
    if fault.for_ is None:
        return tuple((start, end) for start in starts)
    if fault.every is not None:
        starts = list(range(starts[0], end - fault.for_ + 1, fault.every)[:MOST_WINDOWS])
    return tuple((start, start + fault.for_) for start in starts)
