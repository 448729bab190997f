from __future__ import annotations

import re

import pytest

from loadtool.plan.trace import Tracer, tracer_of

PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")  # W3C Trace Context, level 1, sampled
REQUEST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nbody\r\n\r\nmore"


def ids(tracer: Tracer, arrival: int, attempt: int = 0) -> tuple[str, str]:
    found = PARENT.fullmatch(tracer.parent(arrival, attempt))
    assert found is not None
    return found[1], found[2]


def test_an_arrival_has_a_trace_and_each_attempt_a_span() -> None:
    tracer = Tracer(7, "run")
    first, again, other = ids(tracer, 3), ids(tracer, 3, 1), ids(tracer, 4)
    assert first[0] == again[0] == tracer.trace_id(3)
    assert first[0] != other[0]
    assert len({first[1], again[1], other[1]}) == 3
    assert again[1] == tracer.span_id(3, 1)


def test_ids_follow_from_seed_nonce_and_arrival_alone() -> None:
    assert ids(Tracer(7, "run"), 3) == ids(Tracer(7, "run"), 3)
    assert len({ids(Tracer(seed, nonce), 3)[0] for seed in (7, 8) for nonce in ("run", "other")}) == 4
    tracer = Tracer(1, "")
    made = [ids(tracer, arrival) for arrival in range(5000)]
    assert len({trace for trace, _ in made}) == len({span for _, span in made}) == 5000


def test_the_header_goes_last_into_the_head() -> None:
    tracer = Tracer(7, "run")
    assert tracer.stamp(REQUEST, 3) == (
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\ntraceparent: %b\r\n\r\nbody\r\n\r\nmore"
        % tracer.parent(3).encode()
    )


def test_another_attempt_changes_the_span_alone() -> None:
    tracer = Tracer(7, "run")
    data = tracer.stamp(REQUEST, 3)
    for attempt in (1, 2):
        data = tracer.stamp_again(data, 3, attempt)
        assert data == tracer.stamp(REQUEST, 3).replace(
            tracer.parent(3).encode(), tracer.parent(3, attempt).encode()
        )


@pytest.mark.parametrize("wanted", [True, False])
def test_there_is_one_where_it_is_wanted(wanted: bool) -> None:
    assert (tracer_of(1, "", wanted) is not None) is wanted
