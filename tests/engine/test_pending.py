"""Those that wait for a connection, held to a list that does the same the slow way."""

from __future__ import annotations

import sys
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.engine.connection import Arrival
from loadtool.engine.pending import Pending
from loadtool.measure.recorder import Cell

CELL = Cell((0, 0, 0), False)
MANY = 5000  # several times what is given back at a time


def arrival(give_up: int, number: int = 0) -> Arrival:
    return Arrival(0, give_up, 0, CELL, b"", number)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("insert", "put_back")), st.integers(0, 20)),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("append and take"), st.integers(1, 2 * MANY // 3)),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_is_a_queue(steps: list[tuple[str, int]]) -> None:
    pending, model = Pending(), list[Arrival]()
    for number, (step, value) in enumerate(steps):
        one = arrival(value, number)
        if step == "insert" and model == sorted(model, key=lambda a: a.give_up):
            pending.insert(one)
            model.insert(bisect_right(model, value, key=lambda a: a.give_up), one)
        elif step == "put_back":
            pending.put_back(one)
            model.insert(0, one)
        elif step == "take":
            for _ in range(min(value, len(model))):
                assert pending.take() is model.pop(0)
        elif step == "append and take":
            for _ in range(value):
                one = arrival(1000)
                pending.append(one)
                model.append(one)
                assert pending.take() is model.pop(0)
        assert [pending.at(i) for i in range(pending.size)] == model
    assert pending.drain(pending.size) == model
    assert pending.size == 0


@given(st.lists(st.integers(0, 20), max_size=30))
def test_those_that_wait_for_a_connection_are_in_the_order_in_which_they_give_up(times: list[int]) -> None:
    pending = Pending()
    for number, time in enumerate(times):
        pending.insert(arrival(time, number))
    wanted = sorted(enumerate(times), key=lambda entry: entry[1])  # stable: first come, first served
    assert [(one.number, one.give_up) for one in pending.drain(pending.size)] == wanted


@pytest.mark.parametrize("left", [0, 1, 700])
def test_who_waits_no_more_is_not_kept(left: int) -> None:
    """Its request may be of megabytes, and thousands may wait behind it."""
    pending = Pending()
    for _ in range(left):
        pending.append(arrival(0))
    one = arrival(0)
    pending.put_back(one)
    held = sys.getrefcount(one)
    assert pending.take() is one
    assert sys.getrefcount(one) == held - 1
