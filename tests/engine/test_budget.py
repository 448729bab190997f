"""Budgets and throttles by arithmetic: how many retries they allow, and when they allow more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.engine.budget import Budget, ShareBudget, TokenBudget, budget_of
from loadtool.engine.throttle import Throttle
from loadtool.engine.window import Window
from loadtool.plan.job import BudgetSpec, ThrottleSpec

S = 1_000_000_000
START = 1000 * S  # a monotonic clock begins anywhere


def granted(budget: Budget, wanted: int, now: int = START) -> int:
    return sum(budget.spend(now) for _ in range(wanted))


def granted_of_failures(budgets: list[Budget], arrivals: int) -> int:
    """How many retries there are if all of these arrivals, dealt out in turn, fail and want one each."""
    for i in range(arrivals):
        budgets[i % len(budgets)].arrived(START)
    total = 0
    for i in range(arrivals):
        budgets[i % len(budgets)].failed()
        total += granted(budgets[i % len(budgets)], 1)
    return total


def test_a_window_forgets_a_tenth_at_a_time() -> None:
    window = Window(10 * S)
    for second in range(10):
        for _ in range(second + 1):
            window.add(START + second * S)
    assert window.total(START + 9 * S) == 55
    assert window.total(START + 10 * S - 1) == 55
    assert window.total(START + 10 * S) == 54
    assert window.total(START + 15 * S) == 55 - 21
    assert window.total(START + 18 * S) == 10
    assert window.total(START + 19 * S) == 0
    window.add(START + 1000 * S)
    assert window.total(START + 1000 * S) == 1


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60), st.integers(10, 200))
def test_a_window_counts_what_came_in_its_ten_slots(steps: list[tuple[int, bool]], span: int) -> None:
    window, now, came = Window(span), 5 * span, list[int]()
    slot = span // 10
    for step, add in steps:
        now += step
        if add:
            window.add(now)
            came.append(now)
        assert window.total(now) == sum(now // slot - then // slot < 10 for then in came)


@pytest.mark.parametrize(
    ("share", "least", "arrivals", "allowed"),
    [
        (0.1, 0.0, 100, 10),
        (0.1, 0.0, 99, 9),
        (0.1, 0.0, 0, 0),
        (0.1, 1.0, 100, 20),  # and one a second, over ten of them
        (0.2, 10.0, 1000, 300),  # Finagle's own
        (1.0, 0.0, 7, 7),
        (0.07, 0.0, 100, 7),  # 0.07 · 100 is a little more than 7 in floats
    ],
)
def test_a_share_of_the_arrivals(share: float, least: float, arrivals: int, allowed: int) -> None:
    budget = ShareBudget(share, least)
    for i in range(arrivals):
        budget.arrived(START + i * 9 * S // max(arrivals, 1))
    assert granted(budget, 10_000, START + 9 * S) == allowed
    assert granted(budget, 1, START + 9 * S) == 0


def test_what_was_spent_comes_back_with_what_was_paid_in() -> None:
    """10 arrivals a second and more failures than it bears: one retry a second in the long run."""
    budget = ShareBudget(0.1, 0.0)
    total = 0
    for second in range(60):
        for _ in range(10):
            budget.arrived(START + second * S)
            total += granted(budget, 5, START + second * S)
    assert total == pytest.approx(60, abs=10)  # of 600 arrivals; the last window may be paid in advance


def test_tokens_as_grpc_counts_them() -> None:
    budget = TokenBudget(10, 0.1)
    allowed = 0
    for _ in range(20):
        budget.failed()
        allowed += granted(budget, 1)
    assert allowed == 4  # 9, 8, 7 and 6 tokens are more than half; 5 are not
    for successes, ok in ((50, False), (1, True)):  # from none to 5, and then to 5.1
        for _ in range(successes):
            budget.succeeded()
        assert budget.spend(START) is ok


def test_the_bucket_of_tokens_does_not_overflow() -> None:
    budget = TokenBudget(10, 0.1)
    for _ in range(1000):
        budget.succeeded()
    allowed = 0
    for _ in range(10):
        budget.failed()
        allowed += granted(budget, 1)
    assert allowed == 4


def test_one_failure_in_eleven_is_paid_for_for_ever() -> None:
    """Ten successes put back the token that a failure takes: nothing runs out."""
    budget = TokenBudget(10, 0.1)
    for _ in range(500):
        budget.failed()
        assert budget.spend(START)
        for _ in range(10):
            budget.succeeded()


def test_without_a_budget_everything_is_allowed() -> None:
    assert granted(budget_of(None, 0, 3), 1000) == 1000


BUDGETS = (
    BudgetSpec(share=0.1, min_per_s=1.0),
    BudgetSpec(share=0.03),
    BudgetSpec(tokens=10.0, ratio=0.1),
    BudgetSpec(tokens=100.0, ratio=0.5),
    BudgetSpec(tokens=3.0, ratio=0.1),
    BudgetSpec(tokens=2.5, ratio=0.1),
    BudgetSpec(share=1.0),
)


@given(st.sampled_from(BUDGETS), st.integers(1, 5), st.integers(0, 400))
def test_workers_together_never_allow_more_than_one_and_little_less(
    spec: BudgetSpec, workers: int, arrivals: int
) -> None:
    """The same arrivals, all of which fail, at one worker and dealt out to several."""

    def allowed(number: int) -> int:
        return granted_of_failures([budget_of(spec, worker, number) for worker in range(number)], arrivals)

    alone, together = allowed(1), allowed(workers)
    assert alone - workers <= together <= alone


@pytest.mark.parametrize(
    ("spec", "workers", "arrivals", "allowed"),
    [
        (BudgetSpec(tokens=10.0, ratio=0.1), 1, 100, 4),
        (BudgetSpec(tokens=10.0, ratio=0.1), 4, 100, 4),  # 2.5 each: none would be left above half after one
        (BudgetSpec(tokens=10.0, ratio=0.1), 31, 310, 4),
        (BudgetSpec(tokens=11.0, ratio=0.1), 4, 100, 5),
        (BudgetSpec(tokens=3.0, ratio=0.1), 4, 100, 1),
        (BudgetSpec(tokens=2.0, ratio=0.1), 1, 100, 0),  # one is not more than half of two
        (BudgetSpec(tokens=2.0, ratio=0.1), 4, 100, 0),
        (BudgetSpec(min_per_s=0.3), 4, 100, 3),
        (BudgetSpec(share=0.1), 8, 48, 4),  # 0.6 of a retry for each worker's six
    ],
)
def test_a_total_below_the_number_of_workers_is_there_to_be_used(
    spec: BudgetSpec, workers: int, arrivals: int, allowed: int
) -> None:
    budgets = [budget_of(spec, worker, workers) for worker in range(workers)]
    total = granted_of_failures(budgets, arrivals)
    assert total == allowed


def test_a_bucket_that_was_dealt_out_fills_up_again() -> None:
    budget = TokenBudget(10, 0.1, worker=0, workers=2)  # two of the four
    for _ in range(100):
        budget.failed()
    for successes, ok in ((25, False), (1, True)):  # the lower half is 5, and half of that is this one's
        for _ in range(successes):
            budget.succeeded()
        assert budget.spend(START) is ok
    for _ in range(1000):
        budget.succeeded()
    allowed = 0
    for _ in range(10):
        budget.failed()
        allowed += granted(budget, 1)
    assert allowed == 2


SPEC = ThrottleSpec(2.0, 10 * S)


@pytest.mark.parametrize(
    ("requests", "accepts", "probability"),
    [
        (0, 0, 0.0),
        (4, 0, 4 / 5),
        (96, 0, 96 / 97),
        (104, 52, 0.0),  # twice as many as got in: none is held back yet
        (100, 52, 0.0),
        (100, 48, 4 / 101),
        (1000, 100, 800 / 1001),
    ],
)
@pytest.mark.parametrize("workers", [1, 4])
def test_the_probability_of_the_book(requests: int, accepts: int, probability: float, workers: int) -> None:
    """What all workers together have seen, dealt out evenly."""
    throttle = Throttle(SPEC, workers)
    for _ in range(requests // workers):
        throttle.requested(START)
    for _ in range(accepts // workers):
        throttle.accepted(START)
    assert throttle.probability(START) == pytest.approx(probability)


def test_what_is_long_past_is_forgotten() -> None:
    throttle = Throttle(SPEC, 1)
    for _ in range(100):
        throttle.requested(START)
    assert throttle.probability(START + 9 * S) == pytest.approx(100 / 101)
    assert throttle.probability(START + 10 * S) == 0.0
    assert throttle.words(START) == "held back by the clients' own throttle: 0 of the last 0 got in"
