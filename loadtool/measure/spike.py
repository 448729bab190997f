"""What result.json holds of spikes: counts step by step, the frame of each, and what the judge made of them.

`Step` and `SpikeFrame` are measured; `Overload` is the judge's, and can be worked out from those again. Times
are in s since the run's start, or lengths in s, unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Step:
    """Counts of the arrivals due in [start_s, end_s).

    Steps cover the run. They end where phases and faults do, and in a spike and its recovery also where its
    blocks and windows do.
    """

    phase: str
    start_s: float
    end_s: float  # of what was run
    scheduled: int = 0
    ok: int = 0
    shed: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    good: int = 0
    attempts: int = 0
    first_shed_s: float | None = None  # when the first one that was shed was due


@dataclass(slots=True)
class WatchFrame:
    """What of a recovery counts, as planned: from when the load is the baseline's and no fault is active."""

    from_s: float
    end_s: float
    window_s: float
    step_s: float  # from one window to the next


@dataclass(slots=True)
class SpikeFrame:
    """A maximal run of spike phases with what it is judged against (docs/overload.md), as planned."""

    name: str
    phases: list[str]
    start_s: float
    end_s: float
    baseline: str | None
    recovery: list[str]
    blocks_s: list[float]  # where its blocks begin, and where the last one ends; empty without a baseline
    watch: WatchFrame | None
    first_third_ms: float | None = None  # median response time of the ok answers in it
    last_third_ms: float | None = None


@dataclass(slots=True)
class SpikeFigures:
    """What a spike did to the service. None: it can't be had, and `unknown` says why, by the field's name."""

    name: str
    phases: list[str]
    baseline: str | None
    recovery: list[str]
    verdict: str
    sentence: str
    reference: str | None = None  # what goodput is held against: capacity or baseline
    reference_per_s: float | None = None
    offered_per_s: float = 0.0
    goodput_per_s: float = 0.0
    served_per_s: float | None = None  # of the reference: goodput without what one block has beyond it
    demanded_per_s: float | None = None  # of the reference: what could have been served
    baseline_ratio: float | None = None  # good ÷ arrivals
    ratio: float | None = None
    goodput_retention: float | None = None
    end_retention: float | None = None
    block_s: float | None = None
    shed_ratio: float | None = None  # of arrivals
    shed_ratio_attempts: float | None = None  # of attempts
    shed_p99_ms: float | None = None
    shed_p99_bound_ms: float | None = None  # the default that colours it; None: the baseline has no p50
    honest_rejection: float | None = None
    strict_rejection: float | None = None  # ... with a valid Retry-After
    retry_after_truth: float | None = None  # share of first retries after the promised delay that got in
    promised: int = 0  # of so many
    recovery_s: float | None = None
    recovered: bool | None = None  # False: not in the time watched
    watched_s: float | None = None
    watched: int = 0  # arrivals
    tail: int = 0  # of these, in its last third
    hysteresis: float | None = None
    hysteresis_bound: float | None = None
    retry_amplification: float | None = None  # in the spike
    retry_amplification_after: float | None = None  # in the last third of what was watched of the recovery
    latency_growth: float | None = None
    time_to_first_shed_s: float | None = None
    implied_buffer: float | None = None  # arrivals
    faults: list[str] = field(default_factory=list)  # within which it could not always do the same
    arrivals: int = 0
    shed: int = 0
    errors: int = 0
    late: int = 0  # ok after `good_within`, timed out or unsent
    hard: int = 0  # other errors
    aborted: int = 0  # of those, under way when the run was ended: nobody knows what would have come of them
    throttled: int = 0  # held back by the clients themselves: errors, but neither late nor hard
    unknown: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """Arrivals that were sent and not served at all: sheds and errors."""
        return self.shed + self.errors - self.throttled


@dataclass(slots=True)
class CutLoadSteps:
    """Load beyond the planned end, at a share of the baseline's rate, for a service that did not come back.

    It is no part of the profile: no total, phase or SLO of the run counts it.
    """

    share: float  # of the last spike's baseline
    rate_per_s: float
    start_s: float
    end_s: float  # of what was run
    window_s: float  # in which recovery is judged
    steps: list[Step] = field(default_factory=list)  # from second to second


@dataclass(slots=True)
class CutLoad:
    """How the service fared at that rate. `recovered`: None if too few arrivals tell."""

    share: float
    rate_per_s: float
    watched_s: float
    recovered: bool | None
    recovered_s: float | None  # since the load was cut to that rate


@dataclass(slots=True)
class Overload:
    spikes: list[SpikeFigures]
    verdict: str  # the worst of theirs
    cut_load: list[CutLoad] = field(default_factory=list)  # in the order in which rates were cut
