"""Histograms against arithmetic and against the hdrhistogram package itself."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadtool.measure import recorder
from loadtool.measure.frame import Sparse
from loadtool.measure.histogram import HIGHEST_US, Histogram, highest_equivalent, merged, quantise, rank

MICROSECONDS = st.one_of(st.integers(1, 5000), st.integers(1, HIGHEST_US))
SAMPLES = st.lists(MICROSECONDS, max_size=60)


def reference() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, 3)


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(st.integers(1, HIGHEST_US))
def test_buckets_are_those_of_hdrhistogram(us: int) -> None:
    hdr = reference()
    assert quantise(us) == hdr.get_lowest_equivalent_value(us)
    assert highest_equivalent(us) == hdr.get_highest_equivalent_value(us)


@given(st.integers(-10, 2 * HIGHEST_US))
def test_the_hot_path_quantises_alike(us: int) -> None:
    assert recorder.quantise(us) == quantise(us)


@pytest.mark.parametrize(
    ("us", "lowest", "highest"),
    [
        (-5, 1, 1),
        (0, 1, 1),
        (1, 1, 1),
        (2047, 2047, 2047),
        (2048, 2048, 2049),
        (2049, 2048, 2049),
        (10_007, 10_000, 10_007),
        (1_000_000, 999_936, 1_000_447),
        (HIGHEST_US, 3_598_712_832, 3_600_809_983),
        (HIGHEST_US * 9, 3_598_712_832, 3_600_809_983),
    ],
)
def test_values_out_of_range_are_clamped(us: int, lowest: int, highest: int) -> None:
    assert (quantise(us), highest_equivalent(quantise(us))) == (lowest, highest)


def test_nothing_is_dropped_and_sums_stay_exact() -> None:
    histogram = of([0, 1, 2049, 5 * HIGHEST_US])
    assert histogram.total == sum(histogram.counts.values()) == 4
    assert histogram.sum_us == 2050 + 5 * HIGHEST_US
    assert histogram.max_us == 5 * HIGHEST_US
    assert histogram.mean_ms == (2050 + 5 * HIGHEST_US) / 4000
    assert histogram.max_ms == HIGHEST_US / 200
    assert Histogram().mean_ms is None
    assert Histogram().max_ms is None


@pytest.mark.parametrize(
    ("q", "n", "expected"),
    [
        (0.99, 100, 99),
        (0.99, 101, 100),
        (0.999, 1000, 999),
        (0.999, 1001, 1000),
        (0.07, 100, 7),  # as floats 7.000000000000001
        (0.29, 100, 29),
        (99.9 / 100, 1000, 999),  # 0.9990000000000001
        (0.5, 1, 1),
        (0.5, 2, 1),
        (0.001, 10, 1),
        (0.0, 10, 1),
        (1.0, 10, 10),
        (0.99999, 10**17, 99_999 * 10**12),
    ],
)
def test_ranks_are_exact(q: float, n: int, expected: int) -> None:
    assert rank(q, n) == expected


@given(SAMPLES.filter(bool), st.integers(1, 1000))
def test_quantiles_are_the_order_statistics(values: list[int], thousandths: int) -> None:
    histogram = of(values)
    place = math.ceil(Fraction(thousandths, 1000) * len(values))
    exact = sorted(values)[place - 1]
    found = histogram.quantile(thousandths / 1000)
    assert found is not None
    assert exact <= found <= min(highest_equivalent(exact), max(values))


@given(SAMPLES.filter(bool))
def test_quantiles_agree_with_the_package_at_its_own_ranks(values: list[int]) -> None:
    histogram, hdr = of(values), reference()
    for value in values:
        hdr.record_value(value)
    for place in range(1, len(values) + 1):
        theirs = hdr.get_value_at_percentile(100 * place / len(values))
        assert histogram.value_at_rank(place) == min(theirs, max(values))


def test_failed_ones_are_infinite_samples() -> None:
    histogram = of([1000] * 98)
    assert histogram.quantile(0.98, infinite=2) == 1000
    assert histogram.quantile(0.99, infinite=2) == math.inf
    assert histogram.quantile(0.99, infinite=0) == 1000
    assert Histogram().quantile(0.5, infinite=1) == math.inf
    assert Histogram().quantile(0.5) is None


def test_a_quantile_is_never_above_the_exact_maximum() -> None:
    histogram = of([1_000_000] * 3)  # its bucket ends at 1,000,447
    assert histogram.quantile(1.0) == 1_000_000
    histogram.record(1_000_300)
    assert histogram.quantile(0.5) == 1_000_300


@given(SAMPLES, MICROSECONDS)
def test_count_above_and_quantile_say_the_same(values: list[int], threshold: int) -> None:
    histogram = of(values)
    by_rank = [histogram.value_at_rank(place) for place in range(1, len(values) + 1)]
    assert histogram.count_above(threshold) == sum(v is not None and v > threshold for v in by_rank)


@given(SAMPLES, SAMPLES, SAMPLES)
def test_merging_is_associative_commutative_and_lossless(a: list[int], b: list[int], c: list[int]) -> None:
    left = merged([merged([of(a), of(b)]), of(c)])
    right = merged([of(a), merged([of(c), of(b)])])
    assert left == right == of(a + b + c)
    assert left.total == len(a + b + c)


def test_sparse_counts_of_a_frame_add_up() -> None:
    histogram = of([5, 5])
    histogram.add(Sparse({5: 2, 10_000: 1}, sum_us=10_017, max_us=10_007))
    assert histogram == of([5, 5, 5, 5, 10_007])
    assert histogram.quantile(1.0) == 10_007


@given(SAMPLES)
def test_it_rests_and_wakes_unchanged(values: list[int]) -> None:
    histogram = of(values)
    again = histogram.pack().unpack()
    assert again == histogram
    assert again.total == histogram.total


def test_at_rest_it_takes_little_room() -> None:
    """Some of these lie about for each second of a run: 600 of them shall be a MB or two."""
    draw = random.Random(1).lognormvariate
    histogram = of([int(300 * draw(0, 0.8)) for _ in range(10_000)])
    assert len(histogram.counts) > 1000
    assert len(histogram.pack().data) < 2 * len(histogram.counts)


@given(st.dictionaries(MICROSECONDS, st.integers(1, 2**50), max_size=30))
def test_the_package_reads_what_is_encoded_big_counts_included(counts: dict[int, int]) -> None:
    histogram = Histogram()
    for value, count in counts.items():
        histogram.record(value, count)
    text = histogram.encode()
    assert text.startswith("HISTFAAA")
    hdr = HdrHistogram.decode(text)
    assert hdr.get_total_count() == histogram.total
    assert {value: hdr.get_count_at_value(value) for value in histogram.counts} == histogram.counts
    assert (hdr.lowest_trackable_value, hdr.highest_trackable_value) == (1, HIGHEST_US)
    assert hdr.significant_figures == 3
    if counts:
        assert hdr.get_max_value() == highest_equivalent(max(histogram.counts))
        assert hdr.get_min_value() == min(histogram.counts)


def test_the_encoding_is_the_packages_own_and_merges_with_it() -> None:
    draw = random.Random(7)
    values = [int(draw.lognormvariate(10, 1)) + 1 for _ in range(3000)]
    hdr = reference()
    for value in values:
        hdr.record_value(value)
    text = of(values).encode()
    assert text == hdr.encode().decode()
    hdr.decode_and_add(text)
    assert hdr.get_total_count() == 6000
    assert Histogram.decode(hdr.encode().decode()).total == 6000


@given(SAMPLES)
def test_decoding_brings_everything_back(values: list[int]) -> None:
    histogram = of(values)
    again = Histogram.decode(histogram.encode(), sum_us=histogram.sum_us, max_us=histogram.max_us)
    assert again == histogram
    estimated = Histogram.decode(histogram.encode())
    assert estimated.counts == histogram.counts
    assert abs(estimated.sum_us - histogram.sum_us) <= histogram.sum_us / 1000 + 1
    assert histogram.max_us <= estimated.max_us <= histogram.max_us * 1.001


def test_histograms_of_other_tools_are_requantised() -> None:
    finer = HdrHistogram(1, 10 * HIGHEST_US, 5)
    for value in (0, 7, 123_456, 5 * HIGHEST_US):
        finer.record_value(value)
    found = Histogram.decode(finer.encode().decode())
    assert sorted(found.counts) == [1, 7, quantise(123_456), quantise(HIGHEST_US)]


GOOD = of([1, 2, 3]).encode()


@pytest.mark.parametrize("text", ["", "HISTFAAA", "not base64!", "é", GOOD[:-4], GOOD[:20], "AAAA" + GOOD])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an HdrHistogram in V2 form: "):
        Histogram.decode(text)
