"""What the documentation shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.profile.model import POLICIES, TRANSPORTS, Retries
from loadtool.profile.readers import RETRIABLE
from loadtool.profile.toxics import TOXICS

ROOT = Path(__file__).resolve().parents[2]
FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
TRANSPORTS_PAGE = (ROOT / "docs" / "transports.md").read_text(encoding="utf-8")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
LESSONS = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8")
FRAGMENTS = [text for page in (FAULTS, TRANSPORTS_PAGE, CLIENTS, LESSONS) for text in YAML.findall(page)]
AROUND = """\
target: http://127.0.0.1:8080
requests: [{get: /}]
phases:
  - {name: baseline, rate: 50/s, for: 30s}
  - {name: spike, rate: 500/s, for: 30s}
  - {name: recovery, rate: 50/s, for: 60s}
"""


def test_there_are_fragments() -> None:
    assert len(YAML.findall(FAULTS)) >= 5
    assert len(YAML.findall(TRANSPORTS_PAGE)) >= 3
    assert len(YAML.findall(CLIENTS)) >= 5


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_part_of_a_profile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fragment: str
) -> None:
    (tmp_path / "p.yaml").write_text(AROUND + fragment)
    code = cli.main(["plan", "-p", str(tmp_path / "p.yaml")])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    for name in re.findall(r"name: ([\w-]+)", fragment):
        assert name in out


def test_every_toxic_is_told_with_its_attributes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", FAULTS.partition("| `toxic:` |")[2], re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", attributes) for name, attributes in rows[: len(TOXICS)]}
    assert told == {name: list(attributes) for name, attributes in TOXICS.items()}


def test_every_transport_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)`", TRANSPORTS_PAGE.partition("| `transport:` |")[2], re.MULTILINE)
    assert tuple(rows) == TRANSPORTS


def test_every_policy_of_a_client_is_told_with_the_defaults() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", CLIENTS.partition("| `policy:` |")[2], re.MULTILINE)
    assert rows[: len(POLICIES)] == list(POLICIES)
    told = dict(re.findall(r"^\| `(max|on|retry_after)` \| (.*?) \|", CLIENTS, re.MULTILINE))
    default = Retries(policy="none")
    assert told == {
        "max": str(default.max),
        "on": ", ".join(default.on),
        "retry_after": default.retry_after,
    }
    others = re.search(r"\| outcomes after which .*? also (.*?) \|", CLIENTS)
    assert others is not None
    assert {*default.on, *others[1].split(", ")} == set(RETRIABLE)


def test_links_lead_somewhere() -> None:
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_every_lesson_has_its_paragraph() -> None:
    told = {name for line in re.findall(r"^## (.*:.*)$", LESSONS, re.MULTILINE)
            for name in re.findall(r"([a-z-]+):", line)}  # fmt: skip
    assert told == {file.stem for file in (ROOT / "profiles" / "lessons").glob("*.yaml")}
