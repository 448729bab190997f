"""The demo service's switches: a profile takes what the command line of the service takes, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes
from schema_check import flaws

from loadtool.profile.demo import Demo
from loadtool.profile.schema import json_schema
from loadtool.profile.yaml_tree import read_tree
from loadtool.target.settings import OPTIONS, Settings, settings_from

DEMO = SMALL.replace("http://127.0.0.1:8080", "demo")
# What belongs to the run (where it listens, its seed, the way to its store), or to no lesson.
OWN = {
    "host", "port", "seed", "store", "store_port", "max_body", "read_timeout", "send_timeout", "idle_timeout",
}  # fmt: skip

# As written, and what the service makes of it.
SWITCHES = {
    "slots: 4": Settings(slots=4),
    "service_time: 38ms": Settings(service_time_ns=38_000_000),
    "service_time: 0": Settings(service_time_ns=0),
    "service_jitter: 10%": Settings(service_jitter=0.1),
    "rate_limit: 90/s": Settings(rate_limit=90),
    "rate_limit: none": Settings(),
    "rate_burst: 5": Settings(rate_burst=5),
    "concurrency: adaptive": Settings(concurrency="adaptive"),
    "queue: 0": Settings(queue=0),
    "queue: unbounded": Settings(queue=None),
    "queue_timeout: none": Settings(queue_timeout_ns=None),
    "queue_timeout: 1m30s": Settings(queue_timeout_ns=90_000_000_000),
    "queue_policy: codel": Settings(queue_policy="codel"),
    "codel_target: 7ms": Settings(codel_target_ns=7_000_000),
    "codel_interval: 70ms": Settings(codel_interval_ns=70_000_000),
    "shed_status: 444": Settings(shed_status=444),
    "retry_after: 0": Settings(retry_after_ns=0),
    "retry_after_jitter: 9s": Settings(retry_after_jitter_ns=9_000_000_000),
    "client_leaves: finish": Settings(client_leaves="finish"),
    "store_time: 5ms": Settings(store_time_ns=5_000_000),
    "store_timeout: 2s": Settings(store_timeout_ns=2_000_000_000),
    "store_connections: 3": Settings(store_connections=3),
    "store_connections: slots": Settings(),
    "breaker: 50%": Settings(breaker=0.5),
    "breaker: none": Settings(),
    "breaker_slow: 200ms": Settings(breaker_slow_ns=200_000_000),
    "breaker_open: 500ms": Settings(breaker_open_ns=500_000_000),
}

WRONG = {
    "slots: 0": "slots: got 0, want a whole number from 1 to 100000",
    "queue: endless": "queue: got endless, want a whole number from 0 to 10000000, or unbounded",
    "queue_timeout: 0s": "queue_timeout: got 0, want a duration above 0 such as 250ms, 5s or 1m30s, or none",
    "queue_policy: fair": "queue_policy: got fair, want one of fifo, lifo, codel",
    "rate_limit: 0": "rate_limit: got 0, want a rate above 0 such as 50/s, or none",
    "shed_status: 200": "shed_status: got 200, want a status from 400 to 599",
    "breaker: 0%": "breaker: got 0%, want a share above 0, such as 10%, or none",
    "client_leaves: cancels": "client_leaves: got cancels, want one of cancel, finish, did you mean cancel?",
    "slot: 4": "slot: unknown key, did you mean slots?",
}


def written(switch: str) -> str:
    return f"{DEMO}demo: {{{switch}}}\n"


def test_every_option_of_the_service_is_a_switch() -> None:
    flags = {option.flag[2:].replace("-", "_") for option in OPTIONS}
    assert set(Demo.model_fields) == flags - OWN
    assert flags >= OWN


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_switch_reaches_the_service(tmp_path: Path, switch: str) -> None:
    profile = load(tmp_path, written(switch)).profile
    assert profile.demo is not None
    words = profile.demo.options()
    fields = {option.flag: option.field for option in OPTIONS}
    texts: dict[str, str | None] = {fields[f]: v for f, v in zip(words[::2], words[1::2], strict=True)}
    assert settings_from(texts) == SWITCHES[switch]
    assert flaws(json_schema(), read_tree(written(switch)).data) == []


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_dump_says_the_same(tmp_path: Path, switch: str) -> None:
    demo = load(tmp_path, written(switch)).profile.demo
    assert demo is not None
    assert Demo.model_validate(demo.model_dump(mode="json", exclude_none=True)) == demo


@pytest.mark.parametrize("switch", WRONG)
def test_a_mistake_says_what_was_wanted(tmp_path: Path, switch: str) -> None:
    (mistake,) = mistakes(tmp_path, written(switch))
    assert mistake.partition(": ")[2] == f"demo.{WRONG[switch]}"


def test_switches_are_of_the_embedded_service_alone(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, written("slots: 4").replace("target: demo", "target: http://127.0.0.1:1"))
    why = "the switches of the embedded service need target: demo; leave this out"
    assert mistake.partition(": ")[2] == f"demo: {why}"
