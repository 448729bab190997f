"""checks: how much is tried before a run, and how arrivals for rows of single use are reckoned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plan_jobs import make_job, phase, request

from loadtool.plan import checks
from loadtool.plan.checks import feeder_problems, render_problems
from loadtool.plan.job import Job, RowsSpec

MS = 1_000_000


def ticking(step_ns: int) -> tuple[Callable[[], int], list[int]]:
    """A clock that goes on by so much whenever it is asked, and what it has said."""
    said: list[int] = []

    def clock() -> int:
        said.append(len(said) * step_ns)
        return said[-1]

    return clock, said


def rows(number: int, order: str = "once") -> RowsSpec:
    return RowsSpec(order, ("n",), tuple((str(i),) for i in range(number)))


def test_templates_are_tried_for_half_a_second_in_equal_shares() -> None:
    job = make_job(requests=tuple(request(name=n, path="/{{ uuid() }}") for n in ("a", "b")))
    clock, said = ticking(100 * MS)
    assert list(render_problems(job, clock)) == []
    assert said == [n * 100 * MS for n in range(6)]  # at the start, three times for a, twice for b
    clock, said = ticking(MS // 10)
    assert list(render_problems(job, clock)) == []
    assert len(said) == 1 + 2 * checks.SAMPLES


def test_each_request_is_tried_once_however_late_it_is() -> None:
    wrong = tuple(request(name=n, path="{{ uuid() }}") for n in ("a", "b", "c"))
    clock, _ = ticking(10_000 * MS)
    assert [i for i, _ in render_problems(make_job(requests=wrong), clock)] == [0, 1, 2]


@pytest.mark.parametrize("size", [10, 1000, 5000])
def test_the_first_few_tries_are_from_all_over_the_rows(size: int) -> None:
    job = make_job(requests=(request(path="/{{ row.n }}"),), rows=(("row", rows(size, "cycle")),))
    tried = [ordinal for _, ordinal in checks._from_all_over(list(checks._samples(job)))]
    assert len(set(tried)) == min(size, checks.SAMPLES)
    few = sorted(tried[:8])
    gaps = [b - a for a, b in zip([0, *few], [*few, size], strict=True)]
    assert max(gaps) <= size * 0.3


def once(number: int, **changes: Any) -> Job:
    uses = request(path="/{{ row.n }}", weight=1.0)
    return make_job(requests=(uses, request(weight=3.0)), rows=(("row", rows(number)),), **changes)


@pytest.mark.parametrize(
    ("arrivals", "batch", "most"), [("constant", 1, 10_520), ("poisson", 1, 10_600), ("poisson", 4, 11_200)]
)
def test_of_many_arrivals_it_is_reckoned_what_rows_they_may_need(
    monkeypatch: pytest.MonkeyPatch, arrivals: str, batch: int, most: int
) -> None:
    monkeypatch.setattr(checks, "MOST_DRAWN", 39_999)
    steady = replace(phase(400, 100), batch=batch)
    assert feeder_problems(once(most, arrivals=arrivals, phases=(steady,))) == []
    assert feeder_problems(once(most - 1, arrivals=arrivals, phases=(steady,))) == [
        (
            "row",
            f"has {most - 1:,} rows for up to {most:,} arrivals with order: once; "
            f"give it {most:,} rows or order: cycle",
        )
    ]
    # Drawn, they need fewer.
    monkeypatch.setattr(checks, "MOST_DRAWN", 40_000)
    assert feeder_problems(once(most - 1, arrivals=arrivals, phases=(steady,))) == []


def test_a_fixed_number_of_arrivals_is_known_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MOST_DRAWN", 0)
    job = make_job(requests=(request(path="/{{ row.n }}"),), rows=(("row", rows(100)),))
    assert feeder_problems(job) == []


def test_counting_ten_thousand_million_arrivals_takes_no_draw() -> None:
    job = once(5, phases=(phase(1e6, 10_000),), arrivals="poisson")
    (problem,) = feeder_problems(job)
    assert problem[1].startswith("has 5 rows for up to 2,500,300,000 arrivals with order: once; give it")
