from __future__ import annotations

import pytest

from loadtool.target.limiter import GradientLimit, TokenBucket

# When requests come (s), and what each is told: 0, or how long until there is a token.
BUCKETS: dict[str, tuple[TokenBucket, list[tuple[float, float]]]] = {
    "a burst, then the rate": (
        TokenBucket(rate=10, burst=3),
        [(0, 0), (0, 0), (0, 0), (0, 0.1), (0.05, 0.05), (0.1, 0), (0.1, 0.1), (0.2, 0), (0.3, 0)],
    ),
    "a long quiet time saves one burst and no more": (
        TokenBucket(rate=10, burst=2),
        [(0, 0), (0, 0), (60, 0), (60, 0), (60, 0.1)],
    ),
    "less than one a second": (
        TokenBucket(rate=0.5, burst=1),
        [(0, 0), (0, 2), (1, 1), (2, 0), (3.5, 0.5)],
    ),
}


@pytest.mark.parametrize("case", BUCKETS)
def test_bucket(case: str) -> None:
    bucket, rows = BUCKETS[case]
    assert [bucket.take(at) for at, _ in rows] == [pytest.approx(told) for _, told in rows]


@pytest.mark.parametrize("rate", [7, 100, 1000.5])
def test_the_rate_holds_in_the_long_run(rate: float) -> None:
    bucket = TokenBucket(rate, burst=5)
    step = 1 / (3 * rate)  # three times too many, for about 1,000 s ÷ rate
    passed = sum(bucket.take(i * step) == 0 for i in range(3000))
    assert passed == pytest.approx(5 + 3000 * step * rate, abs=2)


def settle(limit: GradientLimit, slots: int, work_s: float, answers: int = 500) -> None:
    """Answers of a service under more load than it can serve: as many inside as the limit lets in."""
    for _ in range(answers):
        inside = limit.limit
        limit.observe(work_s * max(1.0, inside / slots), inside)  # Little's law


@pytest.mark.parametrize(("slots", "work_s"), [(4, 0.05), (24, 0.01), (100, 0.2)])
@pytest.mark.parametrize("initial", [4, 5000])
def test_the_limit_settles_where_its_formula_says(slots: int, work_s: float, initial: int) -> None:
    limit = GradientLimit(initial)
    limit.observe(work_s, 1)  # of a quiet time
    settle(limit, slots, work_s)
    assert limit.limit == pytest.approx(1.5 * slots + 4, rel=0.06, abs=1)


def test_a_service_with_room_raises_nothing() -> None:
    limit = GradientLimit(24)
    for _ in range(1000):
        limit.observe(0.01, 2)
    assert limit.limit == 24


def test_slower_work_is_mistaken_for_waiting_until_it_is_usual() -> None:
    limit = GradientLimit(24)
    for _ in range(100):
        limit.observe(0.01, 20)
    assert limit.limit > 24
    for _ in range(100):
        limit.observe(0.25, limit.limit)
    assert limit.limit in (7, 8)  # half of it, and the 4 to probe with
    for _ in range(40_000):
        limit.observe(0.25, limit.limit)
    assert limit.limit > 24
