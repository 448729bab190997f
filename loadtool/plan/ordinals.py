"""Ordinals: which arrivals use feeder rows, and how many did so before.

An arrival's *ordinal* tells, for each feeder, how many earlier arrivals of the whole run used it. Several
feeders share one integer, `ORDINAL_BITS` each, so with one feeder the ordinal is just that count. Whoever
is not this room passes it on as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from loadtool.plan.job import Job, RequestSpec
from loadtool.plan.rows import ORDINAL_BITS
from loadtool.plan.template import names_in, texts_of
from loadtool.plan.texts import RenderError


def feeders_used(request: RequestSpec, names: Sequence[str]) -> tuple[str, ...]:
    """Which of these feeders the request's templates use, in their order in `names`. Raises RenderError."""
    used: set[str] = set()
    for field, text in texts_of(request):
        if any(name in text for name in names):
            try:
                used |= names_in(text)
            except ValueError as e:
                raise RenderError(request.name, field, str(e)) from e
    return tuple(name for name in names if name in used)


class Ordinals:
    """Hands out ordinals along the run."""

    def __init__(self, job: Job) -> None:
        """Raises RenderError for a text that is no template."""
        names = [name for name, _ in job.rows]
        self.by_request = [feeders_used(request, names) for request in job.requests]
        taken = [name for name in names if any(name in used for used in self.by_request)]
        self.slots: dict[str, int] = {name: slot for slot, name in enumerate(taken)}
        self._steps = [sum(1 << self.slots[name] * ORDINAL_BITS for name in used) for used in self.by_request]

    @property
    def used(self) -> bool:
        """Whether any request uses rows."""
        return bool(self.slots)

    def along(self, requests: Sequence[int], first: int) -> list[int]:
        """The ordinals of consecutive arrivals, and at the end that of the arrival after them."""
        return list(accumulate(map(self._steps.__getitem__, requests), initial=first))


def check_feeders(job: Job, counts: Sequence[int], *, exact: bool = True) -> list[tuple[str, str]]:
    """What is wrong with the job's feeders: name and message.

    `counts`: arrivals of the run by request; `exact` False: as many as there may be.
    """
    ordinals = Ordinals(job)
    problems: list[tuple[str, str]] = []
    for name, spec in job.rows:
        if name not in ordinals.slots:
            continue
        needed = sum(n for n, used in zip(counts, ordinals.by_request, strict=True) if name in used)
        if not spec.rows:
            problems.append((name, "the feeder has no rows"))
        elif spec.order == "once" and needed > len(spec.rows):
            arrivals = f"{needed:,}" if exact else f"up to {needed:,}"
            remedy = f"give it {needed:,} rows or order: cycle"
            message = f"has {len(spec.rows):,} rows for {arrivals} arrivals with order: once; {remedy}"
            problems.append((name, message))
    return problems
