"""Whole runs whose terminal, or whatever else stands behind the standard streams, fails them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import threading
from pathlib import Path
from typing import Any

import pytest
from run_harness import ENDLESS, alive, children, command, eventually, running

SHORT = """\
target: demo
requests: [{get: /products/7}]
phases: [{name: baseline, rate: 40/s, for: 1s}]
validity: {lag: 10s}
"""
needs_dev_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this machine has no /dev/full, a disk without space"
)


def result_of(directory: Path) -> dict[str, Any]:
    (path,) = directory.glob("loadtool-results/*/result.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_closed_terminal_ends_the_run_with_its_result_and_without_its_fault(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    words = [word for word in command(tmp_path, ENDLESS) if word != "--plain"]
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
    )  # fmt: skip
    os.close(slave)
    seen = bytearray()

    def watch() -> None:
        while b"slow, " not in seen:  # among the active faults, with the time left
            seen.extend(os.read(master, 65536))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        watching.join(60)
        assert b"slow, " in seen, bytes(seen[-2000:]).decode("utf-8", "replace")
        family = children(process.pid)
        os.close(master)  # the window is gone: the kernel tells the session by SIGHUP
        assert process.wait(60) == 129
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    result = result_of(tmp_path)
    assert (result["verdict"], result["interrupted"]) == ("interrupted", "SIGHUP")
    assert [f["removed"] for f in result["faults"]] == [True]
    assert "lost" not in result["totals"]["errors"]
    eventually("all of them end", lambda: not any(alive(pid) for pid in family))


def test_a_hangup_said_twice_still_waits_for_the_workers(tmp_path: Path) -> None:
    """A shell passes it on to its jobs, which have it from the kernel already."""
    with running(tmp_path, ENDLESS) as live:
        live.wait_for("faults: slow")
        live.send(signal.SIGHUP)
        live.wait_for("interrupted")
        live.send(signal.SIGHUP)
        done = live.end()
    assert done.code == 129 or done.code == -signal.SIGHUP  # the second may come when all is written
    assert done.result["verdict"] == "interrupted"
    assert "lost" not in done.result["totals"]["errors"]


def test_under_nohup_a_closed_terminal_is_survived(tmp_path: Path) -> None:
    with open(tmp_path / "err.txt", "w") as err:
        process = subprocess.Popen(
            command(tmp_path, SHORT, limits="trap '' HUP"),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    try:
        eventually("the load begins", lambda: "baseline" in (tmp_path / "err.txt").read_text())
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert result_of(tmp_path)["interrupted"] is None


@needs_dev_full
def test_progress_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(tmp_path, SHORT), cwd=tmp_path, stdout=subprocess.PIPE, stderr=full, timeout=100
        )
    assert done.returncode == 0
    assert "PASS" in done.stdout.decode()
    assert result_of(tmp_path)["verdict"] == "pass"


@needs_dev_full
def test_a_report_that_cannot_be_written_is_said_and_never_a_pass(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(tmp_path, SHORT), cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, timeout=100
        )
    assert done.returncode == 3
    assert done.stderr.decode().endswith("loadtool: cannot write to <stdout>: No space left on device\n")
    assert result_of(tmp_path)["verdict"] == "pass"
