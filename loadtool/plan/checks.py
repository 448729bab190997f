"""What can be wrong with a job though its profile is right: found here, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil, gcd, sqrt
from typing import Final

from loadtool.plan.axis import TOLERANCE
from loadtool.plan.job import Job
from loadtool.plan.mix import Mix, RenderError
from loadtool.plan.ordinals import Ordinals, check_feeders
from loadtool.plan.rows import ORDINAL_BITS
from loadtool.plan.schedule import Schedule
from loadtool.plan.timeline import Timeline

MOST_ARRIVALS: Final = 10_000_000_000  # floats tell neighbours apart to a millionth up to here
SAMPLES: Final = 1000  # arrivals of each request that are rendered to see whether they can be, at most
PATIENCE_NS: Final = 500_000_000  # for all requests, where somebody waits
MOST_DRAWN: Final = 1_000_000  # arrivals that are drawn to count them: about a second
_SIGMAS: Final = 6  # beyond which nothing happens: once in a thousand million
_GOLDEN: Final = 0.618  # of a range from one sample to the next: no stretch of it stays unseen for long


def too_many_arrivals(job: Job) -> str | None:
    """What to say of a schedule beyond counting."""
    arrivals = Timeline.of(job).arrivals
    if arrivals <= MOST_ARRIVALS:
        return None
    return f"got {arrivals:,.0f} arrivals in all, want at most {MOST_ARRIVALS:,}"


def render_problems(job: Job, clock: Callable[[], int] | None = None) -> Iterator[tuple[int, RenderError]]:
    """The first thing that is wrong with each request that can't be rendered, with the request's index.

    Tries up to `SAMPLES` arrivals, with rows from all over the feeders: each request's first, and with a
    `clock` (ns) no more once `PATIENCE_NS` are used up, in equal shares. What is found is wrong; a template
    that fails for some rows alone may pass.
    """
    began = clock() if clock is not None else 0
    for i, request in enumerate(job.requests):
        alone = replace(job, requests=(request,))
        give_up = began + PATIENCE_NS * (i + 1) // len(job.requests)
        try:
            mix = Mix(alone)
            for arrival, ordinal in [] if mix.is_static(0) else _from_all_over(list(_samples(alone))):
                mix.message(0, arrival, ordinal)
                if clock is not None and clock() >= give_up:
                    break
        except RenderError as e:
            yield i, e


def _samples(job: Job) -> Iterator[tuple[int, int]]:
    """Arrival and ordinal, spread evenly over the rows of every feeder in use."""
    slots = Ordinals(job).slots
    sizes = [(slots[name], len(spec.rows)) for name, spec in job.rows if name in slots]
    tries = min(max((size for _, size in sizes), default=SAMPLES), SAMPLES)
    for i in range(tries):
        yield i, sum((i * size // tries) << slot * ORDINAL_BITS for slot, size in sizes)


def _from_all_over(samples: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All of them, in an order in which the first few are spread over them: not all may be tried."""
    size = len(samples)
    step = next(step for step in range(max(1, round(size * _GOLDEN)), size + 2) if gcd(step, size) == 1)
    return (samples[i * step % size] for i in range(size))


def feeder_problems(job: Job) -> list[tuple[str, str]]:
    """What is wrong with the job's feeders for all the arrivals of the run: name and message.

    Up to `MOST_DRAWN` arrivals are counted; of more it is reckoned how many there may be.
    """
    if all(spec.order != "once" for _, spec in job.rows):
        return []
    if Timeline.of(job).arrivals > MOST_DRAWN:
        return check_feeders(job, _most_arrivals(job), exact=False)
    counts = [0] * len(job.requests)
    for (_, _, request), n in Schedule(job).counts_by_segment_and_request().items():
        counts[request] += n
    return check_feeders(job, counts)


def _most_arrivals(job: Job) -> list[int]:
    """How many arrivals each request may have: the mean and `_SIGMAS` standard deviations.

    Their number is Poisson distributed, in batches, or fixed, and by request binomial.
    """
    mean = Timeline.of(job).arrivals
    total = sum(request.weight for request in job.requests)
    kinds = {(phase.process or job.arrivals, phase.batch) for phase in job.phases}
    varies = any(process != "constant" for process, _ in kinds)
    batch = max(batch for _, batch in kinds)
    rounding = len(job.phases) if len(kinds) > 1 else 0  # what is made in the same way is rounded up once
    most = []
    for request in job.requests:
        share = request.weight / total
        variance = mean * share * (batch if varies else 1 - share)
        most.append(ceil(mean * share + _SIGMAS * sqrt(variance) - TOLERANCE) + rounding)
    return most
