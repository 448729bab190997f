"""What a run's load needs, as it is when it is prepared."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtool.preparation import Preparation
from loadtool.profile.load import Loaded, load_profile

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
