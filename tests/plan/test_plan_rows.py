from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_jobs import make_job, phase, request

from loadtool.plan.job import RowsSpec
from loadtool.plan.mix import Mix, RenderError
from loadtool.plan.ordinals import Ordinals, check_feeders, feeders_used
from loadtool.plan.rows import SHUFFLED_WHOLE, Feeder
from loadtool.plan.schedule import Schedule


def feeder(order: str, size: int, seed: int = 1, index: int = 0, slot: int = 0) -> Feeder:
    return Feeder("row", RowsSpec(order, ("n",), tuple((n,) for n in range(size))), seed, index, slot)


def served(f: Feeder, count: int) -> list[object]:
    return [f.values(ordinal)[0] for ordinal in range(count)]


def test_cycle_begins_again() -> None:
    assert served(feeder("cycle", 3), 8) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_once_ends() -> None:
    f = feeder("once", 3)
    assert served(f, 3) == [0, 1, 2]
    with pytest.raises(IndexError, match=r"^out of rows: 3 rows, each used once$"):
        f.values(3)


@pytest.mark.parametrize("size", [1, 2, 3, 7, SHUFFLED_WHOLE, SHUFFLED_WHOLE + 1, 1023, 1024, 1025, 5000])
def test_each_pass_of_a_shuffle_has_every_row_once_in_another_order(size: int) -> None:
    f = feeder("shuffle", size)
    rows = served(f, 3 * size)
    passes = [rows[i * size : (i + 1) * size] for i in range(3)]
    assert all(sorted(p) == list(range(size)) for p in passes)
    if size > 3:
        assert len({tuple(p) for p in passes}) == 3
        assert tuple(served(feeder("shuffle", size, seed=2), size)) != tuple(passes[0])
        assert tuple(served(feeder("shuffle", size, index=1), size)) != tuple(passes[0])
    assert [f.values(o)[0] for o in reversed(range(3 * size))] == rows[::-1]  # in any order of asking


@pytest.mark.parametrize("size", [4, SHUFFLED_WHOLE + 88])
def test_a_shuffle_prefers_no_row(size: int) -> None:
    # Which of four quarters of the rows each of the first places gets, over many passes.
    f = feeder("shuffle", size)
    passes = 400
    for place in range(4):
        quarters = Counter(int(f.values(p * size + place)[0] * 4 // size) for p in range(passes))  # type: ignore[operator]  # rows hold numbers here
        assert (
            sum((quarters[q] - passes / 4) ** 2 / (passes / 4) for q in range(4)) < 16.27
        )  # 3 degrees, 0.1 %


def test_neighbours_of_a_shuffle_are_unrelated() -> None:
    size = 4096
    rows = [int(str(v)) for v in served(feeder("shuffle", size), size)]
    middle = (size - 1) / 2
    variance = (size * size - 1) / 12
    for step in (1, 2, 64):
        sums = sum((a - middle) * (b - middle) for a, b in zip(rows, rows[step:], strict=False))
        assert abs(sums / variance / (size - step)) < 4 / size**0.5


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_each_feeder_reads_its_own_part_of_an_ordinal(first: int, second: int) -> None:
    ordinal = first | second << 48
    assert feeder("cycle", 10).values(ordinal) == (first % 10,)
    assert feeder("cycle", 10, slot=1).values(ordinal) == (second % 10,)


def test_no_rows() -> None:
    with pytest.raises(ValueError, match=r"^data row: the feeder has no rows$"):
        feeder("cycle", 0)


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        ({"path": "/row"}, ()),
        ({"path": "/{{ row.a }}"}, ("row",)),
        ({"path": "/{{ 'row' }}{{ rows }}"}, ()),
        ({"path": "/{% set row = 1 %}{{ row }}"}, ()),
        (
            {"path": "/{% if other %}{% endif %}", "headers": (("A", "{{ row['a'] | upper }}"),)},
            ("row", "other"),
        ),
        ({"query": (("{{ other.x }}", ""),)}, ("other",)),
        ({"body_kind": "json", "body": {"a": [{"{{ row.k }}": 1}], "b": "{{ other.v }}"}}, ("row", "other")),
        ({"body_kind": "form", "body": [["a", "{{ row.a }}"]]}, ("row",)),
        ({"body_kind": "raw", "body": "{{ row.a }}"}, ("row",)),
    ],
)
def test_feeders_used(changes: dict[str, object], used: tuple[str, ...]) -> None:
    assert feeders_used(request(**changes), ["row", "other"]) == used


def rows_job(order: str, size: int, **changes: object) -> object:
    spec = RowsSpec(order, ("n",), tuple((str(n),) for n in range(size)))
    requests = (
        request(name="a", path="/{{ row.n }}"),
        request(name="b"),
        request(name="c", path="/{{ row.n }}"),
    )
    return make_job(requests=requests, rows=(("unused", RowsSpec("once", (), ())), ("row", spec)), **changes)


def test_every_row_is_used_in_turn_along_the_whole_run() -> None:
    job = rows_job("once", 100, phases=(phase(10, 12),))
    mix = Mix(job)
    targets = []
    for worker in range(3):
        for b in Schedule(job).batches(worker, 3):
            targets += [
                (n, mix.message(r, n, o).target)
                for n, r, o in zip(b.arrival, b.request, b.ordinal, strict=True)
                if job.requests[r].name != "b"
            ]
    assert [t for _, t in sorted(targets)] == [f"/{n}" for n in range(len(targets))]
    assert 60 < len(targets) < 100


def test_check_feeders() -> None:
    assert check_feeders(rows_job("once", 100), [60, 500, 40]) == []
    assert check_feeders(rows_job("cycle", 1), [60, 500, 40]) == []
    assert check_feeders(rows_job("once", 99), [60, 500, 40]) == [
        ("row", "has 99 rows for 100 arrivals with order: once; give it 100 rows or order: cycle")
    ]
    assert check_feeders(rows_job("cycle", 0), [0, 0, 0]) == [("row", "the feeder has no rows")]


def test_out_of_rows_names_the_request() -> None:
    mix = Mix(rows_job("once", 2))
    with pytest.raises(RenderError, match=r"^request a: path: out of rows: 2 rows, each used once$"):
        mix.message(0, 0, 2)


def test_slots_go_to_feeders_in_use() -> None:
    assert Ordinals(rows_job("cycle", 1)).slots == {"row": 0}
    assert not Ordinals(make_job()).used
