"""How the arrivals of a job are spread in time, in words: what `loadtool plan` shows of it."""

from __future__ import annotations

from collections.abc import Iterator

from loadtool.plan.job import Job, PhaseSpec
from loadtool.plan.timeline import Timeline
from loadtool.units import format_duration, format_rate


def arrivals_text(job: Job, timeline: Timeline) -> str:
    """As "poisson", or "poisson; spike: bursts of 2s every 10s, at 2500/s", where phases differ."""
    texts = [", ".join(_parts(job, phase, timeline, i)) for i, phase in enumerate(job.phases)]
    if len(set(texts)) == 1:
        return texts[0]
    most = max(dict.fromkeys(texts), key=texts.count)
    rest = [f"{p.name}: {text}" for p, text in zip(job.phases, texts, strict=True) if text != most]
    return "; ".join([most, *rest])


def _parts(job: Job, phase: PhaseSpec, timeline: Timeline, index: int) -> Iterator[str]:
    yield phase.process or job.arrivals
    if phase.batch > 1:
        yield f"{phase.batch:,} at the same instant"
    if (cycle := timeline.spans[index].cycle_ns) > 0:
        burst = f"bursts of {format_duration(phase.burst_on_ns)} every {format_duration(cycle)}"
        top = max(piece.end_rate for piece in timeline.spans[index].pieces) * cycle / phase.burst_on_ns
        yield f"{burst}, at {format_rate(float(f'{top:.4g}'))}"
