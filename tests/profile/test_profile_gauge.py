"""`probes:`: which figures of the service are read beside the load."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes
from schema_check import flaws

from loadtool.profile.schema import json_schema
from loadtool.profile.yaml_tree import read_tree


def test_a_gauge_is_called_by_its_value_and_read_each_second(tmp_path: Path) -> None:
    first, second = (
        "{get: /stats, value: store.calls}",
        "{name: q, get: 'http://h/m', value: 5, every: 100ms}",
    )
    text = f"{SMALL}probes: [{first}, {second}]\n"
    loaded = load(tmp_path, text)
    assert [(g.name, g.get, g.value, g.every) for g in loaded.profile.probes] == [
        ("store.calls", "/stats", "store.calls", 10**9),
        ("q", "http://h/m", "5", 10**8),
    ]
    assert loaded.normalised()["probes"][0] == {
        "name": "store.calls", "get": "/stats", "value": "store.calls", "every": "1s",
    }  # fmt: skip
    assert flaws(json_schema(), read_tree(text).data) == []


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        ("{get: /m}", "probes[0].value: missing, such as demo_queued"),
        ("{value: a}", "probes[0].get: missing, such as /metrics"),
        ("{get: m, value: a}", "probes[0].get: got m, want a path such as /health, or a URL such as http://127.0.0.1:8080/health"),
        ("{get: /m, value: a, every: 99ms}", "probes[0].every: got 99ms, want at least 100ms"),
        ("{get: /m, metric: a, value: b}", "probes[0].metric: unknown key, write value"),
        (
            "{get: /m, value: a}, {get: /n, value: a}",
            "probes[1].name: a is the name of probes[0] already: give it a `name`",
        ),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, probes: str, said: str) -> None:
    (mistake,) = mistakes(tmp_path, f"{SMALL}probes: [{probes}]\n")
    assert mistake.partition(": ")[2] == said


def test_a_gauge_is_not_named_like_a_check(tmp_path: Path) -> None:
    text = f"{SMALL}steady_state: [{{name: a, get: /}}]\nprobes: [{{name: a, get: /m, value: v}}]\n"
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.endswith("probes[0].name: a is the name of steady_state[0] already")
