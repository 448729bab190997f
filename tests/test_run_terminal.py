"""Whole runs whose terminal, or whatever else stands behind the standard streams, fails them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator
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


class Terminal:
    """A run that has a terminal of its own, with everything that it has drawn there."""

    def __init__(self, directory: Path, profile: str) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        words = [word for word in command(directory, profile) if word != "--plain"]
        environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"TERM": "xterm"}
        self.process = subprocess.Popen(
            words, cwd=directory, env=environment, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )  # fmt: skip
        os.close(slave)
        self.drawn = bytearray()
        self._wanted = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other side has closed it
            while self._wanted:
                if select.select([self._master], [], [], 0.02)[0]:
                    self.drawn.extend(os.read(self._master, 65536))

    def wait_for(self, text: bytes, times: int = 1) -> None:
        eventually(f"{text!r} on the terminal", lambda: self.drawn.count(text) >= times)

    def close(self) -> None:
        """As if the window was closed: the kernel tells its session by SIGHUP."""
        if self._wanted:
            self._wanted = False
            self._reader.join()
            os.close(self._master)


@contextlib.contextmanager
def on_a_terminal(directory: Path, profile: str) -> Iterator[Terminal]:
    terminal = Terminal(directory, profile)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        terminal.close()


TAKEN, GIVEN_BACK = b"\x1b[?1049h", b"\x1b[?1049l"  # the terminal's second screen


def test_a_closed_terminal_ends_the_run_with_its_result_and_without_its_fault(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, ENDLESS) as terminal:
        terminal.wait_for(b"slow in place")
        family = children(terminal.process.pid)
        terminal.close()
        assert terminal.process.wait(60) == 129
    result = result_of(tmp_path)
    assert (result["verdict"], result["interrupted"]) == ("interrupted", "SIGHUP")
    assert [f["removed"] for f in result["faults"]] == [True]
    assert "lost" not in result["totals"]["errors"]
    eventually("all of them end", lambda: not any(alive(pid) for pid in family))


def test_ctrl_z_gives_the_screen_back_and_fg_takes_it_again(tmp_path: Path) -> None:
    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    with on_a_terminal(tmp_path, ENDLESS) as terminal:
        terminal.wait_for(b"so far")
        assert terminal.drawn.count(TAKEN) == 1
        assert GIVEN_BACK not in terminal.drawn
        terminal.process.send_signal(signal.SIGTSTP)
        eventually("it stops", lambda: state(terminal.process.pid) == "T")
        terminal.wait_for(GIVEN_BACK)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for(TAKEN, times=2)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(60) == 130
        terminal.wait_for(GIVEN_BACK, times=2)
        terminal.wait_for(b"INTERRUPTED")


def test_a_hangup_said_twice_still_waits_for_the_workers(tmp_path: Path) -> None:
    """A shell passes it on to its jobs, which have it from the kernel already."""
    with running(tmp_path, ENDLESS) as live:
        live.wait_for("faults: slow")
        live.send(signal.SIGHUP)
        live.wait_for("interrupted")
        live.send(signal.SIGHUP)
        done = live.end()
    assert done.code == 129
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
