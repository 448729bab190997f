"""schema: what editors are told is what the loader takes, and the repository's copy is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from profile_samples import SMALL, load, mistakes
from schema_check import flaws

from loadtool.profile import model
from loadtool.profile.descriptions import DESCRIPTIONS
from loadtool.profile.keys import MODELS, SECTIONS, flow
from loadtool.profile.schema import json_schema
from loadtool.profile.starter import starter
from loadtool.profile.toxics import ATTRIBUTES, TOXICS
from loadtool.profile.yaml_tree import read_tree

PROFILES = Path(__file__).parents[2] / "profiles"
SCHEMA = json_schema()


def test_the_repositorys_copy_is_up_to_date() -> None:
    copy = (PROFILES / "profile.schema.json").read_text("utf-8")
    assert copy == json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n", (
        "loadtool schema > profiles/profile.schema.json brings it up to date"
    )


@pytest.mark.parametrize("file", sorted(PROFILES.rglob("*.yaml")), ids=lambda file: file.name)
def test_every_ready_profile_names_the_schema_and_fits_it(file: Path) -> None:
    text = file.read_text("utf-8")
    above = "." if file.parent == PROFILES else ".."
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={above}/profile.schema.json"
    assert flaws(SCHEMA, read_tree(text).data) == []


def test_there_are_ready_profiles() -> None:
    assert list(PROFILES.glob("*.yaml"))


def test_the_starter_fits_the_schema() -> None:
    assert flaws(SCHEMA, read_tree(starter()).data) == []


FITTING = [
    "x-anything: {goes: here}",
    "seed: ${SEED}",
    "seed: 7",
    "good_within: 500ms",
    "good_within: ${GOOD}",
    "headers: {A: 1, B: true, C: text, D: ~}",
    "arrivals: constant",
    "arrivals: {process: constant, batch: 50, burst: {on: 2s, off: 8s}}",
    "arrivals: {batch: '${SEED}'}",
    "allow_hosts: a.example.com",
    "allow_hosts: [a.example.com]",
    "slos: p99 < 1s",
    "slos: [p99 < 1s, error rate < 1%]",
    "setup: ./run.sh",
    "setup: [./run.sh, [./run.sh, 5]]",
    "client: {timeout: 1m30s, shed: 429}",
    "client: {shed: [429, 503]}",
    "client: {connections: 5, keepalive: false, deadline: 10s}",
    "client: {connections: {max: 5, per_second: 50/s}}",
    "client: {retries: {policy: immediate, budget: none}}",
    "client: {retries: {policy: immediate, budget: 10%}}",
    "client: {retries: {policy: immediate, budget: {tokens: 10}}}",
    "client: {connections: {per_second: 50}}",
    "client: {connections: {max: '${SEED}'}}",
    "client: {reconnect: spike+5s}",
    "client: {reconnect: [0, spike, 5s]}",
    "client: {source: 10.0.0.5}",
    "client: {source: [10.0.0.5, 10.0.0.6]}",
    "validity: {lag: 5ms}",
    "wait_for: {get: /health}",
    "toxiproxy: http://127.0.0.1:8474",
    "name: 5",
    "proxies: {a: {upstream: 'h:1'}, b: {existing: x}, c: {upstream: target}}",
    "steady_state: [{get: /health, status: [200, 204], within: 500ms}, {name: db, tcp: 'h:1'}]",
    "steady_state: [{get: 'https://u:p@h/x?y=z', status: 200}]",
    "steady_state: []",
]
NOT_FITTING = [
    "seed: 1.5",
    "seed: true",
    "good_within: 500",
    "good_within: soon",
    "headers: [a]",
    "headers: {A: [1]}",
    "arrivals: uniform",
    "arrivals: {batch: 0}",
    "arrivals: {burst: {on: 2s}}",
    "arrivals: {burst: {on: 2, off: 8s}}",
    "arrivals: {every: 2s}",
    "slos: [no operator]",
    "slos: {a: b}",
    "client: {timeout: 5}",
    "client: {timeot: 5s}",
    "client: {shed: 200}",
    "client: {connections: 0}",
    "client: {keepalive: 1}",
    "client: {retries: {}}",
    "client: {connections: {max: 0}}",
    "client: {connections: {per_second: fast}}",
    "client: {connections: {per_second: 0}}",
    "client: {connections: {min: 5}}",
    "client: {connections: [5]}",
    "client: {reconnect: 5}",
    "client: {reconnect: {at: spike}}",
    "client: {source: 5}",
    "client: {tls: ca.pem}",
    "client: {tls: {ca: [a]}}",
    "client: {tls: {verify: 1}}",
    "client: {tls: {authority: ca.pem}}",
    "validity: {lag: 5}",
    "wait_for: /health",
    "wait_for: {up_to: 5s}",
    "toxiproxy: localhost",
    "colour: red",
    "proxies: {a: {}}",
    "proxies: {a: {upstream: 'h:1', existing: x}}",
    "proxies: {a: {upstream: db}}",
    "faults: {a: b}",
    "steady_state: {get: /}",
    "steady_state: [{name: a}]",
    "steady_state: [{get: /, tcp: 'h:1'}]",
    "steady_state: [{get: health}]",
    "steady_state: [{get: /, status: 99}]",
    "steady_state: [{tcp: h}]",
    "steady_state: [{get: /, within: 5}]",
    "faults: [{name: f, at: 5s, toxic: noop}]",
    "faults: [{name: f, at: 5s, run: x, latency: 5ms}]",
    "faults: [{name: f, at: 5s, run: x, toxicity: 5%}]",
    "faults: [{name: f, at: 5s, run: {a: b}}]",
    "faults: [{name: f, at: 5s, run: []}]",
    "data: {row: {order: once}}",
    "data: {row: {file: rows.csv, order: random}}",
]
REQUESTS = [
    ("get: /", True),
    ("{post: /, json: {a: [1, ~]}}", True),
    ("{post: /, form: {a: [1, b]}}", True),
    ("{get: /a, query: {a: ~, b: 5}, weight: 2.5, name: x}", True),
    ("{get: /a, weight: ${W}}", True),
    ("{post: /, multipart: {a: b, c: {file: up.png}}}", True),
    ("{post: /, raw: text}", True),
    ("{post: /, raw: text, form: , multipart: , query: , headers: , expect: }", True),
    ("{get: /a, expect: {status: 200, contains: [a, b], matches: x}}", True),
    ("{}", False),
    ("{get: /, post: /}", False),
    ("{post: /, json: 1, raw: x}", False),
    ("{get: /a, weight: 0}", False),
    ("{get: /a, expect: {status: 99}}", False),
    ("{get: /a, expect: 200}", False),
    ("{get: 5}", False),
    ("{post: /, multipart: {a: {type: x}}}", False),
]
FAULTS = [
    ("toxic: latency, latency: 5ms, jitter: 0", True),
    ("toxic: bandwidth, rate: 64KB/s", True),
    ("down: true", True),
    ("toxic: slicer, average_size: 64, delay: 5us", True),
    ("toxic: noop, toxicity: 10%, stream: upstream", True),
    ("toxic: reset_peer, for: 2s", True),
    ("toxic: timeout, timeout: 0", True),
    ("toxic: limit_data, bytes: 1KB", True),
    ("toxic: latency, latency: 5ms, ramp: 1s", True),
    ("down: true, for: 1s, every: 2s", True),
    ("down: true, for: 1s, every: 2s, until: end of spike", True),
    ("down: true, until: spike+5s", True),
    ("down: true, every: 2s", False),
    ("down: true, ramp: 2s", False),
    ("down: true, undo: x", False),
    ("toxic: noop, ramp: 1s", False),
    ("toxic: latency, latency: 5ms, ramp: 1", False),
    ("down: true, until: [9s]", False),
    ("toxic: latency", False),
    ("toxic: latency, latency: 5", False),
    ("toxic: latency, latency: 5ms, rate: 1KB/s", False),
    ("toxic: bandwidth, rate: 64", False),
    ("toxic: slow, latency: 5ms", False),
    ("toxicity: 5%", False),
    ("toxic: noop, toxicity: 5", False),
    ("toxic: noop, run: x", False),
    ("toxic: slicer, delay: 5us", False),
]


def _agree(directory: Path, text: str, fits: bool) -> None:
    """Schema and loader say the same of a profile."""
    (directory / "rows.csv").write_text("a\n1\n")
    (directory / "up.png").write_bytes(b"x")
    found = flaws(SCHEMA, read_tree(text).data)
    environment = {"SEED": "1", "GOOD": "1s", "W": "2"}
    if fits:
        assert found == []
        load(directory, text, environment=environment)
    else:
        assert found
        assert mistakes(directory, text, environment=environment)


@pytest.mark.parametrize(("text", "fits"), [(t, True) for t in FITTING] + [(t, False) for t in NOT_FITTING])
def test_schema_and_loader_agree_at_the_top(tmp_path: Path, text: str, fits: bool) -> None:
    _agree(tmp_path, f"{SMALL}{text}\n", fits)


def test_schema_and_loader_agree_on_targets(tmp_path: Path) -> None:
    for target, more, fits in [
        ("https://127.0.0.1", "client: {tls: {verify: false}}", True),
        ("https://127.0.0.1", "client: {tls: {verify: '${VERIFY:-true}'}}", True),
        ("unix:/run/app.sock", "", True),
        ("demo", "", True),
        ("unix:app.sock", "", False),
        ("app.sock", "", False),
    ]:
        _agree(tmp_path, f"{SMALL.replace('http://127.0.0.1:8080', target)}{more}\n", fits)


@pytest.mark.parametrize("key", sorted(SECTIONS & set(DESCRIPTIONS["Profile"])))
def test_schema_and_loader_agree_on_empty_sections(tmp_path: Path, key: str) -> None:
    _agree(tmp_path, f"{SMALL}{key}:\n", True)
    _agree(tmp_path, f"{SMALL}{key}: null\n", True)


@pytest.mark.parametrize(("item", "fits"), REQUESTS)
def test_schema_and_loader_agree_on_requests(tmp_path: Path, item: str, fits: bool) -> None:
    _agree(tmp_path, SMALL.replace("get: /", item.replace("${W}", '"${W}"')), fits)


@pytest.mark.parametrize(("item", "fits"), FAULTS)
def test_schema_and_loader_agree_on_faults(tmp_path: Path, item: str, fits: bool) -> None:
    fault = f"proxies: {{p: {{existing: db}}}}\nfaults:\n  - {{name: f, at: spike+1s, proxy: p, {item}}}\n"
    _agree(tmp_path, SMALL + fault, fits)


@pytest.mark.parametrize(
    ("item", "fits"),
    [
        ("at: spike+1s, run: docker stop db, undo: [docker, start, db, 5]", True),
        ("at: [spike+1s, 2s, 0], for: 1s, run: [./kill.sh]", True),
        ("at: 5s, run: 'x ${SEED}'", True),
        ("at: [], run: x", False),
        ("at: [1, 2], for: 1s, run: x", False),
        ("at: {spike: 1s}, run: x", False),
        ("at: 5s, run: x, proxy: p", False),
        ("run: x", False),
    ],
)
def test_schema_and_loader_agree_on_commands(tmp_path: Path, item: str, fits: bool) -> None:
    _agree(tmp_path, f"{SMALL}faults:\n  - {{name: f, {item}}}\n", fits)


def test_schema_and_loader_agree_on_phases(tmp_path: Path) -> None:
    for item, fits in [
        ("rate: 50/s, for: 5s", True),
        ("rate: 5000 rpm, for: 1m30s, ramp: 2s", True),
        ("rate: 0, for: 5s", True),
        ("rate: 1.5k/s, for: 5s, role: recovery", True),
        ("rate: 1, for: 5s, double_every: 2s", True),
        ("rate: -5, for: 5s", False),
        ("rate: fast, for: 5s", False),
        ("rate: 5, for: 5", False),
        ("rate: 5", False),
        ("for: 5s", False),
        ("rate: 5, for: 5s, role: peak", False),
        ("rate: 5, for: 5s, ramps: 1s", False),
    ]:
        _agree(tmp_path, f"{SMALL}  - {{name: more, {item}}}\n", fits)


def test_every_key_is_described() -> None:
    for _, m in MODELS:
        keys = {info.alias or name for name, info in m.model_fields.items()} - {"attributes"}
        assert set(DESCRIPTIONS[m.__name__]) == keys
        assert all(row.text.endswith(".") for row in DESCRIPTIONS[m.__name__].values())
    assert {m.__name__ for _, m in MODELS} == set(DESCRIPTIONS)


def test_toxics_attributes_do_not_hide_keys_of_faults() -> None:
    assert not ATTRIBUTES & set(DESCRIPTIONS["Fault"])
    assert set(SCHEMA["properties"]["faults"]["items"]["properties"]) == ATTRIBUTES | set(
        DESCRIPTIONS["Fault"]
    )
    assert SCHEMA["properties"]["faults"]["items"]["properties"]["toxic"]["anyOf"][0]["enum"] == list(TOXICS)


def _described(schema: Any) -> list[tuple[str, Any]]:
    found = []
    if isinstance(schema, dict):
        for key, sub in schema.get("properties", {}).items():
            if isinstance(sub, dict) and "examples" in sub:
                found.append((key, sub))
        for sub in schema.values():
            found += _described(sub)
    elif isinstance(schema, list):
        for sub in schema:
            found += _described(sub)
    return found


def test_every_example_and_default_fits_its_own_schema() -> None:
    described = _described(SCHEMA)
    assert len(described) > 50
    for key, sub in described:
        for value in [*sub["examples"], *([sub["default"]] if "default" in sub else [])]:
            assert flaws(sub, value, key) == []


def test_examples_read_back_from_messages() -> None:
    for m in DESCRIPTIONS.values():
        for row in m.values():
            if (
                not isinstance(row.example, str)
                and "{{" not in str(row.example)
                and "${" not in str(row.example)
            ):
                assert read_tree(f"a: {flow(row.example)}").data is not None


def test_units_are_read_as_written_and_not_as_numbers() -> None:
    for text in ("timeout", "deadline"):
        kinds = SCHEMA["properties"]["client"]["properties"][text]["anyOf"]
        assert all(kind["type"] == "string" for kind in kinds)


def test_jsonschema_agrees_with_our_check() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft7Validator(SCHEMA)
    for text in FITTING + NOT_FITTING:
        data = read_tree(f"{SMALL}{text}\n").data
        assert (not list(validator.iter_errors(data))) == (not flaws(SCHEMA, data))


def test_methods_of_the_model_are_those_of_the_table() -> None:
    assert set(model.METHODS) < set(DESCRIPTIONS["Request"])
    assert set(model.BODIES) < set(DESCRIPTIONS["Request"])
