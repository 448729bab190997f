"""Capacity: what a search has found, as capacity.json has it; field names are the file's keys.

Rates are in arrivals/s, times in ms as floats unless the name says otherwise.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from loadtool.judge.capacity import MULTIPLES, Found, Trial, Tried, so_far
from loadtool.judge.capacity_slos import LeftOut
from loadtool.judge.capacity_step import Step
from loadtool.judge.verdict import SIGNALS
from loadtool.judge.words import counted, number
from loadtool.measure.result import Engine

FORMAT: Final = 1
CAPACITY_NAME: Final = "capacity.json"
# Verdict -> exit code.
EXIT_CODES: Final = {
    "found": 0, "at-least": 0, "none": 1, "generator": 3, "unsteady": 3, "too-few": 3, "down": 3,
    "no-answer": 3,
}  # fmt: skip


@dataclass(slots=True)
class Multiple:
    """What became of the service at so many times its knee; None: not measured, and `note` says why."""

    times: float
    rate_per_s: float
    goodput_per_s: float | None = None
    p99_ms: float | None = None
    note: str = ""


@dataclass(slots=True)
class Capacity:
    """`verdict`: a key of EXIT_CODES, or interrupted. The knee lies between `holds_per_s`, the highest rate
    at which the SLOs held, and `fails_per_s`, the lowest at which they did not.
    """

    loadtool: str
    started: str  # ISO 8601, UTC
    name: str
    target: str
    profile_file: str
    seed: int
    engine: Engine
    good_within_ms: float
    slos: list[str]
    left_out: list[LeftOut]
    precision: float
    step_s: float
    confirm_s: float
    most_per_s: float
    elapsed_s: float = 0.0
    interrupted: str | None = None
    verdict: str = ""
    sentence: str = ""
    reasons: list[str] = field(default_factory=list)
    holds_per_s: float | None = None
    fails_per_s: float | None = None
    confirmed: bool = False
    goodput_per_s: list[float] = field(default_factory=list)  # [least, most] of the confirming holds
    p99_ms: list[float | None] = field(default_factory=list)  # the same; None: infinite
    multiples: list[Multiple] = field(default_factory=list)
    collapse_ratio: float | None = None  # goodput at twice the knee ÷ goodput at the knee
    steps: list[Step] = field(default_factory=list)
    format: int = FORMAT

    @property
    def exit_code(self) -> int:
        if self.interrupted is not None:
            return SIGNALS.get(self.interrupted, SIGNALS["SIGINT"])
        return EXIT_CODES[self.verdict]

    def text(self) -> str:
        """capacity.json, `format` first."""
        plain: dict[str, Any] = asdict(self)
        whole = {"format": plain.pop("format"), **plain}
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def conclude(capacity: Capacity, found: Found | None, verdict: str = "") -> None:
    """Fill in what the steps say. `found`: None if the search did not come to its end. `verdict`: why it did
    not (`down`, `no-answer`, `generator`, `interrupted`), or `interrupted` in what comes after its end.
    """
    capacity.verdict = verdict or (found.ending if found is not None else "interrupted")
    if found is not None:
        capacity.holds_per_s, capacity.fails_per_s = found.holds, found.fails
        capacity.confirmed = found.confirmed
    elif capacity.verdict != "no-answer":
        capacity.holds_per_s, capacity.fails_per_s = so_far(
            [
                Tried(Trial(s.purpose, s.rate_per_s), s.outcome == "holds", s.outcome == "late")
                for s in capacity.steps
                if s.purpose != "curve" and s.outcome != "cut"
            ]
        )
    knee = capacity.holds_per_s
    confirming = [
        s for s in capacity.steps if s.purpose == "confirm" and s.rate_per_s == knee and s.outcome == "holds"
    ]
    if confirming:
        goodputs = [s.goodput_per_s for s in confirming]
        capacity.goodput_per_s = [min(goodputs), max(goodputs)]
        p99s = sorted((s.p99_ms for s in confirming), key=lambda v: (v is None, v))
        capacity.p99_ms = [p99s[0], p99s[-1]]
    if capacity.verdict in ("found", "at-least") and not all(s.conclusive for s in confirming):
        capacity.verdict = "too-few"
    _multiples(capacity, knee, confirming)
    capacity.reasons = _reasons(capacity)
    capacity.sentence = _SENTENCES[capacity.verdict](capacity)


def _multiples(capacity: Capacity, knee: float | None, confirming: Sequence[Step]) -> None:
    curve = [s for s in capacity.steps if s.purpose == "curve"]
    if knee is None or not confirming:
        return
    at_knee = statistics.fmean(s.goodput_per_s for s in confirming)
    capacity.multiples = [Multiple(MULTIPLES[0], knee, at_knee, capacity.p99_ms[-1])]
    for times in MULTIPLES[1:]:
        rate = times * knee
        sound = [s for s in curve if abs(s.rate_per_s - rate) < rate * 1e-9]
        step = sound[-1] if sound else None
        if step is not None and step.outcome in ("holds", "fails"):
            capacity.multiples.append(Multiple(times, rate, step.goodput_per_s, step.p99_ms))
            continue
        if rate > capacity.most_per_s * (1 + 1e-9):
            note = "above --max"
        elif step is None:
            note = "not measured"
        else:
            note = "cut short" if step.outcome == "cut" else "the generator was the limit"
        capacity.multiples.append(Multiple(times, rate, note=note))
    last = capacity.multiples[-1].goodput_per_s
    capacity.collapse_ratio = last / at_knee if last is not None and at_knee else None


def _reasons(capacity: Capacity) -> list[str]:
    """What made the lowest failing rate fail, and what kept the generator from more."""
    reasons: list[str] = []
    fails = capacity.fails_per_s
    said: dict[str, int] = {}
    for step in capacity.steps:
        if step.outcome == "fails" and step.rate_per_s == fails:
            for text in step.failed if step.answered else ["nothing answered"]:
                said[text] = said.get(text, 0) + 1
    if said and fails is not None:
        what = " and ".join(said)
        reasons.append(f"at {_rate(fails)} failed: {what}")
    if capacity.verdict == "generator":
        late = [s for s in capacity.steps if s.outcome == "late"]
        if late:
            lowest = min(late, key=lambda s: s.rate_per_s)
            for reason in lowest.reasons:  # what once ran out may still be lacking at lower rates
                first = next(s for s in late if reason in s.reasons)
                reasons.append(f"at {_rate(first.rate_per_s)}: {reason}")
    return reasons


def _rate(per_s: float) -> str:
    return f"{number(per_s)}/s"


def _up_to(c: Capacity) -> str:
    """What is known, of a search that did not come to its end."""
    if c.holds_per_s is None and c.fails_per_s is None:
        return "nothing is known of its capacity"
    parts = [f"held at {_rate(c.holds_per_s)}"] if c.holds_per_s is not None else []
    parts += [f"failed at {_rate(c.fails_per_s)}"] if c.fails_per_s is not None else []
    return f"so far its SLOs {' and '.join(parts)}{'' if c.confirmed else ', not confirmed'}"


def _found(c: Capacity) -> str:
    assert c.holds_per_s is not None  # found
    assert c.fails_per_s is not None
    text = f"holds its SLOs up to {_rate(c.holds_per_s)} and no longer at {_rate(c.fails_per_s)}"
    if c.collapse_ratio is not None:
        text += f"; at twice that it serves {round(c.collapse_ratio * 100)}% of what it serves there"
    return text


def _unknown(why: str) -> Callable[[Capacity], str]:
    return lambda c: f"not found, since {why}; {_up_to(c)}"


_SENTENCES: Final[dict[str, Callable[[Capacity], str]]] = {
    "found": _found,
    "at-least": lambda c: f"holds its SLOs at {_rate(c.holds_per_s or 0)}, the highest rate allowed (--max)",
    "none": lambda c: f"does not hold its SLOs even at {_rate(c.fails_per_s or 0)}, the lowest rate tried",
    "generator": _unknown("the load generator or what it brings along, not the target, was the limit"),
    "unsteady": _unknown("the same rates held and failed in turn for too long"),
    "too-few": _unknown("arrivals were too few to be sure of an SLO (--confirm-for makes them more)"),
    "down": _unknown("the service did not come back after a step that was too much for it"),
    "no-answer": _unknown("nothing answered"),
    "interrupted": lambda c: f"interrupted after {counted(len(c.steps), 'step')}; {_up_to(c)}",
}
