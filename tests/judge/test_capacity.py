"""The search for the knee, on tables and on services that are all arithmetic and chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtool.judge.capacity import Found, Hunt, Purpose, Trial, Tried, beyond, next_step

HUNT = Hunt(start=50, most=100_000)
Answer = Callable[[Trial], tuple[bool, bool]]  # holds, late


def search(hunt: Hunt, answer: Answer) -> tuple[Found, list[Tried]]:
    tried: list[Tried] = []
    while True:
        step = next_step(hunt, tried)
        if isinstance(step, Found):
            return step, tried
        tried.append(Tried(step, *answer(step)))
        assert len(tried) < 500


def knee_at(capacity: float, kind: float = 0.0, generator: float = math.inf) -> Answer:
    """Holds up to `capacity`; short steps up to so much more; the generator is late above its own."""
    return lambda trial: (
        trial.rate <= capacity * (1 if trial.long else 1 + kind),
        trial.rate > generator,
    )


@pytest.mark.parametrize("capacity", [50.0, 51, 64, 99.9, 100, 777, 12_345, 99_999])
@pytest.mark.parametrize("precision", [0.01, 0.02, 0.1])
def test_a_sharp_knee_is_found_within_the_precision(capacity: float, precision: float) -> None:
    hunt = Hunt(50, 1_000_000, precision)
    found, tried = search(hunt, knee_at(capacity))
    assert (found.ending, found.confirmed) == ("found", True)
    assert found.holds is not None
    assert found.fails is not None
    assert found.holds <= capacity < found.fails <= found.holds * (1 + precision) * (1 + 1e-9)
    assert sum(t.trial.long for t in tried) == hunt.confirmations


def test_each_step_of_a_plain_search() -> None:
    found, tried = search(Hunt(50, 10_000, precision=0.1, confirmations=2), knee_at(330))
    assert [(t.trial.purpose, t.trial.rate, t.holds) for t in tried] == [
        ("climb", 50, True), ("climb", 100, True), ("climb", 200, True), ("climb", 400, False),
        ("bisect", 300, True), ("bisect", 350, False), ("bisect", 325, True), ("repeat", 350, False),
        ("confirm", 325, True), ("confirm", 325, True),
    ]  # fmt: skip
    assert found == Found("found", 325, 350, confirmed=True)
    assert beyond(Hunt(50, 10_000), found) == [Trial("curve", 487.5), Trial("curve", 650)]
    assert beyond(Hunt(50, 500), found) == [Trial("curve", 487.5)]


@pytest.mark.parametrize(
    ("hunt", "answer", "wanted"),
    [
        (Hunt(50, 400), knee_at(1e9), Found("at-least", 400, None, confirmed=True)),
        (Hunt(64, 64), knee_at(1e9), Found("at-least", 64, None, confirmed=True)),
        (Hunt(64, 1000), knee_at(0), Found("none", None, 1)),
        (Hunt(0.2, 1000), knee_at(0), Found("none", None, 0.1)),
        (Hunt(50, 10_000), knee_at(1e9, generator=199), Found("generator", 187.5, None)),
        (Hunt(64, 10_000), knee_at(1e9, generator=0), Found("generator", None, None)),
    ],
)
def test_where_there_is_no_knee(hunt: Hunt, answer: Answer, wanted: Found) -> None:
    found, _ = search(hunt, answer)
    assert found == wanted
    assert beyond(hunt, found) == []


@pytest.mark.parametrize("generator", [1, 0.9])
def test_the_lowest_rate_of_all_is_tried_before_the_generator_is_given_up(generator: float) -> None:
    _, steps = search(Hunt(64, 10_000), knee_at(1e9, generator=generator))
    assert list(dict.fromkeys(t.trial.rate for t in steps))[:7] == [64, 32, 16, 8, 4, 2, 1]


def outcomes(*trials: tuple[Purpose, float, bool]) -> list[Tried]:
    return [Tried(Trial(purpose, rate), holds) for purpose, rate, holds in trials]


def test_each_long_hold_that_fails_takes_twice_as_large_a_step_down() -> None:
    """By how much short steps were too kind is not known: 2 %, 4 %, 8 % of the rate that failed last."""
    tried = outcomes(("climb", 100, True), ("climb", 200, False), ("repeat", 200, False))
    wanted = [100 * 0.98, 98 * 0.96, 94.1 * 0.92]
    tried += outcomes(("confirm", 100, False))
    for rate in wanted:
        step = next_step(Hunt(100, 10_000, 0.02), tried)
        assert isinstance(step, Trial)
        assert (step.purpose, step.rate) == ("confirm", pytest.approx(rate, rel=0.002))
        tried.append(Tried(step, False))


def test_what_held_is_confirmed_when_there_are_no_more_short_steps() -> None:
    hunt = Hunt(100, 200, 0.02)
    failed: list[Tried] = outcomes(*[("repeat", 200, False)] * (hunt.most_short - 1))
    assert next_step(hunt, outcomes(("climb", 100, True)) + failed[1:]) == Trial("bisect", 150)
    tried = outcomes(("climb", 100, True)) + failed
    assert next_step(hunt, tried) == Trial("confirm", 100)
    tried += outcomes(("confirm", 100, True), ("confirm", 100, True))
    assert next_step(hunt, tried) == Found("found", 100, 200, confirmed=True)
    assert next_step(hunt, failed + outcomes(("climb", 100, False))) == Found("unsteady", None, 100)


def test_it_goes_below_the_first_rate() -> None:
    found, _ = search(Hunt(400, 10_000), knee_at(41))
    assert found.ending == "found"
    assert found.holds is not None
    assert 40 <= found.holds <= 41


def test_a_knee_below_what_the_generator_can_send_is_found_all_the_same() -> None:
    found, tried = search(HUNT, knee_at(1000, generator=1100))
    assert found.ending == "found"
    assert found.holds is not None
    assert 980 <= found.holds <= 1000
    assert [t.trial.rate for t in tried if t.late] == [1600, 1600, 1200, 1200]


def test_a_generator_that_is_late_once_is_asked_again() -> None:
    late = iter([False, True])

    def answer(trial: Trial) -> tuple[bool, bool]:
        return trial.rate <= 330, next(late, False)

    found, tried = search(HUNT, answer)
    assert [t.trial.rate for t in tried[:3]] == [50, 100, 100]
    assert found.ending == "found"


def test_a_generator_too_late_to_confirm_is_the_limit() -> None:
    found, _ = search(HUNT, lambda trial: (trial.rate <= 330, trial.long))
    assert found.ending == "generator"
    assert found.confirmed is False


@pytest.mark.parametrize("kind", [0.02, 0.05, 0.1, 0.4])
def test_short_steps_that_are_too_kind_do_not_mislead(kind: float) -> None:
    hunt = Hunt(50, 10_000)
    found, tried = search(hunt, knee_at(330, kind))
    assert (found.ending, found.confirmed) == ("found", True)
    assert found.holds is not None
    assert found.fails is not None
    assert found.holds <= 330 < found.fails <= found.holds * 1.02001
    assert sum(t.trial.long for t in tried) <= 12


@pytest.mark.parametrize("wrong", range(9))
def test_one_wrong_outcome_does_not_matter(wrong: int) -> None:
    """Whichever of the short steps had good or bad luck."""
    count = iter(range(1000))

    def answer(trial: Trial) -> tuple[bool, bool]:
        truth = trial.rate <= 330
        return (not truth if next(count) == wrong else truth), False

    found, _ = search(HUNT, answer)
    assert found.ending == "found"
    assert found.holds is not None
    assert 330 / 1.05 <= found.holds <= 330


@settings(max_examples=60, deadline=None)
@given(capacity=st.floats(1, 1e5), width=st.floats(0, 0.05), seed=st.integers(0, 999))
def test_noise_around_the_knee_moves_it_little(capacity: float, width: float, seed: int) -> None:
    """A step holds with a probability that falls from 1 to 0 across the knee; long ones are surer."""
    rng = Random(seed)

    def answer(trial: Trial) -> tuple[bool, bool]:
        blur = capacity * width / (2 if trial.long else 1)
        return trial.rate + rng.gauss(0, blur) <= capacity if blur else trial.rate <= capacity, False

    hunt = Hunt(min(50, capacity), 1e6)
    found, _ = search(hunt, answer)
    assert found.ending in ("found", "unsteady")
    assert found.holds is not None
    assert abs(math.log(found.holds / capacity)) <= 0.03 + 4 * width


@settings(max_examples=200, deadline=None)
@given(
    start=st.floats(0.01, 5000),
    reach=st.floats(1, 1000),
    precision=st.sampled_from([0.005, 0.02, 0.1, 0.5]),
    outcomes=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200),
)
def test_whatever_comes_it_ends_and_stays_within_bounds(
    start: float, reach: float, precision: float, outcomes: list[tuple[bool, bool]]
) -> None:
    hunt = Hunt(start, start * reach, precision)
    answers = iter(outcomes)
    found, tried = search(hunt, lambda trial: next(answers, (trial.rate < 2 * start, False)))
    sound = [t.trial for t in tried if not t.late]
    assert sum(not t.long for t in sound) <= hunt.most_short
    assert sum(t.long for t in sound) <= hunt.most_long
    assert all(hunt.least * (1 - 1e-9) <= t.trial.rate <= hunt.most * (1 + 1e-9) for t in tried)
    if found.holds is not None and found.fails is not None:
        assert found.holds < found.fails
    if found.confirmed:
        assert sum(t == Tried(Trial("confirm", found.holds or 0), True) for t in tried) >= 2


def test_the_usual_number_of_steps_is_what_it_usually_takes() -> None:
    _, tried = search(HUNT, knee_at(700))
    short = sum(not t.trial.long for t in tried)
    assert abs(short - HUNT.usual_short) <= 3
