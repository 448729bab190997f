"""The profiles that lie in the repository run as they lie there, and editors know them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.profile.schema import json_schema
from loadtool.profile.starter import starter

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))


def test_there_are_profiles() -> None:
    assert ROOT / "profiles" / "demo.yaml" in PROFILES


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_profile_can_be_planned(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "-p", str(profile)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Nothing has been sent." in out


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_profile_tells_editors_its_schema(profile: Path) -> None:
    first = profile.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./profile.schema.json"


def test_the_schema_beside_them_is_the_one_that_loadtool_prints() -> None:
    # If this fails:  loadtool schema > profiles/profile.schema.json
    written = (ROOT / "profiles" / "profile.schema.json").read_text(encoding="utf-8")
    assert json.loads(written) == json_schema()


def test_the_demo_s_plan_warns_of_nothing_but_its_short_recovery(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["plan", "-p", str(ROOT / "profiles" / "demo.yaml")])
    warnings = capsys.readouterr().out.partition("Warnings")[2]
    assert warnings.count("\n ! ") == 1
    assert "recovery from spike is watched for 11s" in " ".join(warnings.split())


# What a ready profile is about, its plan may well warn of; ci/demo is short on purpose.
WARNED = {"demo.yaml": ["phases[3].for"], "retry-storm.yaml": ["client.retries"]}


def warned(profile: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The places that its plan warns of."""
    assert cli.main(["plan", "-p", str(profile)]) == 0
    said = " ".join(capsys.readouterr().out.partition("Warnings")[2].split())
    return re.findall(r" ! \S+?:\d+: (\S+): ", said)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_ready_profile_earns_no_warning_but_of_what_it_is_about(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert warned(profile, capsys) == WARNED.get(profile.name, [])


def test_the_starter_earns_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(starter())
    assert warned(tmp_path / "p.yaml", capsys) == []


def test_the_profile_of_the_readme_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    file = tmp_path / "checkout.yaml"
    file.write_text(text)
    assert cli.main(["plan", "-p", str(file)]) == 0
    out = capsys.readouterr().out
    assert "PLAN  checkout-10x: " in out
    assert out.count("slos[") == 0, "its SLOs can be decided"


def test_the_starter_is_a_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init"]) == 0
    assert capsys.readouterr().out == "wrote loadtool.yaml\n"
    assert cli.main(["plan", "-p", "loadtool.yaml"]) == 0
    before = Path("loadtool.yaml").read_text()
    assert cli.main(["init", "--target", "http://127.0.0.1:8080"]) == 2
    assert Path("loadtool.yaml").read_text() == before, "never overwritten unasked"
    assert cli.main(["init", "--force", "--target", "http://127.0.0.1:8080"]) == 0
    assert "http://127.0.0.1:8080" in Path("loadtool.yaml").read_text()
    assert cli.main(["init", "no/such/place.yaml"]) == 2
    assert cli.main(["init", "other.yaml", "--target", "ftp://x"]) == 2
    assert not Path("other.yaml").exists()


def test_the_schema_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
