"""Where Toxiproxy comes from, and that what a run starts ends with it."""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

import pytest
import trio
from chaos_servers import Toxiproxy

from loadtool import processes
from loadtool.chaos import source
from loadtool.chaos.control import Control
from loadtool.chaos.source import Source, describe_source, open_toxiproxy
from loadtool.errors import FaultError, SetupError

REAL = shutil.which("toxiproxy-server")
real = pytest.mark.skipif(REAL is None, reason="toxiproxy-server is not on PATH")


def nowhere(program: str) -> str | None:
    return None


def test_the_order_of_sources() -> None:
    def found(program: str) -> str | None:
        return f"/opt/{program}"

    assert describe_source("h:8474", found) == Source("url", "at http://h:8474", "http://h:8474")
    assert describe_source(None, found) == Source(
        "path",
        "toxiproxy-server on PATH (/opt/toxiproxy-server), started by the run",
        "/opt/toxiproxy-server",
    )
    assert describe_source(None, nowhere) == Source("embedded", "embedded, started by the run")
    assert [describe_source(u, w).owned for u, w in (("h:1", found), (None, found), (None, nowhere))] == [
        False, True, True
    ]  # fmt: skip


async def is_gone(url: str) -> bool:
    async with Control(url) as control:
        with pytest.raises(FaultError, match="Connection refused"):
            await control.list()
    return True


@pytest.mark.parametrize("which", [nowhere, pytest.param(shutil.which, marks=real)])
async def test_one_that_the_run_started_ends_with_it(which: source.Which) -> None:
    async with open_toxiproxy(None, which=which) as control:
        assert control.owned
        assert await control.list() == {}
        assert control.origin in (
            "embedded",
            f"toxiproxy-server {await control.version()} on PATH, started by this run",
        )
        url = control.url
    assert await is_gone(url)


