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


def test_names_that_differ_by_secrets_alone_are_one(tmp_path: Path) -> None:
    text = SHOP.replace('name: "put ${KEY}", put: /x', 'get: "/api/${OTHER}/items?x=${OTHER}"')
    text = text.replace("headers: {", 'headers: {X-Other: "${OTHER}", ').partition("slos:")[0]
    with pytest.raises(ProfileError, match=r"GET /api/\*\*\*/items"):
        load(tmp_path, text, KEY=KEY, OTHER="live_uvwxyz")
