"""What a toxiproxy-server of the run's own says that it lacked."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest
import trio
from run_harness import children, command_line, eventually

from loadtool import processes
from loadtool.chaos import source
from loadtool.chaos.control import Control
from loadtool.chaos.source import open_toxiproxy

REAL = shutil.which("toxiproxy-server")
LINE = '{{"level":"warn","error":"accept tcp 127.0.0.1:9: {0}","message":"Error while accepting client"}}'
OLDER = 'level=warning msg="Error while accepting client" err="accept tcp 127.0.0.1:9: {0}" proxy=p'


def program(directory: Path, script: str) -> source.Which:
    path = directory / "toxiproxy-server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return lambda _: str(path)


def started_since(before: list[int]) -> list[int]:
    """Children of this process that are not among those: tests before this one may have some, too."""
    return [pid for pid in children(os.getpid()) if pid not in before]


@pytest.mark.parametrize("line", [LINE, OLDER])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("accept4: too many open files", ["EMFILE"]),
        ("socket: too many open files", ["EMFILE"]),
        ("accept4: too many open files in system", ["ENFILE"]),
        ("accept4: no buffer space available", ["ENOBUFS"]),
        ("socket: cannot allocate memory", ["ENOMEM"]),
        ("connect: connection refused", []),
    ],
)
async def test_its_log_tells_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: str, names: list[str]
) -> None:
    async def ready(*_: object) -> bool:
        await trio.to_thread.run_sync(eventually, "it has spoken", (tmp_path / "spoken").exists)
        return True

    async def version(self: Control) -> str:
        await trio.lowlevel.checkpoint()
        return "2.12.0"

    monkeypatch.setattr(processes._Tail, "_drain", lambda self: None)  # as where nothing runs it in time
    monkeypatch.setattr(source, "_is_ours", ready)
    monkeypatch.setattr(Control, "version", version)
    (tmp_path / "log").write_text(f"{line.format(words)}\n" * 2)
    which = program(tmp_path, f"cd {tmp_path}; cat log >&2; touch spoken; exec sleep 600")
    told: list[str] = []
    async with open_toxiproxy(None, which=which, on_shortage=told.append):
        assert told == []
    assert told == names


@pytest.mark.skipif(REAL is None, reason="toxiproxy-server is not on PATH")
@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc to read")
@pytest.mark.parametrize(
    ("room", "words"), [(0, "accept4: too many open files"), (1, "socket: too many open files")]
)
async def test_the_real_one_says_so(tmp_path: Path, room: int, words: str) -> None:
    """With no file for a client, or with one for it and none for the upstream."""
    log = tmp_path / "log"
    which = program(tmp_path, f'"{REAL}" "$@" 2>&1 | tee {log}')
    told: list[str] = []
    before = children(os.getpid())
    async with open_toxiproxy(None, which=which, on_shortage=told.append) as control:
        host, _, port = (await control.create_proxy("p", "127.0.0.1:1")).rpartition(":")
        await control.list()
        (pid,) = [p for p in started_since(before) if command_line(p).startswith(f"{REAL} ")]
        taken = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
        free = min(set(range(1000)) - taken)
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + room, hard))
        async with await trio.open_tcp_stream(host, int(port)):
            await trio.to_thread.run_sync(eventually, "it says so", lambda: words in log.read_text())
    assert told == ["EMFILE"]


@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no prlimit")
async def test_the_embedded_one_can_be_asked_what_it_has_lacked_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes._Tail, "_drain", lambda self: None)  # as where nothing runs it in time
    told: list[str] = []
    before = children(os.getpid())
    async with open_toxiproxy(None, which=lambda _: None, on_shortage=told.append) as control:
        host, _, port = (await control.create_proxy("p", "127.0.0.1:1")).rpartition(":")
        assert control.lacked() == []
        (pid,) = [p for p in started_since(before) if "loadtool.chaos.server" in command_line(p)]
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for _ in range(2):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                await trio.to_thread.run_sync(
                    eventually, "it says so", lambda: control.lacked() == ["EMFILE"]
                )
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
                assert await stream.receive_some(1) == b"", "it is let in, and its upstream is not there"
            await (
                control.list()
            )  # an answer to what was asked after it had lacked something for the last time
            await trio.to_thread.run_sync(eventually, "no more", lambda: control.lacked() == [])
    assert told == ["EMFILE"]


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (None, "the embedded Toxiproxy"),
        pytest.param(
            REAL, "toxiproxy-server", marks=pytest.mark.skipif(REAL is None, reason="it is not on PATH")
        ),
    ],
)
async def test_one_that_is_killed_says_how_it_ended(where: str | None, name: str) -> None:
    before = children(os.getpid())
    async with open_toxiproxy(None, which=lambda _: where) as control:
        assert control.ended() == ""
        (pid,) = started_since(before)
        os.kill(pid, signal.SIGKILL)
        await trio.to_thread.run_sync(eventually, "it has ended", lambda: bool(control.ended()))
        assert control.ended().startswith(f"{name} ended during the run (killed by SIGKILL")
