"""Planned faults and their words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from loadtool.chaos.fault import ProxySpec, describe, planned_faults, proxy_specs
from loadtool.chaos.server.toxics import TOXICS as SERVED
from loadtool.plan.job import FaultWindow
from loadtool.plan.timeline import Timeline
from loadtool.profile.model import Fault, Profile
from loadtool.profile.toxics import TOXICS

WORDS: list[tuple[dict[str, Any], str]] = [
    ({"toxic": "latency", "attributes": {"latency": 200}}, "latency 200ms on store"),
    ({"toxic": "latency", "attributes": {"latency": 200, "jitter": 50}}, "latency 200ms ±50ms on store"),
    ({"toxic": "latency", "attributes": {"latency": 1500, "jitter": 0}, "stream": "upstream"},
     "latency 1.5s on store upstream"),
    ({"toxic": "latency", "attributes": {"latency": 9}, "toxicity": 0.1},
     "latency 9ms on store, 10% of connections"),
    ({"toxic": "bandwidth", "attributes": {"rate": 64}}, "bandwidth 64KB/s on store"),
    ({"toxic": "slow_close", "attributes": {"delay": 30}}, "slow_close 30ms on store"),
    ({"toxic": "timeout", "attributes": {"timeout": 0}}, "timeout on store"),
    ({"toxic": "timeout", "attributes": {"timeout": 100}}, "timeout after 100ms on store"),
    ({"toxic": "reset_peer", "attributes": {}}, "reset_peer on store"),
    ({"toxic": "reset_peer", "attributes": {"timeout": 5}}, "reset_peer after 5ms on store"),
    ({"toxic": "slicer", "attributes": {"average_size": 64, "size_variation": 8, "delay": 10}},
     "slicer 64B ±8B every 10us on store"),
    ({"toxic": "limit_data", "attributes": {"bytes": 1000}}, "limit_data 1KB on store"),
    ({"toxic": "noop", "attributes": {}}, "noop on store"),
    ({"toxic": "latency", "attributes": {"latency": 200, "jitter": 9}, "ramp": "5s"},
     "latency 200ms ±9ms reached over 5s on store"),
    ({"down": True}, "store down"),
    ({"run": "docker stop db; sleep 1", "proxy": None}, "run docker stop db; sleep 1"),
    ({"run": ("docker", "stop", "my db"), "proxy": None}, "run docker stop 'my db'"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words"), WORDS)
def test_a_fault_in_words(fields: dict[str, Any], words: str) -> None:
    assert describe(Fault.model_validate({"name": "f", "at": "0s", "proxy": "store", **fields})) == words


def test_profile_server_and_words_know_the_same_toxics() -> None:
    assert {fields["toxic"] for fields, _ in WORDS if "toxic" in fields} == set(TOXICS) == set(SERVED)
    for name, attributes in TOXICS.items():
        assert tuple(attributes) == SERVED[name].ATTRIBUTES


def a_profile() -> Profile:
    return Profile.model_validate(
        {
            "name": "p", "target": "http://127.0.0.1:1",
            "requests": [{"name": "r", "get": "/"}],
            "phases": [{"name": "baseline", "rate": "1/s", "for": "10s"}],
            "proxies": {
                "store": {"upstream": "demo.store"}, "front": {"upstream": "target", "listen": "127.0.0.1:9"},
                "db": {"existing": "postgres"},
            },
            "faults": [
                {"name": "cut", "at": "2s", "for": "1s", "proxy": "db", "down": True},
                {"name": "slow", "at": "1s", "for": "3s", "proxy": "store", "toxic": "latency",
                 "latency": "5ms", "stream": "upstream", "toxicity": 0.5},
            ],
        }
    )  # fmt: skip


def test_faults_take_their_times_from_the_timeline() -> None:
    windows = (FaultWindow("slow", 10, 40), FaultWindow("cut", 20, 30))
    slow, cut = planned_faults(a_profile(), cast(Timeline, SimpleNamespace(faults=windows)))
    assert (slow.name, slow.start_ns, slow.end_ns) == ("slow", 10, 40)
    assert (slow.kind, slow.down) == ("latency", False)
    assert (slow.attributes, slow.stream, slow.toxicity) == ({"latency": 5}, "upstream", 0.5)
    assert (cut.name, cut.start_ns, cut.end_ns, cut.kind, cut.down) == ("cut", 20, 30, "down", True)


def test_one_that_comes_again_is_planned_each_time_with_its_ramp() -> None:
    windows = (FaultWindow("slow", 10, 40, 5), FaultWindow("slow", 60, 90, 5))
    planned = planned_faults(a_profile(), cast(Timeline, SimpleNamespace(faults=windows)), "/here")
    assert [(f.name, f.start_ns, f.end_ns, f.ramp_ns) for f in planned] == [
        ("slow", 10, 40, 5), ("slow", 60, 90, 5)
    ]  # fmt: skip
    assert {f.directory for f in planned} == {""}, "a toxic is in no directory"


def test_a_command_is_planned_with_its_undo_where_the_profile_lies() -> None:
    fault = Fault.model_validate({"name": "stop", "at": "1s", "run": ["docker", "stop", "db"], "undo": "up"})
    profile = a_profile().model_copy(update={"faults": (fault,)})
    timeline = cast(Timeline, SimpleNamespace(faults=(FaultWindow("stop", 10, 40),)))
    (planned,) = planned_faults(profile, timeline, "/here")
    assert (planned.run, planned.undo, planned.directory) == (("docker", "stop", "db"), "up", "/here")
    assert (planned.kind, planned.proxy, planned.down) == ("run", "", False)


def test_upstreams_that_stand_for_an_address() -> None:
    assert proxy_specs(a_profile(), {"demo.store": "127.0.0.1:5", "target": "127.0.0.1:6"}) == {
        "store": ProxySpec("store", upstream="127.0.0.1:5"),
        "front": ProxySpec("front", upstream="127.0.0.1:6", listen="127.0.0.1:9"),
        "db": ProxySpec("db", existing="postgres"),
    }
