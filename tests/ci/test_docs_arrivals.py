"""What docs/arrivals.md tells of replays is what the code has, and the ready profiles are what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtool.profile.descriptions import DESCRIPTIONS
from loadtool.profile.load import load_profile
from loadtool.profile.model import Profile
from loadtool.profile.replay_file import MOST_NAMES
from loadtool.profile.slo import parse_slo

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "arrivals.md").read_text(encoding="utf-8")
READY = sorted(p.stem for p in (ROOT / "profiles").glob("*.yaml") if p.stem != "demo")


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
