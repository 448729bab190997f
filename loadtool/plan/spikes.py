"""Spikes of a run: each with its baseline, its recovery, and the steps by which it is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from loadtool.plan.axis import MOST_SLICES, TOLERANCE, Axis, Span, slice_width
from loadtool.units import LONGEST, SECOND

LEAST_WINDOW_NS: Final = 10 * SECOND
WINDOW_ARRIVALS: Final = 100
LIKE_BASELINE: Final = 1.1  # of the baseline's rate: up to this, the load is back to normal
LEAST_BLOCK_NS: Final = SECOND
BLOCK_ARRIVALS: Final = 50  # of the baseline
THIRDS: Final = 3


@dataclass(frozen=True, slots=True)
class Spike:
    """A maximal run of spike phases, its baseline and its recovery phases (docs/overload.md)."""

    spans: tuple[Span, ...]
    baseline: Span | None
    recovery: tuple[Span, ...]

    @property
    def name(self) -> str:
        return "+".join(span.name for span in self.spans)

    @property
    def start_ns(self) -> int:
        return self.spans[0].start_ns

    @property
    def end_ns(self) -> int:
        return self.spans[-1].end_ns

    @property
    def blocks(self) -> tuple[int, ...]:
        """Where its blocks begin, and where the last one ends, in ns; empty without a baseline.

        They are equal, as many in each third, and last at least 1 s and the time of 50 baseline arrivals, as
        far as a block in each third allows. A spike of over a quarter of an hour has 900.
        """
        if self.baseline is None:
            return ()
        length, rate = self.end_ns - self.start_ns, self.baseline.mean_rate
        least = max(float(LEAST_BLOCK_NS), BLOCK_ARRIVALS / rate * SECOND if rate > 0 else math.inf)
        in_third = min(max(1, int(length / THIRDS / least + 1e-9)), MOST_SLICES // THIRDS)
        n = THIRDS * in_third
        return tuple(self.start_ns + length * i // n for i in range(n + 1))

    def third(self, number: int) -> tuple[int, int]:
        """Start and end of a third (0 to 2), in ns. There must be a baseline."""
        blocks = self.blocks
        n = (len(blocks) - 1) // THIRDS
        return blocks[number * n], blocks[(number + 1) * n]


@dataclass(frozen=True, slots=True)
class Watch:
    """What of a recovery counts: [from_ns, end_ns), looked at in windows of `window_ns`."""

    from_ns: int
    end_ns: int
    window_ns: int

    @property
    def watched_ns(self) -> int:
        return self.end_ns - self.from_ns

    @property
    def step_ns(self) -> int:
        """From one window to the next: a second, or more if a quarter of an hour is watched."""
        return slice_width(self.watched_ns)

    @property
    def steps(self) -> tuple[int, ...]:
        """Where the steps begin, and where the last one ends, in ns; the last may be shorter."""
        return (*range(self.from_ns, self.end_ns, self.step_ns), self.end_ns)


def spikes_of(axis: Axis) -> tuple[Spike, ...]:
    """The spikes of the run, in order."""
    spans = axis.spans
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


def watch_of(axis: Axis, spike: Spike) -> Watch | None:
    """From when to when recovery is measured; None without a baseline or a recovery phase.

    It begins with the first instant from which the planned rate stays at most 1.1 × the baseline's mean, and
    at which no fault is planned active. A window holds at least one whole cycle of bursts. Phases of another
    role between two recovery phases are watched like them.
    """
    if spike.baseline is None or not spike.recovery:
        return None
    spans = axis.spans[spike.recovery[0].index : spike.recovery[-1].index + 1]
    start = _calm_from(axis, spans, LIKE_BASELINE * spike.baseline.mean_rate)
    end = spike.recovery[-1].end_ns
    while (active := [f.end_ns for f in axis.faults if f.start_ns <= start < f.end_ns]) and start < end:
        start = max(active)
    start = min(start, end)
    cycle = max(span.cycle_ns for span in spans)
    return Watch(start, end, max(LEAST_WINDOW_NS, cycle, _time_of_arrivals(axis, start)))


def steps_of(axis: Axis) -> set[int]:
    """Where counting has to begin anew, in ns, for every figure of docs/overload.md to be exact."""
    cuts: set[int] = set()
    for spike in spikes_of(axis):
        cuts.update(spike.blocks)
        watch = watch_of(axis, spike)
        if watch is not None:
            cuts.update(watch.steps)
    return cuts


def _calm_from(axis: Axis, spans: tuple[Span, ...], limit: float) -> int:
    """The instant within these spans from which the planned rate stays at most `limit`."""
    limit *= 1 + 1e-9  # a rate equal to the limit but for float error is within it
    calm = spans[0].start_ns
    for span in spans:
        for piece in span.pieces:
            if piece.end_rate > limit:
                calm = piece.end_ns
            elif piece.shape.rate(0.0) > limit:
                # Shapes rise or fall all along, so this one crosses the limit once, going down.
                above, below = piece.start_ns, piece.end_ns
                while below - above > 1:
                    middle = (above + below) // 2
                    if axis.rate_at(middle) > limit:
                        above = middle
                    else:
                        below = middle
                calm = below
    return calm


def _time_of_arrivals(axis: Axis, start_ns: int) -> int:
    """How long from `start_ns` `WINDOW_ARRIVALS` take; the rest of the run and more if they never come.

    Never longer than any run: at a billionth of an arrival a second they would take thousands of years.
    """
    position = axis.arrivals_by(start_ns) + WINDOW_ARRIVALS
    if position >= axis.arrivals - TOLERANCE:
        short = WINDOW_ARRIVALS - (axis.arrivals - axis.arrivals_by(start_ns))
        rate = axis.rate_at(axis.duration_ns - 1)
        beyond = short / rate * SECOND if rate > 0 else 0.0
        rest = axis.duration_ns - start_ns
        return min(LONGEST, rest + max(1, round(min(beyond, LONGEST))))
    return axis.dues([position])[0] - start_ns
