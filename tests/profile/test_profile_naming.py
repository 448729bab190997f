"""Names and secrets: a name shows none, and none makes another name of it, or no rate of a rate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtool.errors import ProfileError
from loadtool.profile.load import Loaded, load_profile

KEY = "live_abcdef"
SHOP = """\
target: http://127.0.0.1:1
name: "shop ${KEY}"
headers: {X-Key: "${KEY}"}
capacity: 100/s
validity: {lag: 100ms}
requests:
  - {get: "/api/${KEY}/items?x=${KEY}"}
  - {name: "put ${KEY}", put: /x}
  - {get: "/plain"}
steady_state:
  - {get: "/well/${KEY}"}
  - {name: "up ${KEY}", get: /up}
probes:
  - {name: "queue ${KEY}", get: /metrics, value: depth}
phases: [{name: baseline, rate: 100/s, for: 100s}]
slos:
  - p99 < 100ms for "GET /api/${KEY}/items?x=${KEY}"
  - p99 < 100ms for "put ${KEY}"
  - {slo: 'error rate < 1% for "put ${KEY}"', abort: true}
  - p99 < 100ms for "GET /plain"
"""


def load(directory: Path, text: str = SHOP, **environment: str) -> Loaded:
    file = directory / "shop.yaml"
    file.write_text(text)
    return load_profile(file, environment=environment)


def test_no_secret_is_in_a_name_and_slos_find_it_all_the_same(tmp_path: Path) -> None:
    loaded = load(tmp_path, KEY=KEY)
    profile = loaded.profile
    assert profile.name == "shop ***"
    assert [r.name for r in profile.requests] == ["GET /api/***/items?x=***", "put ***", "GET /plain"]
    assert profile.requests[0].get == f"/api/{KEY}/items?x={KEY}"  # what is sent
    assert [c.name for c in profile.steady_state] == ["/well/***", "up ***"]
    assert [g.name for g in profile.probes] == ["queue ***"]
    assert [slo.request for slo in loaded.slos] == [
        "GET /api/***/items?x=***", "put ***", "put ***", "GET /plain",
    ]  # fmt: skip
    dump = loaded.normalised()
    assert KEY not in json.dumps(dump)
    assert dump["slos"][2] == 'error rate < 1% for "put ***" abort'
    assert KEY not in str(loaded.shown_paths())


@pytest.mark.parametrize("secret", ["100", "100ms", "100/s", "plain", "GET", "baseline", "depth"])
def test_a_secret_that_is_elsewhere_by_chance_changes_no_name_and_no_figure(
    tmp_path: Path, secret: str
) -> None:
    """A result is judged by its profile: a rate that is masked is none, and a name another one."""
    loaded, other = load(tmp_path, KEY=secret), load(tmp_path, KEY=KEY)
    for key in ("capacity", "validity", "phases", "slos"):
        assert loaded.normalised()[key] == other.normalised()[key]
    assert [r.name for r in loaded.profile.requests] == [r.name for r in other.profile.requests]
    (tmp_path / "again.yaml").write_text(json.dumps(loaded.normalised()))
    load_profile(tmp_path / "again.yaml", environment={})


def test_a_literal_secret_is_no_other_name(tmp_path: Path) -> None:
    text = """\
target: http://127.0.0.1:1
requests: [{post: /password/check, json: {user: jane, password: password}}]
phases: [{name: baseline, rate: 1/s, for: 1s}]
slos: ['error rate < 1% for "POST /password/check"']
"""
    dump = load(tmp_path, text).normalised()
    assert dump["requests"][0]["name"] == "POST /password/check"
    assert dump["requests"][0]["json"] == {"user": "jane", "password": "***"}
    assert dump["slos"] == ['error rate < 1% for "POST /password/check"']


def test_names_that_differ_by_secrets_alone_stay_apart(tmp_path: Path) -> None:
    text = """\
target: http://127.0.0.1:1
headers: {X-Tenants: "${A},${B}"}
requests: [{get: "/p/${A}"}, {get: "/p/${B}"}, {name: "put ${A}", put: /}, {name: "put ${B}", put: /}]
steady_state: [{get: "/well/${A}"}, {get: "/well/${B}"}]
probes: [{get: /m, value: "q_${A}"}, {get: /m, value: "q_${B}"}]
phases: [{name: baseline, rate: 1/s, for: 1s}]
slos: ['p50 < 1s for "GET /p/${A}"', 'p50 < 1s for "GET /p/${B}"', 'p50 < 1s for "put ${B}"', p50 < 1s]
"""
    loaded = load(tmp_path, text, A="acme", B="globex")
    profile = loaded.profile
    names = ["GET /p/***", "GET /p/*** (2)", "put ***", "put *** (2)"]
    assert [r.name for r in profile.requests] == names
    assert [c.name for c in profile.steady_state] == ["/well/***", "/well/*** (2)"]
    assert [g.name for g in profile.probes] == ["q_***", "q_*** (2)"]
    assert [slo.request for slo in loaded.slos] == [names[0], names[1], names[3], None]
    with pytest.raises(ProfileError, match=r"GET /p/\*\*\* is the name of requests\[0\] already"):
        load(tmp_path, text, A="acme", B="acme")


def test_a_default_that_is_a_secret_is_masked_as_a_value_is(tmp_path: Path) -> None:
    text = """\
target: http://127.0.0.1:1
headers: {Authorization: "Bearer ${NOPE:-development}"}
requests: [{get: "/y/${NOPE:-development}"}, {name: "q ${NOPE:-development}", get: /}]
phases: [{name: baseline, rate: 1/s, for: 1s}]
slos: ['p50 < 1s for "q ${NOPE:-development}"']
"""
    assert "development" not in json.dumps(load(tmp_path, text).normalised())


def test_an_empty_name_is_one_mistake(tmp_path: Path) -> None:
    text = (
        SHOP.replace('get: "/plain"', 'name: "", get: "/plain"').partition("slos:")[0] + "slos: [p95 < 1s]\n"
    )
    with pytest.raises(ProfileError) as caught:
        load(tmp_path, text, KEY=KEY)
    assert [m.message for m in caught.value.mistakes] == ["got '', want text"]
