"""What the bench does about cores that are moved about or slowed down, by a script's word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest
from benchmark.cores import LOOK_EVERY_S, PATIENCE_S, TRIES, WAIT_S, Cores, Look, look
from benchmark.process import tree

WAITS = round(WAIT_S / LOOK_EVERY_S)
GOOD, FAR, SLOW = Look(200, 800), Look(500, 800), Look(200, 1300)


def scripted(looks: list[Look]) -> tuple[Cores, list[float]]:
    """Looks in this order, the last one from then on; and the waits between them."""
    waited: list[float] = []

    def script() -> Iterator[Look]:
        yield from looks
        while True:
            yield looks[-1]

    source = script()
    return Cores(lambda: next(source), sleep=waited.append, clock=lambda: 0.0), waited


@pytest.mark.parametrize(
    ("looks", "runs", "waits", "repeated", "unsettled"),
    [
        pytest.param([GOOD, Look(290, 900)], 1, 0, 0, 0, id="near and quick all the time"),
        pytest.param([GOOD, FAR, GOOD, GOOD], 2, 0, 1, 0, id="moved during the first run"),
        pytest.param([GOOD, SLOW, GOOD, GOOD], 2, 0, 1, 0, id="slowed down during the first run"),
        pytest.param([GOOD, FAR, FAR, SLOW, GOOD, GOOD], 2, 2, 1, 0, id="moved, and back after a while"),
        pytest.param([FAR, GOOD, GOOD, GOOD], 2, 0, 1, 0, id="far at first, though nobody could know"),
        pytest.param([SLOW, GOOD, GOOD, GOOD], 2, 0, 1, 0, id="slow at first, though nobody could know"),
        pytest.param([GOOD, FAR], TRIES, WAITS * (TRIES - 1), TRIES - 1, 1, id="far for good"),
    ],
)
def test_what_counts_is_a_run_with_the_cores_near_and_quick(
    looks: list[Look], runs: int, waits: int, repeated: int, unsettled: int
) -> None:
    cores, waited = scripted(looks)
    ran: list[int] = []
    assert cores.settled(lambda: ran.append(len(ran)) or len(ran)) == runs
    assert len(ran) == runs
    assert waited == [LOOK_EVERY_S] * waits
    told = cores.told()
    assert (told["repeated"], told["unsettled"]) == (repeated, unsettled)
    assert (told["nearest_ns"], told["quickest_us"]) == (200, 800)
    assert cores.told() == {}


def test_patience_has_an_end() -> None:
    """A machine that is busy all the time is measured all the same, and it is said how it was."""
    cores, waited = scripted([GOOD, SLOW])
    now = iter(range(0, 1_000_000, 10))  # a run takes 10 s
    cores.clock = lambda: float(next(now))
    ran: list[int] = []
    for number in range(20):
        cores.settled(partial(ran.append, number))
    told = cores.told()
    assert set(ran) == set(range(20))
    assert told["unsettled"] == 20
    assert told["repeated"] == len(ran) - 20
    assert PATIENCE_S <= len(waited) * LOOK_EVERY_S + told["repeated"] * 10 < PATIENCE_S + 10
    assert cores.patience_s == PATIENCE_S


def test_a_look_takes_time_and_leaves_nothing_behind() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs a machine with two cores")
    before = set(tree(os.getpid()))
    seen = look(cores[1], cores[0])
    assert 0 < seen.apart_ns < 1e9
    assert seen.work_us > 0
    assert sorted(os.sched_getaffinity(0)) == cores
    assert set(tree(os.getpid())) <= before
