"""Percentiles of several workers are those of all their samples: histograms are added, never averaged."""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Container
from fractions import Fraction

import pytest
from truth_run import MS, SECOND, Freeze, Measured, job_of, load, run_profile, truth_server
from truth_tries import Busy, tried

from loadtool.measure.frame import Frame, decode, encode, lengths
from loadtool.measure.histogram import Histogram, highest_equivalent
from loadtool.measure.outcome import CLASSES, H_OK, OK
from loadtool.measure.recorder import Recorder, quantise
from loadtool.measure.summary import ResultParts, result_parts
from loadtool.measure.tally import Tally
from loadtool.plan.timeline import Timeline

PROFILE = """\
name: merging
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: constant
phases:
  - {{name: first, rate: 400/s, for: 500ms}}
  - {{name: second, rate: 500/s, for: 1.2s}}
"""


def counted(measured: Measured, phase: int, code: int, workers: Container[int]) -> Counter[int]:
    """What these workers have counted, bucket by bucket."""
    segments = measured.tally.timeline.segments
    total: Counter[int] = Counter()
    for frame in measured.frames:
        for cell in frame.cells if frame.worker in workers else ():
            if segments[cell.segment].phase == phase and code in cell.values:
                total.update(cell.values[code].counts)
    return total


def quantile_ms(counts: Counter[int], q: str, max_us: int) -> float:
    """By its definition: the ⌈q·n⌉-th smallest of the samples."""
    samples = sorted(counts.elements())
    value = samples[math.ceil(Fraction(q) * len(samples)) - 1]
    return min(highest_equivalent(value), max_us) / 1000


FREEZE = Freeze(0.6, 0.7, workers=1)


@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")
def test_the_result_is_the_sum_of_the_workers_frames() -> None:
    """One worker of three is frozen for a while, so that their percentiles have nothing in common."""
    workers = 3
    everyone = range(workers)

    async def attempt() -> list[str]:
        async with truth_server(["lognormal", 8.0, 1.0]) as server:
            measured = await run_profile(PROFILE.format(port=server.port), workers=workers, freeze=FREEZE)
        assert {frame.worker for frame in measured.frames} == set(everyone)
        names = [phase.name for phase in measured.result.phases]
        checked = 0
        for entry in measured.result.histograms:
            total = counted(measured, names.index(entry.phase), CLASSES.index(entry.class_), everyone)
            assert Histogram.decode(entry.hdr).counts == dict(total)
            checked += sum(total.values())
        assert checked > 4 * 800  # response, service, lag, queued and first byte of each arrival
        for index, phase in enumerate(measured.result.phases):
            total = counted(measured, index, H_OK, everyone)
            max_us = round((phase.latency_ms.max or 0) * 1000)
            assert phase.latency_ms.p50 == quantile_ms(total, "0.5", max_us)
            assert phase.latency_ms.p90 == quantile_ms(total, "0.9", max_us)
            assert phase.latency_ms.p99 == quantile_ms(total, "0.99", max_us)
            assert phase.latency_ms.p99_9 == quantile_ms(total, "0.999", max_us)
        each = [quantile_ms(counted(measured, 1, H_OK, [w]), "0.9", 1 << 60) for w in everyone]
        late = (measured.stopped[1] - measured.start_ns) / MS - 1000 * FREEZE.at
        frozen = (measured.continued[0] - measured.stopped[1]) / MS
        if late > 100 or frozen < 650:
            raise Busy(f"the freezer was {late:.0f} ms late and froze for {frozen:.0f} ms")
        if max(each[1:]) > 100:
            raise Busy(f"those that were not frozen had a p90 of {max(each[1:]):.0f} ms")
        together = measured.phase("second").latency_ms.p90
        assert together is not None
        assert max(each) > 200  # the frozen one's
        # Some 350 ms and 220 ms; after a freeze of half a second both would be 150 ms.
        assert abs(together - sum(each) / workers) > 5
        return []

    tried(attempt)


SPLIT = """\
target: http://127.0.0.1:9
requests: [{name: get, get: /}]
phases: [{name: baseline, rate: 500/s, for: 10s}]
"""


def split(times_us: list[int], workers: int) -> ResultParts:
    """A run whose arrivals took these times, recorded by so many workers and merged by the coordinator."""
    timeline = Timeline.of(job_of(load(SPLIT)))
    tally = Tally(timeline, ["get"], workers)
    for worker in range(workers):
        recorder = Recorder(frozenset())
        mine = list(enumerate(times_us))[worker::workers]
        for sequence, half in enumerate((mine[: len(mine) // 2], mine[len(mine) // 2 :])):
            for number, us in half:
                cell = recorder.cell(number * 10 // len(times_us), 0, 0)
                cell.touched = True
                cell.scheduled += 1
                cell.counts[OK] += 1
                cell.record(H_OK, us * 1000)
            wire = encode(Frame(worker, sequence, sequence * SECOND, recorder.deltas(), final=sequence == 1))
            header, _ = lengths(wire[:8])
            tally.add(decode(wire[8 : 8 + header], wire[8 + header :]))
    assert tally.conservation(len(times_us)) == []
    return result_parts(tally, timeline.duration_ns, 10.0)


def test_the_same_samples_give_the_same_result_from_any_number_of_workers() -> None:
    draw = random.Random(3)
    times = [round(draw.paretovariate(0.8) * 700) for _ in range(5003)]
    alone = split(times, 1)
    exact = Counter(quantise(us) for us in times)
    (entry,) = [e for e in alone.histograms if e.class_ == "ok"]
    assert Histogram.decode(entry.hdr).counts == dict(exact)
    assert alone.totals.latency_ms.p99 == quantile_ms(exact, "0.99", max(times))
    assert alone.totals.latency_ms.mean == pytest.approx(sum(times) / len(times) / 1000)
    for workers in (2, 3, 7):
        merged = split(times, workers)
        for name in ("totals", "phases", "requests", "series", "cells", "histograms"):
            assert getattr(merged, name) == getattr(alone, name), name
