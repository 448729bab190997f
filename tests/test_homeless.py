"""A user without a home directory, such as a container has whose user is a number alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from chaos_servers import embedded_server
from run_harness import Run, timely
from run_service import service
from test_fault_recovery import Foreign

from loadtool.chaos.journal import Journal

# What stands in for a number without an account: no test can be sure to become one.
PROGRAM = """
import pwd, sys
from loadtool.cli import main
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
sys.exit(main(sys.argv[1:]))
"""
PROFILE = """\
target: http://127.0.0.1:{port}
requests: [{{get: /}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
proxies: {{db: {proxy}}}
faults: [{{name: slow, at: 100ms, for: 800ms, proxy: db, toxic: latency, latency: 5ms}}]
validity: {{lag: 10s}}
"""
OWN, THEIRS = "{upstream: 127.0.0.1:1}", "{existing: db}"
SAID = (
    "loadtool: there is no place for journals of faults, as this user has no home directory: set"
    " XDG_STATE_HOME to a directory that can be written"
)


def homeless(directory: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_STATE_HOME")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=directory,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def spike(directory: Path, profile: str, *words: str, **environment: str) -> Run:
    (directory / "profile.yaml").write_text(profile)
    done = homeless(directory, "spike", "--profile", "profile.yaml", "--plain", *words, **environment)
    return Run(done.returncode, done.stdout, done.stderr, directory)


def test_a_toxiproxy_of_its_own_needs_no_journal(tmp_path: Path) -> None:
    with service(tmp_path / "broken") as (port, _):
        done = timely(lambda: spike(tmp_path, PROFILE.format(port=port, proxy=OWN)))
    assert done.code == 0, done.err


def test_somebody_elses_needs_one_and_it_is_said_where_it_could_be(tmp_path: Path) -> None:
    with embedded_server() as url, service(tmp_path / "broken") as (port, books):
        server = Foreign(url)
        server.add("db")
        before = server.state()
        profile = PROFILE.format(port=port, proxy=THEIRS)
        refused = spike(tmp_path, profile, "--toxiproxy", url)
        assert (refused.code, refused.err.splitlines()[-1], books.asked) == (3, SAID, [])
        state = str(tmp_path / "state")
        done = timely(lambda: spike(tmp_path, profile, "--toxiproxy", url, XDG_STATE_HOME=state))
        assert done.code == 0, done.err
        assert server.state() == before


@pytest.mark.parametrize("command", ["status", "recover"])
def test_journals_that_cannot_be_looked_for_are_said(tmp_path: Path, command: str) -> None:
    done = homeless(tmp_path, "chaos", command)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"{SAID}\n")


def test_a_journal_is_looked_for_once_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with Journal("", "r") as journal:
        monkeypatch.setattr("loadtool.chaos.journal.state_directory", lambda: tmp_path)
        journal.begin()
        assert journal.path.parent == tmp_path


def test_who_started_it_may_ignore_how_children_end(tmp_path: Path) -> None:
    """What is ignored stays so in what is executed, and the kernel then keeps no exit codes."""
    (tmp_path / "profile.yaml").write_text(
        "{target: demo, setup: [echo A=1], requests: [{get: /}], validity: {lag: 10s}, "
        "phases: [{name: baseline, rate: 20/s, for: 1s}]}"
    )
    program = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'loadtool', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "spike", "-p", "profile.yaml", "--plain"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
