"""Pace: workers that know nothing of each other keep one bound on new connections. Virtual time."""

from __future__ import annotations

import pytest

from loadtool.engine.pace import SLACK_NS, Pace

MS = 1_000_000
SECOND = 1000 * MS
START = 7 * SECOND


def flood(pace: Pace, since: int, until: int, *, late: int = 0) -> list[int]:
    """When connections are opened that many wait for, by a loop that is `late` by so much each time."""
    moments = []
    now = max(since, pace.next) + late
    while now < until:
        moments.append(now)
        pace.opened(now)
        now = max(now, pace.next) + late
    return moments


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
@pytest.mark.parametrize("per_s", [1.0, 10.0, 50.0])
def test_workers_take_turns_from_the_start_on(per_s: float, workers: int) -> None:
    moments = sorted(
        moment
        for worker in range(workers)
        for moment in flood(Pace(per_s, worker, workers, START), START, START + 12 * SECOND)
    )
    assert len(moments) == 12 * per_s
    assert all(abs(at - START - k * SECOND / per_s) <= workers for k, at in enumerate(moments))  # rounding


def test_workers_take_turns_when_all_connections_are_opened_anew() -> None:
    paces = [Pace(4.0, worker, 4, START) for worker in range(4)]
    moment = START + 60 * SECOND
    for pace in paces:
        pace.all_at(moment)
    moments = sorted(at for pace in paces for at in flood(pace, moment, moment + SECOND))
    assert moments == [moment + k * 250 * MS for k in range(4)]


def test_a_moment_to_open_all_anew_does_not_hasten_those_that_are_not_due() -> None:
    pace = Pace(1.0, 0, 1, START)
    pace.opened(START)
    pace.all_at(START + 10 * MS)
    assert pace.next == START + SECOND


def test_a_loop_that_is_a_little_late_keeps_the_pace() -> None:
    assert len(flood(Pace(100.0, 0, 1, START), START, START + SECOND, late=SLACK_NS // 2)) >= 99


def test_what_was_not_used_does_not_add_up() -> None:
    pace = Pace(10.0, 0, 1, START)
    assert len(flood(pace, START + 60 * SECOND, START + 61 * SECOND)) <= 11


def test_without_a_bound_any_moment_will_do() -> None:
    pace = Pace(start_ns=START)
    for _ in range(3):
        pace.opened(START)
    pace.all_at(START)
    assert pace.next <= START
