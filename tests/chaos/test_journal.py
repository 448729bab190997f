"""The journal on disk, and recovery from it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
from chaos_servers import Toxiproxy, embedded_server

from loadtool.chaos import rollback
from loadtool.chaos.control import Control
from loadtool.chaos.journal import Change, Journal, claimed, entries, state_directory
from loadtool.errors import FaultError

URL = "http://127.0.0.1:1"
TOXIC = Change("toxic", "p", "t")
PROXY = Change("proxy", "own")
DOWN = Change("down", "p")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/x/y"}, Path("/x/y/loadtool")),
        ({"XDG_STATE_HOME": ""}, Path.home() / ".local/state/loadtool"),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/loadtool"),
        ({}, Path.home() / ".local/state/loadtool"),
    ],
)
def test_where_journals_lie(environ: dict[str, str], expected: Path) -> None:
    assert state_directory(environ) == expected


def test_changes_are_there_until_they_are_undone(tmp_path: Path) -> None:
    with Journal(URL, "r", tmp_path / "new") as journal:
        assert entries(tmp_path / "new") == []
        for change in (PROXY, TOXIC, DOWN, TOXIC):
            journal.record(change)
        journal.undone(TOXIC)
        journal.undone(TOXIC)
        (entry,) = entries(tmp_path / "new")
        assert (entry.run, entry.url, entry.pid, entry.alive) == ("r", URL, os.getpid(), True)
        assert entry.changes == (PROXY, DOWN)
        assert oct(journal.directory.stat().st_mode)[-3:] == "700"
    (entry,) = entries(tmp_path / "new")
    assert (entry.alive, entry.changes) == (False, (PROXY, DOWN))


def test_a_journal_with_nothing_left_in_it_goes(tmp_path: Path) -> None:
    with Journal(URL, "r", tmp_path) as journal:
        journal.record(TOXIC)
        journal.undone(TOXIC)
    assert list(tmp_path.iterdir()) == []


async def test_a_run_that_was_killed_before_its_first_change_has_left_nothing(tmp_path: Path) -> None:
    with Journal(URL, "r", tmp_path) as journal:
        journal.begin()
        journal.begin()
        assert await rollback.status(tmp_path) == []
        assert (len(entries(tmp_path)), await rollback.recover(None, tmp_path)) == (1, [])
        copy = journal.path.read_bytes()
    assert os.listdir(tmp_path) == []
    (tmp_path / "dead.journal").write_bytes(copy)
    assert await rollback.status(tmp_path) == []
    assert await rollback.recover(None, tmp_path) == []
    assert os.listdir(tmp_path) == []


def test_a_line_cut_short_was_a_change_never_made(tmp_path: Path) -> None:
    with Journal(URL, "r", tmp_path) as journal:
        journal.record(PROXY)
        journal.record(TOXIC)
    path = tmp_path / "r.journal"
    path.write_bytes(path.read_bytes()[:-5])
    (entry,) = entries(tmp_path)
    assert entry.changes == (PROXY,)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.journal").write_text("[]\nnonsense\n")
    with pytest.raises(FaultError) as caught:
        entries(tmp_path)
    assert str(caught.value).startswith(f"the journal {tmp_path / 'r.journal'} is damaged (")


def test_a_full_disk_is_said_before_anything_is_changed(tmp_path: Path) -> None:
    journal = Journal(URL, "r", tmp_path)
    journal.record(PROXY)
    journal._file = FileIO("/dev/full", "w")
    with pytest.raises(FaultError) as caught:
        journal.record(TOXIC)
    journal.close()
    assert str(caught.value) == (
        f"cannot write the journal {tmp_path / 'r.journal'}: No space left on device; without one, a"
        f" killed run would leave its faults in {URL} (set XDG_STATE_HOME to a directory that can be written)"
    )


def test_only_dead_runs_can_be_claimed(tmp_path: Path) -> None:
    journal = Journal(URL, "r", tmp_path)
    journal.record(TOXIC)
    (alive,) = entries(tmp_path)
    with claimed(alive) as claim:
        assert claim is None
    journal.close()
    with claimed(alive) as claim:
        assert claim is not None
        assert claim.entry.changes == (TOXIC,)
        with claimed(alive) as second:  # by another run at the same time
            assert second is None
        (found,) = entries(tmp_path)
        assert (found.alive, found.recovered_by) == (False, os.getpid())
        claim.forget()
    with claimed(alive) as claim:
        assert claim is None


def test_a_recovery_that_ends_early_has_noted_what_it_took_back(tmp_path: Path) -> None:
    journal = Journal(URL, "r", tmp_path)
    journal.record(PROXY)
    journal.record(TOXIC)
    journal.close()
    path = tmp_path / "r.journal"
    path.write_bytes(path.read_bytes() + b'{"do": {"kind": "tox')  # cut short in mid-write
    (dead,) = entries(tmp_path)
    with claimed(dead) as claim:
        assert claim is not None
        claim.undone(TOXIC)
    (left,) = entries(tmp_path)
    assert (left.alive, left.recovered_by, left.changes) == (False, 0, (PROXY,))


def test_a_full_disk_does_not_hold_up_a_recovery(tmp_path: Path) -> None:
    journal = Journal(URL, "r", tmp_path)
    journal.record(PROXY)
    journal.close()
    (dead,) = entries(tmp_path)
    with claimed(dead) as claim:
        assert claim is not None
        object.__setattr__(claim, "_file", FileIO("/dev/full", "w"))
        claim.undone(PROXY)
        claim.forget()
    assert entries(tmp_path) == []


_VICTIM = """
import json, sys, time
from pathlib import Path
from loadtool.chaos.journal import Change, Journal
journal = Journal(sys.argv[1], "victim", Path(sys.argv[2]))
for change in json.loads(sys.argv[3]):
    journal.record(Change(**change))
