"""starter: what `loadtool init` writes loads without mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_samples import load

from loadtool.errors import UsageError
from loadtool.profile.starter import starter


@pytest.mark.parametrize(
    "target",
    [None, "demo", "http://127.0.0.1:9000", "https://api.example.com/v1", "http://h/a$${b}"],
)
def test_the_starter_loads(tmp_path: Path, target: str | None) -> None:
    loaded = load(tmp_path, starter(target))
    assert loaded.profile.target == (target or "demo")
    assert {phase.role for phase in loaded.profile.phases} == {"warmup", "baseline", "spike", "recovery"}
    assert loaded.profile.faults
    assert loaded.slos


def test_without_tcp_the_faults_are_comments(tmp_path: Path) -> None:
    text = starter("unix:/tmp/s")
    loaded = load(tmp_path, text)
    assert (loaded.profile.target, loaded.profile.faults, loaded.profile.proxies) == ("unix:/tmp/s", (), {})
    assert len(text.splitlines()) == len(starter().splitlines())
    lines = ("# proxies", "#   front", "# faults", "#   - {name: slow")
    text = "\n".join(
        line.removeprefix("# ") if line.startswith(lines) else line for line in text.splitlines()
    )
    profile = load(tmp_path, text).profile
    assert profile.proxies["front"].upstream == "127.0.0.1:5432"
    assert [fault.name for fault in profile.faults] == ["slow-network"]


def test_the_starter_refuses_a_target_that_no_profile_may_have() -> None:
    with pytest.raises(UsageError, match=r"^--target: got localhost:80, want demo or a URL"):
        starter("localhost:80")


def test_every_example_in_the_comments_loads_too(tmp_path: Path) -> None:
    (tmp_path / "carts.csv").write_text("cart\n1\n")
    lines = starter().splitlines()
    examples = (
        "# allow_hosts", "# wait_for", "# setup", "# headers:", "#   Authorization", "# - name", "#   post",
        "#   json", "# data", "    # expect",
    )  # fmt: skip
    text = "\n".join(line.replace("# ", "", 1) if line.startswith(examples) else line for line in lines)
    text = text.replace("\n- name: checkout", "\n  - name: checkout").replace("\n  post:", "\n    post:")
    text = text.replace("\n  json:", "\n    json:")
    loaded = load(tmp_path, text, environment={"TOKEN": "t0ken"})
    assert [r.name for r in loaded.profile.requests] == ["home", "search", "checkout"]
    assert loaded.profile.allow_hosts
    assert loaded.profile.headers
    assert loaded.profile.setup
    assert loaded.profile.requests[1].expect.contains == ("results",)
