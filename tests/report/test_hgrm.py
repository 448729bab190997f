from __future__ import annotations

import io
import random
import re
from itertools import pairwise
from urllib.parse import unquote

import pytest
from hdrh.histogram import HdrHistogram
from machine_samples import histogram, known
from report_samples import HOSTILE, SAMPLES

from loadtool.measure.histogram import Histogram
from loadtool.measure.result import Figures, PhaseFigures
from loadtool.report import hgrm

# HistogramLogProcessor of HdrHistogram 2.2.2 wrote these lines of 0.7 ms and three times 5 ms. (It takes the
# middles of buckets for the mean: 3.927. Ours is of the exact values.)
KNOWN = """\
       Value     Percentile TotalCount 1/(1-Percentile)

       0.700 0.000000000000          1           1.00
       0.700 0.100000000000          1           1.11
       0.700 0.200000000000          1           1.25
       5.003 0.300000000000          4           1.43
       5.003 1.000000000000          4
#[Mean    =        3.925, StdDeviation   =        1.863]
#[Max     =        5.003, Total count    =            4]
#[Buckets =           22, SubBuckets     =         2048]
"""
ROW = re.compile(r" *([\d.]+) ([\d.]+) +(\d+)(?: +([\d.]+))?")


def rows(text: str) -> list[tuple[float, float, int]]:
    """As viewers take them: value in ms, percentile, count."""
    found = (ROW.fullmatch(line) for line in text.splitlines() if line and not line.startswith("#"))
    return [(float(m[1]), float(m[2]), int(m[3])) for m in found if m is not None]


def test_it_is_what_hdrhistogram_writes() -> None:
    text = hgrm.distribution(histogram([700, 5000, 5000, 5000]), Figures(scheduled=6))
    head, lines = text.split("\n", 2)[:2], text.split("\n", 2)[2]
    assert head == ["#[Response time in milliseconds]", "#[6 arrivals, 4 answered and not shed]"]
    assert lines == KNOWN


def test_every_row_is_true() -> None:
    draw = random.Random(7)
    values = sorted(int(draw.lognormvariate(10, 1.5)) + 1 for _ in range(3000))
    made = histogram(values)
    found = rows(hgrm.distribution(made, Figures()))
    levels = [level for _, level, _ in found]
    assert levels == sorted(set(levels))
    assert (levels[0], levels[-1]) == (0.0, 1.0)
    assert max(b - a for a, b in pairwise(levels) if b <= 0.5) <= 0.1 + 1e-9
    assert len([level for level in levels if 0.75 <= level < 0.875]) == hgrm.TICKS_PER_HALF
    reader = HdrHistogram.decode(made.encode())  # the library's own answers
    for ms, level, count in found:
        assert count == sum(v <= ms * 1000 for v in values)
        if level in (0.5, 0.75, 1.0):
            assert reader.get_value_at_percentile(level * 100) == round(ms * 1000)


def test_the_library_agrees_on_the_foot() -> None:
    draw = random.Random(8)
    made = histogram([int(draw.lognormvariate(9, 1)) + 1 for _ in range(500)])
    out = io.BytesIO()
    reader = HdrHistogram.decode(made.encode())
    reader.output_percentile_distribution(out, 1000.0)
    foot = re.findall(r"= +([\d.]+)", hgrm.distribution(made, Figures()))
    theirs = re.findall(r"= +([\d.]+)", out.getvalue().decode())
    assert float(foot[0]) == pytest.approx(float(theirs[0]), rel=1e-3)  # theirs is of the middles of buckets
    assert float(foot[1]) == pytest.approx(float(theirs[1]) / 1000, rel=1e-3)  # which they forget to scale
    assert [float(x) for x in foot[2:]] == [float(x) for x in theirs[2:]]


def test_the_run_and_its_phases() -> None:
    run = hgrm.render(known())
    assert "#[9 arrivals, 7 answered and not shed]" in run
    assert [count for _, _, count in rows(run)][-1] == 7
    phases = hgrm.by_phase(known())
    assert list(phases) == ["baseline", "spike"]
    assert rows(phases["baseline"]) == rows(KNOWN)
    assert "#[5 arrivals, 3 answered and not shed]" in phases["spike"]
    assert rows(phases["spike"])[-1] == (3000.319, 1.0, 3)


def test_of_nothing_there_is_a_head_and_a_foot() -> None:
    text = hgrm.distribution(Histogram(), Figures())
    assert rows(text) == []
    assert "#[Max     =        0.000, Total count    =            0]" in text


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_result_has_one(sample: str) -> None:
    assert hgrm.render(SAMPLES[sample]()).count("#[Buckets") == 1


def test_a_phase_cannot_lead_out_of_its_directory() -> None:
    result = known()
    result.phases.append(PhaseFigures(name=f"../../{HOSTILE}"))
    assert all(re.fullmatch(r"[\w.%~-]+", name) for name in hgrm.by_phase(result))


@pytest.mark.parametrize("name", ["é漢" * 30, "b" * 300, "é" * 17])
def test_a_file_s_name_has_room_for_any_phase(name: str) -> None:
    result = known()
    result.phases += [PhaseFigures(name=name), PhaseFigures(name=f"{name}x")]
    long, longer = list(hgrm.by_phase(result))[-2:]
    assert long != longer
    assert max(len(long), len(longer)) <= hgrm.LONGEST_NAME
    assert name.startswith(unquote(long.rpartition("~")[0], errors="strict"))


def test_a_name_that_fits_stays_whole() -> None:
    assert hgrm.file_name_of("b" * hgrm.LONGEST_NAME) == "b" * hgrm.LONGEST_NAME
    assert hgrm.file_name_of("é/") == "%C3%A9%2F"
