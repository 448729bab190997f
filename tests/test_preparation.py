"""What a run's load needs, as it is when it is prepared."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtool.errors import SetupError
from loadtool.preparation import Preparation, run_command
from loadtool.profile.load import Loaded, load_profile
from loadtool.profile.secrets import Secrets

PROFILE = """\
name: short
target: http://127.0.0.1:1
allow_hosts: [shop.test]
requests: [{get: /}]
phases: [{name: baseline, rate: 10/s, for: 2s}]
"""
FRONT = "proxies: {front: {upstream: target}}\n"


@pytest.mark.parametrize("more", ["", FRONT])
async def test_workers_know_which_hosts_may_be_loaded(tmp_path: Path, more: str) -> None:
    """What a Toxiproxy's host is that the load goes through was checked by the same rule."""
    file = tmp_path / "p.yaml"
    file.write_text(PROFILE + more)

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(file, environment={})

    preparation = Preparation(load, None, ["cart.test"], lambda text: None)
    async with AsyncExitStack() as stack:
        prepared = await preparation.prepare(stack, load({}))
        assert prepared.job.allow_hosts == ("shop.test", "cart.test")
    assert preparation.problems == []


async def test_the_signal_that_killed_a_command_is_named_and_secrets_are_masked(tmp_path: Path) -> None:
    hidden = Secrets.of(["known-secret"])
    said = "echo TOKEN=printed-secret; echo known-secret printed-secret >&2"
    with pytest.raises(SetupError) as error:
        await run_command(f"{said}; kill -KILL $$", tmp_path, os.environ, hidden)
    assert str(error.value).endswith(" failed (killed by SIGKILL: *** ***)")
    assert "secret" not in str(error.value).partition(" failed ")[2]
