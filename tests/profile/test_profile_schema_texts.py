"""schema: numbers and quantities as text fit it when the loader takes them, and not otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from profile_samples import SMALL, load, mistakes
from schema_check import flaws

from loadtool.profile.schema import json_schema
from loadtool.profile.yaml_tree import read_tree

SCHEMA = json_schema()
DEMO = SMALL.replace("http://127.0.0.1:8080", "demo")
FAULT = "proxies: {p: {existing: db}}\nfaults: [{name: f, at: spike, proxy: p, "
WHOLE = (["'8'", "'+8'", "'1_0'", "8"], ["'8.5'", "'x'", "'-8'", "' 8'", "8.5", "'٣'", "''"])
NUMBER = (
    ["'8'", "'2.5'", "' 8 '", "'1e1'", "'+5.'", "8", "2.5"],
    ["'x'", "'1e'", "'-2'", "'٣'", "''", "0", "'1 0'"],
)
FLAG = (["'true'", "'false'", "true"], ["'yes'", "'True'", "1", "''"])
STATUS = (["'429'", "[429, '503']", "429"], ["'4x'", "429.5", "[[429]]"])
DURATION = (
    ["10s", "' 10 s '", "1m 30s", "0.5m", "1_0s", "10µs", "10min", "1d2h3m4s5ms6us7ns"],
    ["'10'", "5", "30s 1m", "1s1s", "10S", ".5s", "1.s", "٣s", "'0s'", "0", "1m1min"],
)  # fmt: skip
RATE = (
    ["20", "'20'", "' 20 /s '", "+20/s", "1e3/second", "1.5k/s", "5000 rpm", "0/s"],
    ["-5/s", "1.5.5/s", "20/d", "20/s/s", "/s", "٣/s", "k/s"],
)
SHARE = (["10%", "'+10 %'", "' 0.5 '", "1e-1", "0", "1"], ["10%%", "%", "'.5'", "٣%", "-1%", "1.5"])
URL = (["http://127.0.0.1:1", "HTTP://127.0.0.1:1", "hTtPs://127.0.0.1"], ["ftp://a", "localhost"])
LATENCY = (["200ms", "' 1 s '", "'0'", "0", "0s"], ["200", "1s1s"])
BYTES = (["100", "'100'", "' 1 KiB '", "1kB"], ["1KB/s", "1K", "B"])
BYTE_RATE = (["64KB/s", "' 64 KB / s '"], ["64KB", "64/s", "64KB/m"])
# The profile around a value, and which values fit and do not.
TABLE: list[tuple[str, tuple[list[str], list[str]]]] = [
    (f"{SMALL}seed: VALUE", WHOLE),
    (f"{SMALL}client: {{connections: VALUE}}", WHOLE),
    (f"{SMALL}client: {{connections: {{max: VALUE}}}}", WHOLE),
    (f"{SMALL}client: {{retries: {{policy: immediate, max: VALUE}}}}", WHOLE),
    (f"{SMALL}client: {{retries: {{policy: immediate, budget: {{tokens: VALUE}}}}}}", WHOLE),
    (f"{SMALL}arrivals: {{batch: VALUE}}", WHOLE),
    (f"{DEMO}demo: {{slots: VALUE}}", WHOLE),
    (f"{DEMO}demo: {{store_connections: VALUE}}", (["slots", *WHOLE[0]], WHOLE[1])),
    (SMALL.replace("get: /", "{get: /, weight: VALUE}"), NUMBER),
    (f"{SMALL}client: {{throttle: {{k: VALUE}}}}", NUMBER),
    (f"{SMALL}client: {{keepalive: VALUE}}", FLAG),
    (f"{SMALL}client: {{http2: VALUE}}\ntransport: httpx", FLAG),
    (f"{SMALL}slos: [{{slo: p99 < 1s, abort: VALUE}}]", FLAG),
    (f"{SMALL}client: {{shed: VALUE}}", STATUS),
    (SMALL.replace("get: /", "{get: /, expect: {status: VALUE}}"), STATUS),
    (f"{SMALL}good_within: VALUE", DURATION),
    (f"{SMALL}  - {{name: a, rate: 1, for: VALUE}}", DURATION),
    (f"{SMALL}  - {{name: a, rate: VALUE, for: 1s}}", RATE),
    (f"{SMALL}capacity: VALUE", (RATE[0][:-1], [*RATE[1], "0/s", "'0'"])),
    (f"{SMALL}{FAULT}toxic: noop, toxicity: VALUE}}]", SHARE),
    (f"{SMALL}{FAULT}toxic: latency, latency: VALUE}}]", LATENCY),
    (f"{SMALL}{FAULT}toxic: limit_data, bytes: VALUE}}]", BYTES),
    (f"{SMALL}{FAULT}toxic: bandwidth, rate: VALUE}}]", BYTE_RATE),
    (f"{SMALL}{FAULT}down: VALUE}}]", (["'true'", "true"], ["'yes'", "1"])),
    (SMALL.replace("http://127.0.0.1:8080", "VALUE"), URL),
    (f"{SMALL}toxiproxy: VALUE", URL),
    (f"{SMALL}steady_state: [{{get: VALUE}}]", URL),
    (f"{SMALL}  - {{name: VALUE, rate: 1, for: 1s}}", (["größe", "a_1-b"], ["1a", "a b", "a.b", "a`"])),
    (f"{SMALL}setup: VALUE", (["[5]", "[true, [x, 5]]", "x"], ["[{a: b}]", "[[[x]]]"])),
]  # fmt: skip


def cases() -> Iterator[tuple[str, bool]]:
    for text, (fitting, others) in TABLE:
        yield from ((text.replace("VALUE", value), True) for value in fitting)
        yield from ((text.replace("VALUE", value), False) for value in others)


@pytest.mark.parametrize(("text", "fits"), list(cases()))
def test_the_loader_says_the_same(tmp_path: Path, text: str, fits: bool) -> None:
    said = flaws(SCHEMA, read_tree(text).data)
    if fits:
        load(tmp_path, text)
        assert said == []
    else:
        assert mistakes(tmp_path, text)
        assert said


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inner in schema.values():
            yield from patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from patterns(inner)


def test_patterns_mean_the_same_to_editors() -> None:
    found = set(patterns(SCHEMA))
    assert len(found) > 10
    # In JavaScript \w and \d are ASCII alone; and Python's own constructs are no mistakes there, but texts.
    assert not [pattern for pattern in found if re.search(r"\\[wdbAZ]|\(\?[^=:!]", pattern)]
