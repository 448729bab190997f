"""SplitMix64, both ways it is written."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from loadtool.plan.splitmix import WIDEST, IntegerSplitMix64, LimbSplitMix64, splitmix64

M64 = (1 << 64) - 1


def test_it_is_the_published_one() -> None:
    """The first numbers of Vigna's splitmix64.c with the state 1234567."""
    for draws in (IntegerSplitMix64(1234567), LimbSplitMix64(1234567), splitmix64(1234567)):
        assert [draws.next64() for _ in range(3)] == [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
        ]


@given(
    st.integers(0, M64),
    st.integers(0, 1 << 62),
    st.lists(st.one_of(st.none(), st.integers(1, WIDEST)), min_size=1, max_size=5),
)
@example(M64, 1 << 62, [WIDEST, None, 1])
@example(0, 0, [None, 1, WIDEST, WIDEST - 1, 1 << 22, (1 << 22) - 1])
def test_limbs_make_the_same_numbers(key: int, place: int, asked: list[int | None]) -> None:
    integers, limbs = IntegerSplitMix64(key), LimbSplitMix64(key)
    for draws in (integers, limbs):
        draws.begin(place)
    for span in asked:
        if span is None:
            assert limbs.next64() == integers.next64()
        else:
            number = limbs.below(span)
            assert number == integers.below(span)
            assert 0 <= number < span
