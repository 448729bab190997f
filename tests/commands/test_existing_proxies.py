"""Proxies that are to be there already, where nobody says in which Toxiproxy: told before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtool import cli

NEEDS = "needs a Toxiproxy that runs already: `toxiproxy: URL` or `--toxiproxy URL`"
URL = "http://127.0.0.1:1"
PROFILE = """\
name: x
target: http://127.0.0.1:9
requests: [{get: /}]
phases: [{name: baseline, rate: 1/s, for: 1s}]
slos: [p99 < 1s]
setup: [touch begun]
teardown: [touch ended]
proxies:
  own: {upstream: 127.0.0.1:1}
  db: {existing: postgres}
  cache: {existing: redis}
faults: [{name: cut, at: 100ms, for: 500ms, proxy: db, down: true}]
"""


@pytest.mark.parametrize("command", ["plan", "spike", "capacity"])
def test_a_mistake_that_nothing_is_begun_with(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PROFILE)
    assert cli.main([command, "-p", "p.yaml"]) == 2
    assert capsys.readouterr().err == (
        f"loadtool: p.yaml:10: proxies.db.existing: {NEEDS}\n"
        f"loadtool: p.yaml:11: proxies.cache.existing: {NEEDS}\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["p.yaml"]


@pytest.mark.parametrize(
    ("profile", "words", "code"),
    [
        (PROFILE, ["--toxiproxy", URL], 0),
        (PROFILE, ["--set", f"toxiproxy={URL}"], 0),
        (f"{PROFILE}toxiproxy: {URL}\n", [], 0),
        (f"{PROFILE}toxiproxy: ${{HERE}}\n", [], 0),
        (f"{PROFILE}toxiproxy: ${{FROM_SETUP}}\n", [], 0),  # nobody knows it yet
        (PROFILE.replace("{existing: ", "{upstream: 127.0.0.1:1} #"), [], 0),
        (f"{PROFILE}toxiproxy:\n", [], 2),
    ],
)
def test_a_url_may_come_from_anywhere(
    profile: str, words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", URL)
    monkeypatch.delenv("FROM_SETUP", raising=False)
    (tmp_path / "p.yaml").write_text(profile)
    assert cli.main(["plan", "-p", str(tmp_path / "p.yaml"), *words]) == code
