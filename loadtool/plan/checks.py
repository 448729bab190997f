"""What can be wrong with a job though its profile is right: found here, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from loadtool.plan.job import Job
from loadtool.plan.mix import Mix, RenderError
from loadtool.plan.ordinals import Ordinals, check_feeders
from loadtool.plan.rows import ORDINAL_BITS
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline

MOST_ARRIVALS: Final = 10_000_000_000  # floats tell neighbours apart to a millionth up to here
SAMPLES: Final = 1000  # arrivals of each request that are rendered to see whether they can be


def too_many_arrivals(job: Job) -> str | None:
    """What to say of a schedule beyond counting."""
    arrivals = Timeline.of(job).arrivals
    if arrivals <= MOST_ARRIVALS:
        return None
    return f"got {arrivals:,.0f} arrivals in all, want at most {MOST_ARRIVALS:,}"


def render_problems(job: Job) -> Iterator[tuple[int, RenderError]]:
    """The first thing that is wrong with each request that can't be rendered, with the request's index.

    Tries `SAMPLES` arrivals, with rows from all over the feeders.
    """
    for i, request in enumerate(job.requests):
        alone = replace(job, requests=(request,))
        try:
            mix = Mix(alone)
            for arrival, ordinal in [] if mix.is_static(0) else _samples(alone):
                mix.message(0, arrival, ordinal)
        except RenderError as e:
            yield i, e


def _samples(job: Job) -> Iterator[tuple[int, int]]:
    """Arrival and ordinal, spread evenly over the rows of every feeder in use."""
    slots = Ordinals(job).slots
    sizes = [(slots[name], len(spec.rows)) for name, spec in job.rows if name in slots]
    tries = min(max((size for _, size in sizes), default=SAMPLES), SAMPLES)
    for i in range(tries):
        yield i, sum((i * size // tries) << slot * ORDINAL_BITS for slot, size in sizes)


def feeder_problems(job: Job) -> list[tuple[str, str]]:
    """What is wrong with the job's feeders for all the arrivals of the run: name and message."""
    if all(spec.order != "once" for _, spec in job.rows):
        return []
    counts = [0] * len(job.requests)
    for (_, _, request), n in Schedule(job).counts_by_segment_and_request().items():
        counts[request] += n
    return check_feeders(job, counts)