@pytest.mark.parametrize("which", [nowhere, pytest.param(shutil.which, marks=real)])
async def test_it_ends_when_the_run_fails(which: source.Which) -> None:
    urls = []

    async def failing() -> None:
        async with open_toxiproxy(None, which=which) as control:
            urls.append(control.url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await is_gone(urls[0])


async def test_one_at_a_url_goes_on(toxiproxy: Toxiproxy) -> None:
    async with open_toxiproxy(toxiproxy.url) as control:
        assert not control.owned
        assert control.origin == f"version {await control.version()} at {toxiproxy.url}"
    assert (await toxiproxy.ask("GET", "/version")).status_code == 200


async def test_what_the_embedded_one_lacked_is_told_when_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = (
        """print('{"url": "http://127.0.0.1:1"}\\n{"lacking": "EMFILE"}', flush=True)\n"""
        """import sys; sys.stdin.read(); print('{"lacking": "ENOMEM"}')"""
    )
    monkeypatch.setattr(source, "python", lambda *_: [sys.executable, "-c", script])
    told: list[str] = []
    async with open_toxiproxy(None, which=nowhere, on_shortage=told.append):
        assert told == []
    assert told == ["EMFILE", "ENOMEM"]


@pytest.mark.parametrize("kind", ["nowhere", pytest.param("shutil.which", marks=real)])
def test_a_loopback_that_is_down_is_told_at_once(kind: str) -> None:
    apart = ["unshare", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("only root may make a network of its own, with unshare")
    script = f"""\
import shutil, trio
from loadtool.chaos.source import open_toxiproxy
from loadtool.errors import SetupError
nowhere = lambda program: None
async def main():
    try:
        async with open_toxiproxy(None, which={kind}) as control:
            print(await control.version())
    except SetupError as e:
        print(e)
trio.run(main)
"""
    done = subprocess.run([*apart, sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    told = "127.0.0.1 cannot be reached: Network is unreachable; bring the loopback interface up"
    assert done.stdout == f"{told} (`ip link set lo up`)\n", done.stderr


async def test_nobody_at_the_url() -> None:
    with pytest.raises(FaultError) as caught:
        async with open_toxiproxy("http://127.0.0.1:1"):
            pass
    assert "no Toxiproxy answers at http://127.0.0.1:1 (Connection refused)" in str(caught.value)


@real
async def test_a_program_leaves_no_file_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that is killed would leave it for good."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with open_toxiproxy(None) as control:
        assert os.listdir(tmp_path) == []
        assert await control.list() == {}


@real
async def test_a_port_that_somebody_elses_toxiproxy_has_is_left_to_it(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real server goes on running when its port is taken, and whoever has the port answers."""
    taken = int(embedded_url.rpartition(":")[2])
    free = source._free_port
    ports = chain([taken], iter(free, None))  # as many as it asks for: these may be taken meanwhile, too
    monkeypatch.setattr(source, "_free_port", lambda: next(ports))
    async with open_toxiproxy(None) as control:
        assert control.url != embedded_url
        assert await control.list() == {}


def program(directory: Path, text: str) -> source.Which:
    path = directory / "toxiproxy-server"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return lambda _: str(path)


async def test_a_program_that_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        async with open_toxiproxy(None, which=program(tmp_path, "echo it is broken; exit 3")):
            pass
    assert str(caught.value) == "toxiproxy-server ended before it was ready (exit code 3: it is broken)"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo it is broken; exit 3",
         "toxiproxy-server ended before it was ready (exit code 3: it is broken)"),
        ("echo listen tcp: address already in use; exit 1",
         "toxiproxy-server found 5 free ports taken one after another; try again"),
    ],
)  # fmt: skip
async def test_last_words_are_taken_however_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setattr(processes._Tail, "_drain", lambda self: None)  # as where nothing runs it in time
    with pytest.raises(SetupError) as caught:
        async with open_toxiproxy(None, which=program(tmp_path, script)):
            pass
    assert str(caught.value) == words


async def test_a_program_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_READY_S", 0.3)
    with pytest.raises(SetupError) as caught:
        async with open_toxiproxy(None, which=program(tmp_path, "exec sleep 600")):
            pass
    assert str(caught.value) == "toxiproxy-server was not ready after 0.3 s (still running)"


_COORDINATOR = """
import shutil, sys, trio
from loadtool.chaos.source import open_toxiproxy
async def main():
    which = shutil.which if sys.argv[1] == "real" else lambda _: None
    async with open_toxiproxy(None, which=which) as control:
        await control.create_proxy("p", "127.0.0.1:1")
        await control.add_toxic("p", "t", "timeout", {"timeout": 0})
        print(control.url, flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc to read")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["embedded", pytest.param("real", marks=real)])
async def test_it_ends_with_a_coordinator_that_is_killed(kind: str, number: signal.Signals) -> None:
    url = await trio.to_thread.run_sync(_kill_a_coordinator, kind, number)
    assert await is_gone(url)


def _kill_a_coordinator(kind: str, number: signal.Signals) -> str:
    argv = [sys.executable, "-c", _COORDINATOR, kind]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as coordinator:
        assert coordinator.stdout is not None
        url = coordinator.stdout.readline().decode().strip()
        watched = [os.pidfd_open(pid) for pid in children_of(coordinator.pid)]
        coordinator.send_signal(number)
    assert len(watched) == 1
    try:
        assert select.select(watched, [], [], 10)[0], "the server still runs"
    finally:
        for fd in watched:
            os.close(fd)
    return url


async def test_a_machine_without_a_place_for_temporary_files_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", nowhere)
    with pytest.raises(SetupError) as caught:
        async with open_toxiproxy(None, which=program(tmp_path, "exec sleep 600")):
            pass
    assert str(caught.value) == (
        "cannot write the configuration of toxiproxy-server: No usable temporary directory found in "
        "['/tmp']; set TMPDIR to a directory that can be written"
    )
