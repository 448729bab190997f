"""Whole runs as a user starts them: the command line in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conservation import violations

from loadtool.measure.result_json import load

DEMO = """\
name: short
target: demo
seed: 3
requests:
  - {name: browse, get: /products/7}
phases:
  - {name: baseline, rate: 40/s, for: 2s}
  - {name: spike, rate: 150/s, for: 3s}
  - {name: recovery, rate: 40/s, for: 2s}
proxies:
  store: {upstream: demo.store}
faults:
  - {name: slow, at: spike+1s, for: 1s, proxy: store, toxic: latency, latency: 100ms}
slos:
  - p50 < 5s during baseline
"""

ENDLESS = DEMO.replace("for: 3s", "for: 300s").replace("for: 1s,", "for: 250s,")

TRIES = 3  # of a run that a machine may be too busy for


@dataclass
class Run:
    """A run that has ended."""

    code: int
    out: str
    err: str
    directory: Path

    @property
    def results(self) -> list[Path]:
        return sorted(self.directory.glob("loadtool-results/*/result.json"))

    @property
    def result(self) -> dict[str, Any]:
        """The only result.json, sound: it loads, and everything adds up."""
        (path,) = self.results
        data: dict[str, Any] = json.loads(path.read_text())
        assert violations(load(data)) == []
        return data


def command(directory: Path, profile: str, *options: str, limits: str = "") -> list[str]:
    (directory / "profile.yaml").write_text(profile)
    argv = [sys.executable, "-m", "loadtool", "spike", "--profile", "profile.yaml", "--plain", *options]
    return ["bash", "-c", f'{limits}; exec "$@"', "run", *argv] if limits else argv


def run(directory: Path, profile: str, *options: str, limits: str = "", **environment: str) -> Run:
    """`loadtool spike` to its end."""
    done = subprocess.run(
        command(directory, profile, *options, limits=limits),
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return Run(done.returncode, done.stdout, done.stderr, directory)


def late(done: Run, *, at_all: bool = False) -> bool:
    """Whether its load or a fault was so late, by its own clock, that it is invalid: a busy machine's doing.

    `at_all`: or a fault came, or went, late enough for the report to say so.
    """
    for result in (json.loads(path.read_text()) for path in done.results):
        faults = result["faults"]
        said = [f["problem"] for f in faults] + [f["remark"] for f in faults if at_all]
        if any(" s late" in text or "its time was over" in text for text in said):
            return True
        if any("the generator was late" in reason for reason in result["reasons"]):
            return True
    return False


def timely(
    start: Callable[[], Run], wrong: Callable[[Run], list[str]] | None = None, *, at_all: bool = False
) -> Run:
    """The first run that is not `late` and in which nothing is `wrong`.

    A machine on which three are late proves nothing. Nor does what is wrong in one run: the service or a
    Toxiproxy may have stood still, which no clock of the run sees. What is wrong in three is a failure.
    """
    found: list[str] = []
    tardy = 0
    while len(found) < TRIES and tardy < TRIES:
        done = start()
        if late(done, at_all=at_all):
            tardy += 1
        else:
            said = wrong(done) if wrong is not None else []
            if not said:
                return done
            found.append("; ".join(said))
        for path in done.results:
            shutil.rmtree(path.parent)
    if len(found) == TRIES:
        pytest.fail(" | ".join(found))
    why = " | ".join(["load or faults came late", *found])
    pytest.skip(f"this machine was too busy, {TRIES} times over: {why}")


def children(pid: int) -> list[int]:
    """The processes that it started and that live, and theirs."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(entry.name), *children(int(entry.name))]
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(what: str, holds: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until it holds; the bound only keeps a broken test from hanging."""
    give_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up, f"never happened: {what}"
        time.sleep(0.02)


class Live:
    """A run that is going on."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self.process = process
        self._directory = directory

    @property
    def progress(self) -> str:
        return (self._directory / "err.txt").read_text()

    def wait_for(self, text: str) -> None:
        """Until this text is among the lines of progress."""
        eventually(f"{text!r} in {self.progress!r}", lambda: text in self.progress or self.ended())
        assert text in self.progress, self.progress

    def ended(self) -> bool:
        return self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As if the machine's memory had run out: it has no time to take anything out."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def end(self) -> Run:
        code = self.process.wait(60)
        out, err = (self._directory / "out.txt").read_text(), self.progress
        assert "Traceback" not in out + err
        return Run(code, out, err, self._directory)


@contextmanager
def running(directory: Path, profile: str, *options: str, **environment: str) -> Iterator[Live]:
    """`loadtool spike` while it runs; whatever is left of it is killed and counts as a failure."""
    with open(directory / "out.txt", "w") as out, open(directory / "err.txt", "w") as err:
        process = subprocess.Popen(
            command(directory, profile, *options),
            cwd=directory,
            env={**os.environ, **environment},
            stdout=out,
            stderr=err,
            text=True,
        )
    try:
        yield Live(process, directory)
    finally:
        if process.poll() is None:
            family = children(process.pid)
            process.kill()
            process.wait()
            for pid in family:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
            pytest.fail("the run had not ended")
