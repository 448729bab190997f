"""Tables of the documentation are those of the code; test_documentation.py tests all that can be run."""

from __future__ import annotations

import re
from pathlib import Path

from loadtool.judge.overload_figures import VERDICTS
from loadtool.plan.client_doubts import CEILINGS
from loadtool.profile.model import POLICIES, TRANSPORTS, Retries
from loadtool.profile.readers import RETRIABLE
from loadtool.profile.toxics import TOXICS

ROOT = Path(__file__).resolve().parents[2]
FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
TRANSPORTS_PAGE = (ROOT / "docs" / "transports.md").read_text(encoding="utf-8")
OVERLOAD = (ROOT / "docs" / "overload.md").read_text(encoding="utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def test_every_toxic_is_told_with_its_attributes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", FAULTS.partition("| `toxic:` |")[2], re.MULTILINE)
    told = {name: re.findall(r"`(\w+)`", attributes) for name, attributes in rows[: len(TOXICS)]}
    assert told == {name: list(attributes) for name, attributes in TOXICS.items()}


def test_every_transport_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)`", TRANSPORTS_PAGE.partition("| `transport:` |")[2], re.MULTILINE)
    assert tuple(rows) == TRANSPORTS


def test_the_ceiling_that_is_told_is_the_one_that_the_plan_warns_of() -> None:
    table = TRANSPORTS_PAGE.partition("| `transport:` |")[2]
    told = re.findall(r"^\| `(\w+)`.*\| about ([\d,]+) \|$", table, re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in told} == CEILINGS


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


def test_verdicts_are_told_in_the_order_in_which_they_are_asked() -> None:
    table = OVERLOAD.partition("| verdict | what happened | rule |")[2].partition("\n\n")[0]
    # Without a baseline none of the others is asked: see judge/overload.py.
    assert re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE) == ["no-baseline", *(v for v, _ in VERDICTS)]
