"""loadtool as process 1 of a container, to which nothing happens at a signal unless it is heeded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from run_harness import children

# A door behind which nothing goes on: as it is while modules load, or while a report is written.
WAITING = """\
import signal, sys, types
from loadtool.__main__ import main
cli = types.ModuleType("loadtool.cli")
cli.main = lambda: print("inside", flush=True) or signal.pause() or 0
sys.modules["loadtool.cli"] = cli
main()
"""


def _apart() -> list[str] | None:
    """What makes a command the first process of its own; None where that is not allowed."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    apart = [unshare, "--pid", "--fork", "--kill-child"]
    return (
        apart if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0 else None
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("first", [True, False])
def test_a_signal_ends_it_outside_of_a_run(number: signal.Signals, first: bool) -> None:
    """As it ends any process: with the status by which a shell tells of the signal."""
    apart = _apart() if first else []
    if apart is None:
        pytest.skip("only root may make a namespace of processes, with unshare")
    command = [*apart, sys.executable, "-c", WAITING]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"inside\n"
            (pid,) = children(process.pid) if first else [process.pid]  # unshare passes no signal on
            os.kill(pid, number)
            assert process.wait(60) == (128 + number if first else -number)
        finally:
            process.kill()
