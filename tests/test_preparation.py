"""What a run's load needs, as it is when it is prepared."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

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


async def test_a_secret_of_wait_for_is_neither_said_nor_told_of(tmp_path: Path) -> None:
    """One from the environment, one that a command has printed."""
    file = tmp_path / "p.yaml"
    said: list[str] = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{closed.getsockname()[1]}"
        wait = 'setup: ["echo KEY=printed-key"]\nwait_for: {get: "/up?t=${TOKEN}&k=${KEY}", up_to: 100ms}\n'
        file.write_text(PROFILE.replace("http://127.0.0.1:1", target) + wait)

        def load(environment: Mapping[str, str], *, pending: bool = False) -> Loaded:
            return load_profile(file, environment={**environment, "TOKEN": "given-token"}, pending=pending)

        preparation = Preparation(load, None, [], said.append)
        with pytest.raises(SetupError) as error:
            async with AsyncExitStack() as stack:
                await preparation.prepare(stack, load({}, pending=True))
    assert "waiting for /up?t=***&k=*** to answer" in said
    assert str(error.value).startswith(f"wait_for: {target}/up?t=***&k=*** was not ready within 100ms (")
    assert not [text for text in (*said[1:], str(error.value)) if "given" in text or "printed" in text]


@pytest.mark.parametrize(
    ("probes", "asked"),
    [
        ("[]", ["store"]),
        ("[{name: depth, get: /stats, value: store.calls}]", ["store", "depth"]),
        ("[{name: store, get: /stats, value: store.calls}]", ["store"]),
    ],
)
async def test_the_look_at_the_demos_store_takes_no_name_of_the_profiles(
    tmp_path: Path, probes: str, asked: list[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(PROFILE.replace("http://127.0.0.1:1", "demo") + f"probes: {probes}\n")

    def load(environment: object, *, pending: bool = False) -> Loaded:
        return load_profile(file, environment={})

    async with AsyncExitStack() as stack:
        prepared = await Preparation(load, None, [], lambda text: None).prepare(stack, load({}))
        assert prepared.prober is not None
        answers = await prepared.prober.finish(trio.current_time())
    assert [answer.name for answer in answers] == asked


@pytest.mark.parametrize("between", ["\u2028", "\x85", "\x0b", "\x1c"])
async def test_a_printed_value_goes_to_the_end_of_its_line(tmp_path: Path, between: str) -> None:
    (tmp_path / "said").write_bytes(f"A=one{between}two\r\nB=three\n".encode())
    printed = await run_command("cat said", tmp_path, os.environ, Secrets())
    assert printed == {"A": f"one{between}two", "B": "three"}


async def test_a_printed_value_that_no_variable_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as error:
        await run_command("printf 'KEY=a\\0b\\n'", tmp_path, os.environ, Secrets())
    assert "printed KEY= with a NUL in it" in str(error.value)


async def test_the_signal_that_killed_a_command_is_named_and_secrets_are_masked(tmp_path: Path) -> None:
    hidden = Secrets.of(["known-secret"])
    said = "echo TOKEN=printed-secret; echo known-secret printed-secret >&2"
    with pytest.raises(SetupError) as error:
        await run_command(f"{said}; kill -KILL $$", tmp_path, os.environ, hidden)
    assert str(error.value).endswith(" failed (killed by SIGKILL: *** ***)")
    assert "secret" not in str(error.value).partition(" failed ")[2]
