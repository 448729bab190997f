"""The slowest arrivals on their way from the workers into the result."""

from __future__ import annotations

import json

from measure_samples import SECOND, delta, frame, timeline

from loadtool.measure.frame import PREFIX_BYTES, decode, encode, lengths
from loadtool.measure.result import Engine, Result
from loadtool.measure.result_json import dump, load
from loadtool.measure.slow_arrival import SLOWEST, SlowArrival
from loadtool.measure.summary import result_parts
from loadtool.measure.tally import Tally


def slow(ms: float, due_s: float = 0.5, request: str = 'a "b"\n') -> SlowArrival:
    return SlowArrival(f"{int(ms * 1000):032x}", request, due_s, ms, "ok")


def test_a_frame_keeps_them() -> None:
    made = frame(0, 0, 1.0, slowest=[slow(2.5), slow(1.25)])
    data = encode(made)
    header, body = lengths(data[:PREFIX_BYTES])
    back = decode(data[PREFIX_BYTES : PREFIX_BYTES + header], data[PREFIX_BYTES + header :][:body])
    assert back.slowest == [slow(2.5), slow(1.25)]


def test_the_slowest_of_all_workers_reach_the_result() -> None:
    tally = Tally(timeline(("spike", "spike", 1)), ["browse"], workers=2)
    for worker, start in ((0, 1), (1, 2)):
        told = [slow(float(ms)) for ms in range(start, start + 2 * SLOWEST, 2)]
        tally.add(frame(worker, 0, 1.0, delta(0, ok=[1000]), slowest=told, final=True))
    parts = result_parts(tally, SECOND, 10.0)
    assert [s.ms for s in parts.slowest] == [float(ms) for ms in range(2 * SLOWEST, SLOWEST, -1)]
    result = Result("0", "", 1, {}, "p.yaml", Engine(), 1.0, 500.0)
    parts.put_into(result)
    assert load(json.loads(json.dumps(dump(result)))).slowest == parts.slowest


def test_the_earliest_comes_first_among_equals() -> None:
    tally = Tally(timeline(("spike", "spike", 1)), ["browse"], workers=1)
    tally.add(frame(0, 0, 1.0, slowest=[slow(5, 0.9), slow(5, 0.1)], final=True))
    assert [s.due_s for s in tally.slowest] == [0.1, 0.9]
