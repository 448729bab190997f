"""`loadtool chaos recover` with a command that takes its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from run_harness import alive, eventually

from loadtool.chaos.journal import Change, Journal, entries


def test_ctrl_c_ends_a_command_and_keeps_it_in_the_journal(tmp_path: Path) -> None:
    state = tmp_path / "state" / "loadtool"
    change = Change("run", toxic="c", undo="sleep 600 & echo $! > pid; wait", directory=str(tmp_path))
    with Journal("", "r1", state) as journal:
        journal.record(change)
    with subprocess.Popen(
        [sys.executable, "-m", "loadtool", "chaos", "recover"],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            code = process.wait()
        finally:
            process.kill()
    assert said == f"loadtool: still running (cd {tmp_path} && {change.undo}) (Ctrl-C ends the recovery)\n"
    assert (code, rest) == (130, "loadtool: interrupted\n")
    pid = int((tmp_path / "pid").read_text())
    eventually("what it started ends", lambda: not alive(pid))
    (entry,) = entries(state)
    assert (entry.changes, entry.alive) == ((change,), False)
