"""`replay:` in a profile: what may stand beside it, and what is said of a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from profile_samples import SMALL, load, mistakes
from schema_check import flaws

from loadtool.profile.schema import json_schema
from loadtool.profile.yaml_tree import read_tree
from loadtool.units import SECOND

LINE = '10.0.0.1 - - [21/Nov/2026:12:00:{:02} +0000] "{}" 200 5 "-" "curl"\n'
LOG = "".join(LINE.format(s, "GET /a/7?x=1 HTTP/1.1") for s in (0, 0, 3)) + LINE.format(5, "POST /b HTTP/1.1")
HEAD = "target: http://127.0.0.1:8080\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_text(LOG)
    return file


def test_without_phases_all_of_it_is_one_baseline(tmp_path: Path, log: Path) -> None:
    loaded = load(tmp_path, HEAD + "replay: {file: access.log, speed: 4}\nslos: p95 < 1s during replay\n")
    (phase,) = loaded.profile.phases
    assert (phase.name, phase.role, phase.rate, phase.for_) == ("replay", "baseline", None, SECOND)
    assert loaded.profile.requests == ()
    assert loaded.recording is not None
    assert [(n.name, n.requests) for n in loaded.recording.names] == [("GET /a/{id}", 3)]
    dumped = json.dumps(loaded.normalised())
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "access.log").write_text(LOG)
    assert load(tmp_path / "again", dumped).profile == loaded.profile


def test_phases_of_null_are_none(tmp_path: Path, log: Path) -> None:
    text = HEAD + "replay: access.log\n"
    assert load(tmp_path, text + "phases: ~\n").profile == load(tmp_path, text).profile


def test_phases_name_parts_of_it(tmp_path: Path, log: Path) -> None:
    phases = "phases: [{name: before, for: 1s}, {name: spike, for: 3s}]\n"
    slos = "slos: ['goodput retention > 50%', 'p95 < 1s during before for \"GET /a/{id}\"']\n"
    loaded = load(tmp_path, HEAD + "replay: access.log\n" + phases + slos)
    assert [(p.name, p.role, p.rate) for p in loaded.profile.phases] == [
        ("before", "baseline", None),
        ("spike", "spike", None),
    ]
    assert loaded.slos[1].request == "GET /a/{id}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            SMALL + "data: {row: r.csv}\narrivals: poisson\nreplay: access.log\n",
            [
                "2: requests: a replay has its own; leave this out",
                "5: phases[0].rate: the replay says when requests leave; leave this out, or use replay: "
                "{speed, scale}",
                "6: phases[1].rate: the replay says when requests leave; leave this out, or use replay: "
                "{speed, scale}",
                "7: data: a replay has its own; leave this out",
                "7: data.row: r.csv: no such file",
                "8: arrivals: a replay has its own; leave this out",
            ],
        ),
        (HEAD + "replay: none.log\n", ["2: replay.file: none.log: no such file"]),
        (
            HEAD + "replay: {file: old.jsonl, format: json}\n",
            [
                "2: replay.file: old.jsonl: takes over 20,496 days: is a time in it wrong? Want at most "
                "366d, after `speed`"
            ],
        ),
        (HEAD + "replay: {speed: 2}\n", ["2: replay.file: missing, such as access.log"]),
        (
            HEAD + "replay: {file: access.log, speed: 0, scale: x, format: nginx, fields: {when: t}}\n",
            [
                "2: replay.fields: got when, want one of time, method, path, request, status, headers, body",
                "2: replay.format: got nginx, want one of combined, json, csv",
                "2: replay.scale: got x, want a number above 0, such as 2 or 0.5",
                "2: replay.speed: got 0, want a number above 0, such as 2 or 0.5",
            ],
        ),
        (
            HEAD + "replay: access.log\nslos: 'p95 < 1s for \"GET /a/{i}\"'\n",
            ["3: slos: no request is named GET /a/{i}, did you mean GET /a/{id}?"],
        ),
        (
            HEAD
            + 'replay: {file: access.log, bodies: {POTS: a, POST: b, "POST /c": d, "POST /b": e, GET: f}}\n',
            [
                "2: replay.bodies.POTS: access.log has no POST, PUT or PATCH of this name, did you mean "
                "POST?",
                "2: replay.bodies.POST /c: access.log has no POST, PUT or PATCH of this name, did you mean "
                "POST /b?",
                "2: replay.bodies.GET: access.log has no POST, PUT or PATCH of this name",
            ],
        ),
        (
            HEAD + "replay: {file: access.log, format: combined, fields: {time: t}}\n",
            [
                "2: replay.fields: belongs to format: json and format: csv; lines of combined name nothing"
            ],
        ),
        (
            HEAD + "replay: {file: access.log, fields: {time: t}}\n",
            [
                "2: replay.fields: belongs to format: json and format: csv; lines of combined name nothing"
            ],
        ),
        (
            HEAD + "replay: {file: access.log, format: json}\n",
            [
                "2: replay.file: access.log: got 4 broken lines of 4 (100%), want at most 1% in the format "
                "json; the first is line 1: not JSON"
            ],
        ),
        (
            HEAD + "replay: {file: '${LOG}'}\nsetup: ./fetch.sh\n",
            ["2: replay: is read before `setup` has run: nothing in it may wait for a variable"],
        ),
        (
            HEAD,
            [
                "1: requests: missing, such as [{get: /}]",
                "1: phases: missing, such as [{name: baseline, rate: 50/s, for: 30s}]",
            ],
        ),
        (
            HEAD + "requests: [{get: /}]\nphases: [{name: a, for: 5s}]\n",
            ["3: phases[0].rate: missing, such as 50/s"],
        ),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, log: Path, text: str, said: list[str]) -> None:
    (tmp_path / "old.jsonl").write_text('{"time": 5, "path": "/"}\n{"time": "2026-11-21", "path": "/"}\n')
    found = mistakes(tmp_path, text, pending=True)
    assert sorted(found) == sorted(f"shop.yaml:{line}" for line in said)


@pytest.mark.parametrize("text", ["replay: null\n", "replay:\n"])
def test_an_empty_replay_is_as_if_it_were_not_there(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, SMALL + text).profile == load(tmp_path, SMALL).profile
    missing = [
        "shop.yaml:1: requests: missing, such as [{get: /}]",
        "shop.yaml:1: phases: missing, such as [{name: baseline, rate: 50/s, for: 30s}]",
    ]
    assert mistakes(tmp_path, HEAD + text) == missing
    assert mistakes(tmp_path, f"{HEAD}replay: access.log\n", overrides=["replay=null"]) == missing


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("replay: access.log\n", True),
        ("replay: {file: access.log, format: csv, speed: 0.5, scale: 10, fields: {time: t}}\n", True),
        ("replay: {file: access.log, bodies: {POST: x}, broken: 5%, expect: {status: 404}}\n", True),
        ("replay: access.log\nphases: [{name: a, for: 5s, role: spike}]\n", True),
        ("replay: access.log\nphases: [{name: a, for: 5s, rate: 5/s}]\n", False),
        ("replay: access.log\nrequests: [{get: /}]\n", False),
        ("replay: {file: access.log, speed: 0}\n", False),
        ("replay: {file: access.log, fields: {when: t}}\n", False),
        ("replay: {file: access.log, fields: {time: t}}\n", False),
        ("replay: {file: access.log, fields: {}}\n", True),
        ("replay: {file: access.log, format: combined, fields: {time: t}}\n", False),
        ("requests: [{get: /}]\nphases: [{name: a, for: 5s}]\n", False),
        ("requests: [{get: /}]\n", False),
        ("replay: null\n", False),
        ("replay: null\nrequests: [{get: /}]\nphases: [{name: a, for: 5s, rate: 5/s}]\n", True),
        ("replay: access.log\ndata: null\n", True),
        ("", False),
    ],
)
def test_the_schema_says_the_same(tmp_path: Path, log: Path, text: str, fits: bool) -> None:
    assert (flaws(json_schema(), read_tree(HEAD + text).data) == []) == fits
    if fits and "format: csv" not in text:
        load(tmp_path, HEAD + text)
