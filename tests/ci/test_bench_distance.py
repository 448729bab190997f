"""What the bench does about cores that are moved about, on distances of a script's."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from benchmark.distance import LOOK_EVERY_S, TRIES, WAIT_S, Distance, round_trip_ns
from benchmark.process import tree

WAITS = round(WAIT_S / LOOK_EVERY_S)


def scripted(looks: list[float]) -> tuple[Distance, list[float]]:
    """Distances in this order, the last one from then on; and the waits between them."""
    waited: list[float] = []

    def script() -> Iterator[float]:
        yield from looks
        while True:
            yield looks[-1]

    source = script()
    return Distance(lambda: next(source), sleep=waited.append), waited


@pytest.mark.parametrize(
    ("looks", "runs", "waits", "repeated", "moved"),
    [
        pytest.param([200, 210], 1, 0, 0, 0, id="near all the time"),
        pytest.param([200, 500, 200, 200], 2, 0, 1, 0, id="moved during the first run"),
        pytest.param([200, 500, 500, 500, 200, 290], 2, 2, 1, 0, id="moved, and back after a while"),
        pytest.param([500, 200, 200, 200], 2, 0, 1, 0, id="far at first, though nobody could know"),
        pytest.param([200, 500], TRIES, WAITS * (TRIES - 1), TRIES - 1, 1, id="far for good"),
    ],
)
def test_what_counts_is_a_run_with_the_cores_near(
    looks: list[float], runs: int, waits: int, repeated: int, moved: int
) -> None:
    distance, waited = scripted(looks)
    ran: list[int] = []
    assert distance.settled(lambda: ran.append(len(ran)) or len(ran)) == runs
    assert len(ran) == runs
    assert waited == [LOOK_EVERY_S] * waits
    told = distance.told()
    assert (told["repeated"], told["moved"], told["shortest_ns"]) == (repeated, moved, 200)
    assert distance.told() == {}


def test_a_round_trip_takes_time_and_leaves_nothing_behind() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs a machine with two cores")
    before = set(tree(os.getpid()))
    assert 0 < round_trip_ns(cores[1], cores[0]) < 1e9
    assert sorted(os.sched_getaffinity(0)) == cores
    assert set(tree(os.getpid())) <= before
