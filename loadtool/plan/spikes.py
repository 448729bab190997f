"""Spikes of a timeline: each with its baseline, its recovery, and how much of that can prove anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtool.plan.timeline import TOLERANCE, Span, Timeline
from loadtool.units import SECOND

LEAST_WINDOW_NS: Final = 10 * SECOND
WINDOW_ARRIVALS: Final = 100
LIKE_BASELINE: Final = 1.1  # of the baseline's rate: up to this, the load is back to normal


@dataclass(frozen=True, slots=True)
class Spike:
    """A maximal run of spike phases, the last baseline phase before it, its recovery phases (design §10)."""

    spans: tuple[Span, ...]
    baseline: Span | None
    recovery: tuple[Span, ...]

    @property
    def name(self) -> str:
        return "+".join(span.name for span in self.spans)


@dataclass(frozen=True, slots=True)
class Watch:
    """What of a recovery counts: [from_ns, end_ns), looked at in windows of `window_ns`."""

    from_ns: int
    end_ns: int
    window_ns: int

    @property
    def watched_ns(self) -> int:
        return self.end_ns - self.from_ns


def spikes_of(timeline: Timeline) -> tuple[Spike, ...]:
    """The spikes of the run, in order."""
    spans = timeline.spans
    spikes: list[Spike] = []
    at = 0
    while at < len(spans):
        end = at
        while end < len(spans) and spans[end].role == "spike":
            end += 1
        if end == at:
            at += 1
            continue
        baseline = next((s for s in reversed(spans[:at]) if s.role == "baseline"), None)
        following = next((i for i in range(end, len(spans)) if spans[i].role == "spike"), len(spans))
        recovery = tuple(s for s in spans[end:following] if s.role == "recovery")
        spikes.append(Spike(spans[at:end], baseline, recovery))
        at = end
    return tuple(spikes)


def watch_of(timeline: Timeline, spike: Spike) -> Watch | None:
    """From when to when recovery is measured; None without a baseline or a recovery phase.

    It begins with the first instant from which the planned rate stays at most 1.1 × the baseline's mean, and
    at which no fault is planned active.
    """
    if spike.baseline is None or not spike.recovery:
        return None
    start = _calm_from(timeline, spike.recovery, LIKE_BASELINE * spike.baseline.mean_rate)
    end = spike.recovery[-1].end_ns
    while (active := [f.end_ns for f in timeline.faults if f.start_ns <= start < f.end_ns]) and start < end:
        start = max(active)
    start = min(start, end)
    return Watch(start, end, max(LEAST_WINDOW_NS, _time_of_arrivals(timeline, start)))


def _calm_from(timeline: Timeline, recovery: tuple[Span, ...], limit: float) -> int:
    """The instant within these spans from which the planned rate stays at most `limit`."""
    limit *= 1 + 1e-9  # a rate equal to the limit but for float error is within it
    calm = recovery[0].start_ns
    for span in recovery:
        for piece in span.pieces:
            if piece.end_rate > limit:
                calm = piece.end_ns
            elif piece.shape.rate(0.0) > limit:
                # Shapes rise or fall all along, so this one crosses the limit once, going down.
                above, below = piece.start_ns, piece.end_ns
                while below - above > 1:
                    middle = (above + below) // 2
                    if timeline.rate_at(middle) > limit:
                        above = middle
                    else:
                        below = middle
                calm = below
    return calm


def _time_of_arrivals(timeline: Timeline, start_ns: int) -> int:
    """How long from `start_ns` `WINDOW_ARRIVALS` take; the rest of the run and more if they never come."""
    position = timeline.arrivals_by(start_ns) + WINDOW_ARRIVALS
    if position >= timeline.arrivals - TOLERANCE:
        short = WINDOW_ARRIVALS - (timeline.arrivals - timeline.arrivals_by(start_ns))
        rate = timeline.rate_at(timeline.duration_ns - 1)
        beyond = short / rate * SECOND if rate > 0 else 0.0
        return timeline.duration_ns - start_ns + max(1, round(beyond))
    return timeline.dues([position])[0] - start_ns
