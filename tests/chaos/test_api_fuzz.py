"""No request makes the embedded server's API fail, whatever is in it."""

from __future__ import annotations

import json
import logging
import string

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtool.chaos.server.api import Api
from loadtool.chaos.server.collection import Collection
from loadtool.chaos.server.http import Request
from loadtool.chaos.server.loop import Loop
from loadtool.chaos.server.toxics import TOXICS

KEYS = ["name", "Listen", "upstream", "enabled", "type", "stream", "toxicity", "attributes", "other"]
ATTRIBUTES = sorted({a for t in TOXICS.values() for a in t.ATTRIBUTES})

ADDRESSES = ["127.0.0.1:0", ":0", "a..b:1", "[::1]:0", "[:0", "x:y"]

numbers = st.integers() | st.integers(-2, 70) | st.floats() | st.floats(min_value=0, max_value=1)
any_text = st.text(st.characters(exclude_categories=()), max_size=8)  # half surrogate pairs included
texts = any_text | st.sampled_from([*TOXICS, *ADDRESSES, "p", "upstream", "UPSTREAM", "downstream", ""])
plain = st.none() | st.booleans() | numbers | texts
attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), plain, max_size=4)
objects = st.dictionaries(st.sampled_from(KEYS), plain | attributes, max_size=6)
bodies = objects | st.lists(objects, max_size=3) | plain | st.lists(plain, max_size=2)
raw = (
    st.binary(max_size=60)
    | bodies.map(lambda v: json.dumps(v).encode())
    | bodies.map(lambda v: json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass")[:-1])
)

PATHS = [
    "/proxies", "/populate", "/reset", "/version", "/proxies/p", "/proxies/p/toxics", "/proxies/p/toxics/t",
    "http://h:x/proxies", "*", "/%ff", "/proxies/%00",
]  # fmt: skip
paths = st.sampled_from(PATHS) | st.text(string.printable.strip(), max_size=20)
methods = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"])
hosts = st.sampled_from(["127.0.0.1", "localhost"]) | st.text(string.printable.strip(), max_size=12)

requests = st.lists(
    st.builds(lambda m, p, h, b: Request(m, p, (("host", h),), b), methods, paths, hosts, raw), max_size=6
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=requests)
async def test_every_request_is_answered(asked: list[Request], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    loop = Loop()
    try:
        async with trio.open_nursery() as nursery:
            collection = Collection(loop, nursery, seed=1)
            api = Api(collection, "127.0.0.1", proxy_metrics=True)
            made = json.dumps({"name": "p", "upstream": "127.0.0.1:1", "enabled": False}).encode()
            await api.answer(Request("POST", "/proxies", (("host", "localhost"),), made))
            for request in asked:
                answer = await api.answer(request)
                assert answer.status in (200, 201, 204, 301, 400, 403, 404, 405, 409, 500)
                if answer.content_type == "application/json":
                    json.loads(answer.body, parse_constant=pytest.fail)
            collection.close()
            nursery.cancel_scope.cancel()
    finally:
        loop.close()
    assert caplog.records == []
