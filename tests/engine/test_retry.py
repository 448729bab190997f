"""Retries by arithmetic, on a clock of the test's own: delays, deadlines, timeouts, who waits for what."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from loadtool.engine.connection import Arrival, Retry
from loadtool.engine.feed import FAR
from loadtool.engine.retry import Patience, Waiting
from loadtool.measure.outcome import OUTCOMES
from loadtool.measure.recorder import Cell
from loadtool.plan.backoff import POLICIES
from loadtool.plan.job import ClientSpec, RetrySpec
from loadtool.plan.retries import longest_ns
from loadtool.profile.readers import RETRIABLE

MS = 1_000_000
S = 1000 * MS
SPEC = RetrySpec("exponential", 10, 100 * MS, 800 * MS, ("shed",), True)
CLIENT = ClientSpec(2 * S, 60 * S, 100, True, (503,), retries=SPEC)


def arrival(due: int = 0, number: int = 0, give_up: int = 2 * S) -> Arrival:
    return Arrival(due, give_up, 0, Cell((0, 0, 0), True), b"x", number)


def attempts(client: ClientSpec, *, seed: int = 1, number: int = 0, lasts_ns: int = 0) -> list[Retry]:
    """The attempts at an arrival due at 0, each of which ends so long after it was due."""
    assert client.retries is not None
    patience, subject = Patience(client, client.retries, seed), arrival(number=number)
    found: list[Retry] = []
    while (retry := patience.next_attempt(subject, subject.planned() + lasts_ns, None)) is not None:
        patience.begin(subject, retry)
        found.append(retry)
    return found


def delays(policy: str, *, seed: int = 1, number: int = 0, **more: int) -> list[float]:
    spec = replace(SPEC, policy=policy, **more)
    return [r.delay / MS for r in attempts(replace(CLIENT, retries=spec), seed=seed, number=number)]


@pytest.mark.parametrize(
    ("policy", "most", "wanted"),
    [
        ("immediate", 3, [0, 0, 0]),
        ("exponential", 6, [100, 200, 400, 800, 800, 800]),
        ("exponential", 1, [100]),
    ],
)
def test_delays_that_are_not_drawn(policy: str, most: int, wanted: list[float]) -> None:
    assert delays(policy, max=most) == wanted


def test_full_jitter_is_anything_up_to_the_exponential_delay() -> None:
    drawn = [delays("full-jitter", max=5, number=n) for n in range(2000)]
    for place, most in enumerate([100, 200, 400, 800, 800]):
        of_place = [d[place] for d in drawn]
        assert 0 <= min(of_place) < 0.02 * most
        assert 0.98 * most < max(of_place) < most
        assert sum(of_place) / 2000 == pytest.approx(most / 2, rel=0.05)  # uniform: 4 standard errors


def test_decorrelated_jitter_is_from_base_to_three_times_the_last_delay() -> None:
    drawn = [delays("decorrelated-jitter", max=6, number=n) for n in range(500)]
    for one in drawn:
        assert all(100 <= later <= min(800, 3 * last) for last, later in pairwise([100.0, *one]))
    first = [one[0] for one in drawn]
    assert sum(first) / 500 == pytest.approx(200, rel=0.06)  # uniform from 100 to 300
    assert max(d for one in drawn for d in one) == 800


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    assert delays("full-jitter", seed=7, number=5) == delays("full-jitter", seed=7, number=5)
    assert delays("full-jitter", seed=8, number=5) != delays("full-jitter", seed=7, number=5)
    assert delays("full-jitter", seed=7, number=6) != delays("full-jitter", seed=7, number=5)


@pytest.mark.parametrize(
    ("deadline_ms", "lasts_ms", "dues_ms"),
    [
        # Attempts that end at once, after 0, 100, 300, 700, 1500 … ms.
        (1501, 0, [100, 300, 700, 1500]),
        (1500, 0, [100, 300, 700]),  # one that is due at the deadline can't start before it
        (100, 0, []),
        # Attempts of 50 ms each: after 50 + 100, 200 + 200, 450 + 400 ms.
        (1000, 50, [150, 400, 850]),
        (850, 50, [150, 400]),
    ],
)
def test_what_can_not_start_before_the_deadline_is_not_tried(
    deadline_ms: int, lasts_ms: int, dues_ms: list[int]
) -> None:
    client = replace(CLIENT, deadline_ns=deadline_ms * MS)
    assert [r.due / MS for r in attempts(client, lasts_ns=lasts_ms * MS)] == dues_ms


def test_without_a_deadline_it_lasts_as_long_as_its_attempts_can() -> None:
    client = replace(CLIENT, deadline_ns=None, retries=replace(SPEC, max=3))
    assert longest_ns(client) == 4 * 2 * S + (100 + 200 + 400) * MS
    assert [r.due / MS for r in attempts(client, lasts_ns=2 * S)] == [2100, 4300, 6700]  # all of them


def test_each_attempt_has_a_timeout_of_its_own_up_to_the_deadline() -> None:
    client = replace(CLIENT, deadline_ns=3 * S)
    assert client.retries is not None
    patience, subject = Patience(client, client.retries, 1), arrival(due=10 * S, give_up=12 * S)
    subject.dialled, subject.resent, subject.refused = 5, True, 3
    for ended, give_up in ((10_200, 12_300), (11_000, 13_000)):  # due at 10.3, and at 11.2 s
        retry = patience.next_attempt(subject, ended * MS, None)
        assert retry is not None
        patience.begin(subject, retry)
        assert subject.give_up == give_up * MS
        # It is tried as if for the first time.
        assert (subject.dialled, subject.resent, subject.refused) == (0, False, 0)
    assert subject.due == 10 * S  # response times count from there


@pytest.mark.parametrize(
    ("policy", "obey", "asked_ms", "wait_ms", "promised"),
    [
        ("exponential", True, 250, 250, True),
        ("exponential", True, 30, 100, True),  # its own backoff is longer
        ("exponential", True, 100, 100, True),
        ("immediate", True, 250, 250, True),
        ("exponential", False, 250, 100, False),
        ("exponential", False, 30, 100, True),  # obeyed by chance
        ("immediate", False, 0, 0, True),
        ("exponential", True, None, 100, False),
    ],
)
def test_retry_after(policy: str, obey: bool, asked_ms: int | None, wait_ms: int, promised: bool) -> None:
    spec = replace(SPEC, policy=policy, obey=obey)
    patience, subject = Patience(replace(CLIENT, retries=spec), spec, 1), arrival()
    asked = None if asked_ms is None else asked_ms * MS
    first = patience.next_attempt(subject, 5 * MS, asked)
    assert first is not None
    assert (first.due, first.promised) == ((5 + wait_ms) * MS, promised)
    patience.begin(subject, first)
    second = patience.next_attempt(subject, 400 * MS, asked)
    assert second is not None
    assert not second.promised  # only what the first one met is held against the service


def test_a_retry_after_beyond_the_deadline_ends_it() -> None:
    patience = Patience(CLIENT, SPEC, 1)
    assert patience.next_attempt(arrival(), 0, 60 * S - 1) is not None
    assert patience.next_attempt(arrival(), 0, 60 * S) is None


def test_waiting_ones_leave_in_the_order_in_which_they_are_due() -> None:
    waiting = Waiting()
    assert (waiting.next_due(), len(waiting), waiting.take(FAR)) == (FAR, 0, None)
    for number, due in enumerate((30, 10, 20, 10)):
        one = arrival(number=number)
        one.retry = Retry()
        one.retry.due = due
        waiting.add(one)
    assert (waiting.next_due(), len(waiting)) == (10, 4)
    assert waiting.take(9) is None
    taken = [waiting.take(20), waiting.take(20), waiting.take(20)]
    assert [one.number for one in taken if one is not None] == [1, 3, 2]
    assert waiting.take(29) is None
    assert [one.number for one in waiting.drain(1)] == [0]
    assert (waiting.next_due(), len(waiting)) == (FAR, 0)


def test_policies_and_outcomes_are_those_of_the_profile() -> None:
    from loadtool.profile.model import POLICIES as NAMED

    assert ("none", *POLICIES) == NAMED
    assert set(OUTCOMES) - set(RETRIABLE) == {"ok", "lost", "aborted"}
