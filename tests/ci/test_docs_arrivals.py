"""What docs/arrivals.md shows works as it stands there, and the ready profiles are what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.profile.descriptions import DESCRIPTIONS
from loadtool.profile.load import load_profile
from loadtool.profile.model import Profile
from loadtool.profile.replay_file import MOST_NAMES
from loadtool.profile.slo import parse_slo

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "arrivals.md").read_text(encoding="utf-8")
FRAGMENTS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
TARGET = "target: http://127.0.0.1:8080\n"
REQUESTS = "requests: [{get: /}]\n"
PHASES = """\
phases:
  - {name: baseline, rate: 50/s, for: 30s}
  - {name: spike, rate: 500/s, for: 30s}
  - {name: recovery, rate: 50/s, for: 60s}
"""
READY = sorted(p.stem for p in (ROOT / "profiles").glob("*.yaml") if p.stem != "demo")


def test_there_are_fragments() -> None:
    assert sum("replay" in f for f in FRAGMENTS) >= 4
    assert sum("batch" in f or "burst" in f for f in FRAGMENTS) >= 3


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_part_of_a_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fragment: str
) -> None:
    clf = 'h - - [21/Nov/2026:12:{:02}:{:02} +0000] "{} HTTP/1.1" 200 1 "-" "-"\n'
    calls = [(s, "POST /checkout" if s % 9 == 0 else f"GET /products/{s}") for s in range(120)]
    log = "".join(clf.format(s // 60, s % 60, call) for s, call in calls)
    (tmp_path / "access.log").write_text(log)
    rows = ['{"when": 1795262400.5, "uri": "/a"}', '{"when": "2026-11-21T12:00:03Z", "uri": "/b"}']
    (tmp_path / "app.jsonl").write_text("\n".join(rows))
    (tmp_path / "app.csv").write_text("time,path\n5.5,/a\n6,/b\n")
    around = TARGET
    if "replay:" not in fragment:
        around += REQUESTS if "phases:" in fragment else REQUESTS + PHASES
    (tmp_path / "p.yaml").write_text(around + fragment)
    code = cli.main(["plan", "-p", str(tmp_path / "p.yaml")])
    assert (code, capsys.readouterr().err) == (0, "")


def test_every_key_of_a_replay_is_told() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert rows == set(DESCRIPTIONS["Replay"]) - {"file"}
    assert f"The {MOST_NAMES} most frequent" in TEXT


def test_every_ready_profile_is_told() -> None:
    assert sorted(re.findall(r"^\| \[([\w-]+)\]\(", TEXT, re.MULTILINE)) == READY


@pytest.mark.parametrize("name", READY)
def test_a_ready_profile_says_where_it_comes_from_and_what_good_means(name: str) -> None:
    file = ROOT / "profiles" / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    head = text.partition("\nname: ")[0]
    assert re.search(r"\b(19|20)\d\d\b|Builders'|ISTQB", head), "its source"
    assert max(map(len, text.splitlines())) <= 120
    loaded = load_profile(file, environment={})
    profile = loaded.profile
    assert profile.name == name
    assert profile.target == "demo"
    assert sum(phase.for_ for phase in profile.phases) <= 60_000_000_000, "short by default"
    assert len(loaded.slos) >= 3
    roles = {phase.role for phase in profile.phases}
    assert "baseline" in roles
    if name != "soak":
        assert {"spike", "recovery"} <= roles
        assert any(parse_slo(slo.text).metric == "recovery" for slo in loaded.slos)
    if "${TARGET:-demo}" in text:
        elsewhere = load_profile(file, environment={"TARGET": "http://127.0.0.1:1"})
        assert elsewhere.profile.target == "http://127.0.0.1:1"
        assert "demo.store" not in text


def test_the_shapes_of_the_ready_profiles() -> None:
    def profile(name: str) -> Profile:
        return load_profile(ROOT / "profiles" / f"{name}.yaml", environment={}).profile

    tenfold = {p.role: p.rate or 0 for p in profile("spike-10x").phases}
    assert tenfold["spike"] == 10 * tenfold["baseline"]
    slow = {p.role: p.rate or 0 for p in profile("slow-dependency").phases}
    assert slow["spike"] == 10 * slow["baseline"]
    assert [f.toxic for f in profile("slow-dependency").faults] == ["latency"]
    assert all(p.ramp is None for p in profile("flash-sale").phases if p.role == "spike")
    assert [p.double_every for p in profile("news-break").phases] == [None, 4_000_000_000, None]
    herd = next(p for p in profile("thundering-herd").phases if p.role == "spike")
    assert herd.arrivals is not None
    assert herd.arrivals.batch > 48, "more than the demo has slots and places in its queue"
    assert profile("thundering-herd").client.reconnect == ("herd",)
    retries = profile("retry-storm").client.retries
    assert retries is not None
    assert (retries.policy, retries.max) == ("immediate", 3)
    assert profile("dependency-down").faults[0].down
    assert profile("noisy-neighbour").faults[0].toxic == "bandwidth"
