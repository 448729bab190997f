"""Results whose slices are known, for comparisons."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from judge_samples import Part, histogram, result_of

from loadtool.measure.histogram import Histogram
from loadtool.measure.result import Result, Slice


@dataclass
class Second:
    """One slice: response times of ok answers in µs, and arrivals that failed without an answer."""

    ok: Sequence[int] = ()
    failed: int = 0
    status: Sequence[int] = ()  # times of answers with a wrong status


def run(lag_us: int = 100, **phases: Sequence[Second]) -> Result:
    """A run of these phases, a slice a second; `lag_us`: the generator's own lag."""
    parts = [
        Part(
            phase=name,
            seconds=float(len(seconds)),
            ok=[us for s in seconds for us in s.ok],
            status=[us for s in seconds for us in s.status],
            errors={"timeout": sum(s.failed for s in seconds)},
            lag=[lag_us],
        )
        for name, seconds in phases.items()
    ]
    result = result_of(*parts)
    at = 0.0
    for phase in result.phases:
        seconds = phases[phase.name]
        phase.start_s, phase.end_s = at, at + len(seconds)
        result.series += [_slice(at + i, s) for i, s in enumerate(seconds)]
        at = phase.end_s
    result.verdict = "pass"
    return result


def _slice(t: float, s: Second) -> Slice:
    answered = Histogram()
    for times in (s.ok, s.status):
        answered.add(histogram(times))
    errors = {"timeout": s.failed, "status": len(s.status)}
    return Slice(
        t=t,
        scheduled=len(s.ok) + s.failed + len(s.status),
        ok=len(s.ok),
        errors={k: n for k, n in errors.items() if n},
        good=len(s.ok),
        hdr=answered.encode(),
        ok_hdr=histogram(s.ok).encode() if s.status else "",
    )


def noisy(seed: int, slices: int = 24, each: int = 40, median_us: float = 10_000.0) -> list[Second]:
    """Independent log-normal times."""
    draw = random.Random(seed)
    return [
        Second([round(median_us * draw.lognormvariate(0, 0.3)) for _ in range(each)]) for _ in range(slices)
    ]
