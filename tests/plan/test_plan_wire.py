from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_jobs import PLAIN, make_job

from loadtool.plan.job import (
    ClientSpec,
    Endpoint,
    ExpectSpec,
    FaultWindow,
    FilePart,
    Job,
    PhaseSpec,
    RequestSpec,
    RowsSpec,
    TlsSpec,
)
from loadtool.plan.wire import job_from_json, job_to_json

TEXT = st.text(max_size=8)
NS = st.integers(0, 2**62)
RATE = st.floats(0, 1e9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def some(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


PAIRS = some(st.tuples(TEXT, TEXT))
JOBS = st.builds(
    Job,
    seed=st.integers(),
    arrivals=st.sampled_from(["constant", "poisson"]),
    phases=some(st.builds(PhaseSpec, TEXT, TEXT, RATE, NS, NS, NS)),
    faults=some(st.builds(FaultWindow, TEXT, NS, NS)),
    requests=some(
        st.builds(
            RequestSpec,
            name=TEXT,
            weight=RATE,
            method=TEXT,
            path=TEXT,
            query=PAIRS,
            headers=PAIRS,
            body_kind=TEXT,
            body=JSON,
            files=some(st.builds(FilePart, TEXT, TEXT, TEXT, TEXT)),
            expect=st.builds(ExpectSpec, some(st.integers()), some(TEXT), some(TEXT)),
        )
    ),
    rows=some(st.tuples(TEXT, st.builds(RowsSpec, TEXT, some(TEXT), some(some(JSON))))),
    endpoint=st.builds(Endpoint, TEXT, TEXT, st.integers(), TEXT, TEXT, TEXT, TEXT),
    client=st.builds(
        ClientSpec,
        NS,
        st.none() | NS,
        st.integers(),
        st.booleans(),
        some(st.integers()),
        dials_per_s=st.none() | RATE,
        reconnect_ns=some(NS),
        source=some(TEXT),
        tls=st.builds(TlsSpec, st.booleans(), st.none() | TEXT, st.none() | TEXT, st.none() | TEXT),
    ),
    good_within_ns=NS,
    slice_ns=NS,
    secrets=some(TEXT),
    nonce=TEXT,
)


@given(JOBS)
@settings(max_examples=100)
def test_round_trip(job: Job) -> None:
    text = job_to_json(job)
    assert "\n" not in text
    back = job_from_json(text)
    assert back == job
    assert repr(back) == repr(job)  # == takes 1 for 1.0 and True


def test_defaults_may_be_left_out() -> None:
    tree = json.loads(job_to_json(PLAIN))
    del tree["nonce"]
    del tree["requests"][0]["expect"]
    assert job_from_json(json.dumps(tree)) == PLAIN


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", "1", '{"seed": 1}', job_to_json(PLAIN).replace('"seed":42', '"seed":"42"'),
     job_to_json(PLAIN).replace('"seed"', '"sead"'), job_to_json(PLAIN)[:-1]],
)  # fmt: skip
def test_not_a_job(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        job_from_json(text)


def test_what_is_no_json_does_not_travel() -> None:
    with pytest.raises(TypeError, match=r"^set does not travel$"):
        job_to_json(make_job(secrets={1}))
