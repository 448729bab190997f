"""The recorder counts in batches; what comes out is what was recorded one by one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtool.measure.outcome import H_LAG, H_OK, H_QUEUED, H_SERVICE, H_TTFB
from loadtool.measure.recorder import BATCH, Recorder, quantise

US = 1000


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 7])
def test_batches_lose_nothing(count: int) -> None:
    cell = Recorder(frozenset()).cell(0, 0, 0)
    values = [i * i for i in range(count)]  # up to 0.6 s: past the values that are their own bucket, too
    for us in values:
        cell.record(H_OK, us * US)
    cell.touched = True
    delta = cell.delta()
    sparse = delta.values[H_OK]
    assert sparse.counts == Counter(map(quantise, values))
    assert (sparse.sum_us, sparse.max_us) == (sum(values), max(values))
    assert list(delta.values) == [H_OK]
    assert cell.delta().values == {}


@given(st.lists(st.integers(-5 * US, 4_000_000_000 * US), min_size=1, max_size=30))
def test_every_length_of_time_is_counted_once(lengths: list[int]) -> None:
    cell = Recorder(frozenset()).cell(0, 0, 0)
    for ns in lengths:
        cell.record(H_OK, ns)
    rounded = [(ns + 500) // 1000 for ns in lengths]
    assert cell.values[H_OK] == Counter(map(quantise, rounded))
    assert cell.sums[H_OK] == sum(rounded)


def test_at_once_is_a_lag_and_no_queueing() -> None:
    one, other = (Recorder(frozenset()).cell(0, 0, 0) for _ in range(2))
    for us in range(2 * BATCH + 3):
        one.record_at_once(us * US)
        other.record(H_LAG, us * US)
        other.record(H_QUEUED, 0)
    assert one.values[H_QUEUED] == {1: 2 * BATCH + 3}
    assert one.delta() == other.delta()
    assert one.delta().values == {}


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, 2 * BATCH + 3])
def test_an_ok_answer_is_three_lengths_of_time(count: int) -> None:
    """After one that was no ok: its batches are not in step with the others."""
    at_once = Recorder(frozenset()).cell(0, 0, 0)
    apart = Recorder(frozenset()).cell(0, 0, 0)
    for cell in (at_once, apart):
        cell.record(H_SERVICE, 7_499)
        cell.record(H_TTFB, 5_500)
    for n in range(count):
        service, first, response = 1_000_000 + n * 999, n * 500, 40_000_000_000 + n * 7_777_777
        at_once.record_ok(service, first, response)
        for code, ns in ((H_SERVICE, service), (H_TTFB, first), (H_OK, response)):
            apart.record(code, ns)
    done = at_once.delta()
    assert done == apart.delta()
    assert {code: sum(sparse.counts.values()) for code, sparse in done.values.items()} == {
        H_SERVICE: count + 1, H_TTFB: count + 1, H_OK: count,
    }  # fmt: skip
    assert done.values[H_OK].max_us == (40_000_000_000 + (count - 1) * 7_777_777 + 500) // 1000


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, 2 * BATCH + 3])
@pytest.mark.parametrize("every", [1, 3])
def test_an_answer_in_one_piece_has_its_service_time_for_its_first_byte(every: int, count: int) -> None:
    """Every third one, or all of them, come in one piece, and the books of both classes are those of all."""
    at_once = Recorder(frozenset()).cell(0, 0, 0)
    apart = Recorder(frozenset()).cell(0, 0, 0)
    for turn in range(2):  # a frame's books begin anew
        for n in range(count):
            service = turn * 3_000_000 + n * 9_999
            first = service if n % every == 0 else service // 2
            at_once.record_ok(service, first, service)
            for code, ns in ((H_SERVICE, service), (H_TTFB, first), (H_OK, service)):
                apart.record(code, ns)
        assert at_once.values == apart.values
        assert at_once.sums == apart.sums
        assert at_once.delta() == apart.delta()
        assert at_once.delta().values == {}


@given(st.lists(st.integers(-5 * US, 3_000 * US) | st.integers(0, 4_000_000_000 * US), min_size=1))
def test_after_a_batch_each_length_is_counted_by_itself(lengths: list[int]) -> None:
    """Small values at once: zero, the last one of them, and all between."""
    cell = Recorder(frozenset()).cell(0, 0, 0)
    lengths = [5 * US] * BATCH + [0, 499, 2_047 * US, 2_048 * US, *lengths]
    for ns in lengths:
        cell.record(H_OK, ns)
    rounded = [(ns + 500) // 1000 for ns in lengths]
    done = cell.delta().values[H_OK]
    assert done.counts == Counter(map(quantise, rounded))
    assert (done.sum_us, done.max_us) == (sum(rounded), max(rounded))
    assert cell.delta().values == {}
