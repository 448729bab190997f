"""Faults and the steady state from the file to the model and back, and what of them is secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes

from loadtool.profile.model import Check

WHOLE = (
    SMALL
    + """\
headers: {Authorization: "Bearer literal-s3cret"}
proxies: {db: {existing: postgres}}
faults:
  - {name: again, at: spike, for: 1s, every: 3s, until: end  of spike, proxy: db, down: true}
  - {name: thrice, at: [spike+1s, 0, 3s], for: 500ms, proxy: db, toxic: latency, latency: 1s, ramp: 200ms}
  - {name: short, at: 2s, until: spike+0, proxy: db, toxic: noop}
  - {name: stop, at: 5s, for: 1s, run: "docker stop ${DB} -t $${T:-5} $HOME", undo: "docker start $DB $${T}"}
  - {name: pause, at: 5s, for: 1s, run: [kill, -STOP, 12], undo: [kill, -CONT, 12]}
steady_state:
  - {name: health, get: "/health?key=${KEY}", status: 200, within: 500ms}
  - {get: "http://u:pass-w0rd@127.0.0.1:9/x"}
  - {tcp: "127.0.0.1:5432"}
"""
)
ENVIRONMENT = {"DB": "my-db", "KEY": "k3y-value"}


def test_what_is_read(tmp_path: Path) -> None:
    profile = load(tmp_path, WHOLE, environment=ENVIRONMENT).profile
    again, thrice, short, stop, pause = profile.faults
    assert (again.at, again.until, again.every, again.for_) == (
        ("spike",), "end of spike", 3_000_000_000, 1_000_000_000
    )  # fmt: skip
    assert (thrice.at, thrice.ramp) == (("spike+1s", "0s", "3s"), 200_000_000)
    assert short.until == "spike+0s"
    assert stop.run == "docker stop my-db -t ${T:-5} $HOME"
    assert stop.undo == "docker start $DB ${T}"
    assert (pause.run, pause.undo, pause.proxy) == (("kill", "-STOP", "12"), ("kill", "-CONT", "12"), None)
    assert profile.steady_state == (
        Check(name="health", get="/health?key=k3y-value", status=200, within="500ms"),
        Check(name="http://***@127.0.0.1:9/x", get="http://u:pass-w0rd@127.0.0.1:9/x"),
        Check(name="127.0.0.1:5432", tcp="127.0.0.1:5432"),
    )


def test_what_is_written_is_a_profile_without_secrets(tmp_path: Path) -> None:
    loaded = load(tmp_path, WHOLE, environment=ENVIRONMENT)
    dump = loaded.normalised()
    assert dump["faults"] == [
        {"name": "again", "at": "spike", "for": "1s", "until": "end of spike", "every": "3s", "proxy": "db",
         "down": True},
        {"name": "thrice", "at": ["spike+1s", "0s", "3s"], "for": "500ms", "proxy": "db", "toxic": "latency",
         "stream": "downstream", "toxicity": "100%", "ramp": "200ms", "latency": "1s"},
        {"name": "short", "at": "2s", "until": "spike+0s", "proxy": "db", "toxic": "noop",
         "stream": "downstream", "toxicity": "100%"},
        {"name": "stop", "at": "5s", "for": "1s", "run": "docker stop *** -t $${T:-5} $HOME",
         "undo": "docker start $DB $${T}"},
        {"name": "pause", "at": "5s", "for": "1s", "run": ["kill", "-STOP", "12"],
         "undo": ["kill", "-CONT", "12"]},
    ]  # fmt: skip
    assert dump["steady_state"] == [
        {"name": "health", "get": "/health?key=***", "status": [200], "within": "500ms"},
        {"name": "http://***@127.0.0.1:9/x", "get": "http://***@127.0.0.1:9/x"},
        {"name": "127.0.0.1:5432", "tcp": "127.0.0.1:5432"},
    ]
    again = load(tmp_path, json.dumps(dump))
    assert again.normalised() == dump
    assert loaded.secrets.mask("my-db k3y-value pass-w0rd") == "*** *** ***"


def test_names_of_phases_are_no_secrets(tmp_path: Path) -> None:
    text = WHOLE.replace("literal-s3cret", "${PHASE}")
    dump = load(tmp_path, text, environment={**ENVIRONMENT, "PHASE": "spike"}).normalised()
    assert [fault.get("until") for fault in dump["faults"]][:3] == ["end of spike", None, "spike+0s"]
    assert dump["faults"][1]["at"][0] == "spike+1s"


@pytest.mark.parametrize("pending", [False, True])
def test_an_undo_holds_nothing_of_the_environment_whether_it_is_there_or_not(
    tmp_path: Path, pending: bool
) -> None:
    text = SMALL + "setup: ./x\nfaults:\n  - {name: f, at: 5s, run: x, undo: 'login ${TOKEN}'}\n"
    for environment in ({}, {"TOKEN": "t"}):
        (said,) = mistakes(tmp_path, text, environment=environment, pending=pending)
        assert said.startswith(
            "shop.yaml:9: faults[0].undo: undo is kept on disk, for `loadtool chaos recover`"
        )


def test_an_undo_holds_no_secret_that_stands_elsewhere(tmp_path: Path) -> None:
    said = "holds a secret of this profile, and undo is kept on disk; leave it out"
    for undo in ("curl -u literal-s3cret", "[curl, literal-s3cret]"):
        text = WHOLE.replace("undo: [kill, -CONT, 12]", f"undo: {undo}")
        assert mistakes(tmp_path, text, environment=ENVIRONMENT) == [f"shop.yaml:14: faults[4].undo: {said}"]


def test_values_from_the_command_line(tmp_path: Path) -> None:
    overrides = ["faults.again.every=2s", "steady_state.health.within=1s", "faults.thrice.at=[1s, 4s]"]
    profile = load(tmp_path, WHOLE, overrides=overrides, environment=ENVIRONMENT).profile
    assert profile.faults[0].every == 2_000_000_000
    assert profile.faults[1].at == ("1s", "4s")
    assert profile.steady_state[0].within == 1_000_000_000


def test_what_setup_prints_may_be_in_all_of_it(tmp_path: Path) -> None:
    text = WHOLE + "setup: ./fetch.sh\n"
    loaded = load(tmp_path, text.replace("at: spike, for", "at: '${WHEN}', for"), pending=True)
    assert loaded.pending == {"DB", "KEY", "WHEN"}
