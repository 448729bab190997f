"""Faults as reports tell of them: one row a name, however often it came, and what its commands wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtool.measure.result import FaultFigure, Result
from loadtool.report import digest, figures

MOST_OUTPUTS: Final = 5
MOST_LINES: Final = 10  # of each


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault as planned and as it was; `problems` are what went wrong, `remarks` what is worth knowing."""

    name: str
    text: str
    planned: str
    actual: str
    removal: str
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """The end of what a command wrote; `omitted` lines came before, and are in result.json."""

    title: str
    lines: tuple[str, ...]
    omitted: int

    @property
    def more(self) -> str:
        """Where the omitted lines are, in words."""
        return f" ({figures.plural(self.omitted, 'line')} more in result.json)" if self.omitted else ""


def rows(result: Result) -> list[FaultRow]:
    """One a name, in the order of the result."""
    return [_row(times) for times in _by_name(result).values()]


def _by_name(result: Result) -> dict[str, list[FaultFigure]]:
    found: dict[str, list[FaultFigure]] = {}
    for fault in result.faults:
        found.setdefault(fault.name, []).append(fault)
    return found


def _row(times: Sequence[FaultFigure]) -> FaultRow:
    first = times[0]
    if len(times) == 1:
        return FaultRow(
            name=first.name,
            text=first.text,
            planned=digest.planned(first),
            actual=digest.actual(first),
            removal=digest.removal(first),
            problems=(first.problem,) if first.problem else (),
            remarks=(first.remark,) if first.remark else (),
        )
    placed = sum(f.started_s is not None for f in times)
    return FaultRow(
        name=first.name,
        text=first.text,
        planned=_planned(times),
        actual=f"{placed} of {len(times)} placed",
        removal=digest.removal(next((f for f in times if not f.removed), first)),
        problems=tuple(f"{_when(f)}: {f.problem}" for f in times if f.problem),
        remarks=tuple(f"{_when(f)}: {f.remark}" for f in times if f.remark),
    )


def _planned(times: Sequence[FaultFigure]) -> str:
    windows = [f.planned_s for f in times if len(f.planned_s) == 2]
    if not windows:
        return figures.NOTHING
    (start, end), (_, last) = windows[0], windows[-1]
    return repeated(len(times), start, end, last)


def repeated(n: int, start_s: float, end_s: float, last_s: float) -> str:
    """`5 × 0.4 s in 2.0 – 6.4 s`: windows of one length, from the first's start to the last's end."""
    return (
        f"{n} × {figures.seconds(end_s - start_s)} in"
        f" {figures.between(figures.seconds(start_s), figures.seconds(last_s))}"
    )


def _when(fault: FaultFigure) -> str:
    return f"at {figures.seconds(fault.planned_s[0])}" if fault.planned_s else "once"


def outputs(result: Result) -> list[Output]:
    """What commands wrote, the first few of them."""
    found = []
    for times in _by_name(result).values():
        for fault in times:
            lines = fault.output.rstrip().splitlines()
            if lines:
                when = f" {_when(fault)}" if len(times) > 1 else ""
                kept = tuple(lines[-MOST_LINES:])
                found.append(Output(f"{fault.name}{when} wrote", kept, len(lines) - len(kept)))
    return found[:MOST_OUTPUTS]