print("ready", flush=True)
time.sleep(600)
"""


def killed_run(url: str, directory: Path, changes: list[Change]) -> None:
    """Leaves the journal of a run that was killed after it wrote these changes."""
    wanted = json.dumps([{"kind": c.kind, "proxy": c.proxy, "toxic": c.toxic} for c in changes])
    argv = [sys.executable, "-c", _VICTIM, url, str(directory), wanted]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        (entry,) = entries(directory)
        assert (entry.alive, entry.pid) == (True, process.pid)
        process.send_signal(signal.SIGKILL)
    (entry,) = entries(directory)
    assert not entry.alive


async def test_recovery_takes_back_exactly_what_a_killed_run_made(
    toxiproxy: Toxiproxy, tmp_path: Path
) -> None:
    theirs = await toxiproxy.proxy("127.0.0.1:1")
    untouched = await toxiproxy.proxy("127.0.0.1:1")
    for proxy in (theirs, untouched):
        await proxy.add("latency", latency=7)
    before = (await toxiproxy.ask("GET", "/proxies")).json()
    own = toxiproxy.free_name()
    async with Control(toxiproxy.url) as control:
        await control.create_proxy(own, "127.0.0.1:1")
        await control.add_toxic(own, "t", "noop", {})
        await control.add_toxic(theirs.name, "loadtool-t", "timeout", {"timeout": 0})
        await control.set_enabled(theirs.name, False)
    killed_run(
        toxiproxy.url, tmp_path,
        [
            Change("proxy", own), Change("toxic", own, "t"), Change("toxic", theirs.name, "loadtool-t"),
            Change("down", theirs.name), Change("toxic", theirs.name, "never-made"),
            Change("proxy", "never-made"),
        ],
    )  # fmt: skip
    (left,) = await rollback.status(tmp_path)
    assert left.remaining is not None
    assert [str(c) for c in left.remaining] == [
        f"proxy {own}", f"toxic t on proxy {own}", f"toxic loadtool-t on proxy {theirs.name}",
        f"proxy {theirs.name} disabled",
    ]  # fmt: skip
    with embedded_server() as other:
        assert await rollback.recover(other, tmp_path) == []
    (recovery,) = await rollback.recover(toxiproxy.url, tmp_path)
    assert recovery.problems == ()
    assert [str(c) for c in recovery.undone] == [
        f"proxy {own}", f"toxic loadtool-t on proxy {theirs.name}", f"proxy {theirs.name} disabled"
    ]  # fmt: skip
    assert [str(c) for c in recovery.gone] == ["proxy never-made", f"toxic never-made on proxy {theirs.name}"]
    assert (await toxiproxy.ask("GET", "/proxies")).json() == before
    assert list(os.listdir(tmp_path)) == []
    assert await rollback.recover(None, tmp_path) == []


async def test_runs_that_go_on_are_left_alone(tmp_path: Path) -> None:
    with Journal(URL, "r", tmp_path) as journal:
        journal.record(TOXIC)
        assert await rollback.recover(None, tmp_path) == []
        assert len(entries(tmp_path)) == 1


async def test_a_server_that_does_not_answer_is_a_problem_and_the_journal_stays(tmp_path: Path) -> None:
    killed_run(URL, tmp_path, [TOXIC])
    (left,) = await rollback.status(tmp_path)
    assert left.remaining is None
    assert left.problem == f"cannot read proxy p: no Toxiproxy answers at {URL} (Connection refused)"
    (recovery,) = await rollback.recover(None, tmp_path)
    assert recovery.undone == ()
    assert recovery.problems == (
        f"toxic t on proxy p: cannot remove toxic t from proxy p: no Toxiproxy answers at {URL}"
        f" (Connection refused); by hand: curl -X DELETE {URL}/proxies/p/toxics/t",
    )
    assert len(entries(tmp_path)) == 1


def test_a_journal_is_opened_so_that_it_can_be_locked_over_nfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There an exclusive lock is one of a file that is open for writing; else it is a bad descriptor."""

    def flock(file: FileIO, how: int) -> None:
        if not file.writable():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    with Journal(URL, "r1", tmp_path) as journal:
        journal.record(TOXIC)
        monkeypatch.setattr(fcntl, "flock", flock)
        assert [entry.run for entry in entries(tmp_path)] == ["r1"]


def test_a_journal_that_cannot_be_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: FileIO, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with Journal(URL, "r1", tmp_path) as journal:
        journal.record(TOXIC)
        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(FaultError, match=r"^cannot lock the journal .*/r1\.journal: No locks available$"):
            entries(tmp_path)
