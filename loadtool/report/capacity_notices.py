"""What is told of a search for capacity while it goes on, each in one line."""

from __future__ import annotations

from typing import Final

from loadtool.judge.capacity import Purpose, Trial
from loadtool.judge.capacity_step import Step
from loadtool.report import figures

_PURPOSES: Final[dict[Purpose, str]] = {
    "climb": "going up",
    "descend": "going down",
    "bisect": "closing in",
    "repeat": "again",
    "confirm": "confirming",
    "curve": "beyond the knee",
}
_OUTCOMES: Final = {
    "holds": "holds",
    "fails": "fails",
    "late": "proves nothing",
    "cut": "was cut short",
}


def begins(number: int, trial: Trial, seconds: float) -> str:
    """A step that begins, and for how long it holds its rate."""
    return f"step {number}: {figures.rate(trial.rate)} for {seconds:g} s ({_PURPOSES[trial.purpose]})"


def over(number: int, step: Step) -> str:
    """What came of a step."""
    head = f"step {number}: {figures.rate(step.rate_per_s)} {_OUTCOMES[step.outcome]}"
    if step.outcome == "late":
        return f"{head}: {'; '.join(step.reasons)}"
    p99 = figures.duration(step.p99_ms, failed=bool(step.errors))
    failed = f" ({'; '.join(step.failed)})" if step.failed else ""
    return f"{head}{failed}: goodput {figures.rate(step.goodput_per_s)}, p99 {p99}"
