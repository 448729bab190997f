"""A program on its cores, and what it costs: the CPU time and memory of all its processes, sampled."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

EVERY_S = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")
GONE_S = 5.0  # how long what was killed may take to be gone


@dataclass(frozen=True)
class Status:
    """What the target says of itself."""

    requests: int  # seen so far
    in_flight: int  # of them, not answered in full


class Target(Protocol):
    """Whoever answers the program's requests."""

    def status(self) -> Status: ...

    def cpu_s(self) -> float: ...


@dataclass(frozen=True)
class Sample:
    """At one moment: CPU seconds of the tree so far, its memory, and what requests the server has seen."""

    at_s: float
    cpu_s: float
    rss_mb: float
    requests: int
    in_flight: int = 0
    server_cpu_s: float = 0.0
    processes: Mapping[str, float] = field(default_factory=dict)  # memory in MB by process


@dataclass(frozen=True)
class Window:
    """A stretch without start and end of the program."""

    rate: float  # requests/s, as the server counts them
    cpu_per_10k: float  # CPU seconds, user and system, of all processes of the tool
    server_busy: float  # CPU seconds a second, of all processes of the server


@dataclass
class Ran:
    """A program that has ended."""

    code: int
    out: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        return max((s.rss_mb for s in self.samples), default=0.0)

    @property
    def most_in_flight(self) -> int:
        return max((s.in_flight for s in self.samples), default=0)

    def steady(self, first: float = 0.25, last: float = 0.9) -> Window | None:
        """From a share `first` of the requests to a share `last`; None if there are too few samples."""
        if not self.samples:
            return None
        before, total = self.samples[0].requests, self.samples[-1].requests
        low, high = (before + share * (total - before) for share in (first, last))
        inside = [s for s in self.samples if low <= s.requests <= high]
        if len(inside) < 2 or inside[0].requests == inside[-1].requests:
            return None
        a, b = inside[0], inside[-1]
        requests, seconds = b.requests - a.requests, b.at_s - a.at_s
        return Window(
            requests / seconds,
            (b.cpu_s - a.cpu_s) / requests * 1e4,
            (b.server_cpu_s - a.server_cpu_s) / seconds,
        )


class Meter:
    """CPU seconds of processes and of their threads, those included that have ended since the first look."""

    def __init__(self) -> None:
        self._ns: dict[tuple[int, str], int] = {}

    def cpu_s(self, pids: Sequence[int]) -> float:
        """User and system time so far, in the kernel's nanoseconds rather than in ticks.

        What a thread did between the last look at it and its end is missing.
        """
        for pid in pids:
            for task in _listed(f"/proc/{pid}/task"):
                fields = _read(f"/proc/{pid}/task/{task}/schedstat").split()
                if fields:
                    self._ns[pid, task] = int(fields[0])
        return sum(self._ns.values()) / 1e9


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in _listed(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            found += tree(int(child))
    return found


def rss_mb(pid: int) -> float:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE / 1e6 if fields else 0.0


def pinned(cores: Sequence[int], argv: Sequence[str]) -> list[str]:
    """The command line, kept to these cores."""
    return ["taskset", "-c", ",".join(map(str, cores)), *argv]


def run(
    argv: Sequence[str],
    cores: Sequence[int],
    target: Target,
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """The program on these cores, to its end; past `limit_s` it is killed, with a code of -9.

    A program that can't be started has a code of 127. However this ends, no process of it is left.
    """
    with tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(
                pinned(cores, argv),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        except OSError as e:
            return Ran(127, str(e))
        samples: list[Sample] = []
        meter, names = Meter(), Names(process.pid)
        began = time.monotonic()
        try:
            while process.poll() is None:
                at = time.monotonic() - began
                if at > limit_s:
                    break
                pids = tree(process.pid)
                cpu, memory = meter.cpu_s(pids), {names.of(pid): rss_mb(pid) for pid in pids}
                status = target.status()
                server_cpu = target.cpu_s()
                total = sum(memory.values())
                samples.append(Sample(at, cpu, total, status.requests, status.in_flight, server_cpu, memory))
                time.sleep(max(0.0, EVERY_S - (time.monotonic() - began - at)))
        finally:
            end(process)
        out.seek(0)
        return Ran(process.returncode, out.read().decode("utf-8", "replace"), samples)


class Names:
    """Short names of a program's processes: `main` for the first, then what they run, numbered."""

    def __init__(self, main: int) -> None:
        self._names = {main: "main"}

    def of(self, pid: int) -> str:
        if pid not in self._names:
            words = _read(f"/proc/{pid}/cmdline").split("\0")
            word = "worker" if "loadtool.engine.worker" in words else Path(words[0]).name or "?"
            number = sum(name.startswith(f"{word} ") for name in self._names.values()) + 1
            self._names[pid] = f"{word} {number}"
        return self._names[pid]


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and all that it has started, if it has not ended, and wait for them to be gone."""
    pids = tree(process.pid) if process.poll() is None else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    give_up = time.monotonic() + GONE_S
    while any(map(lives, pids)) and time.monotonic() < give_up:
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether it runs: a process that nobody has asked for its exit code yet does not."""
    state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def _read(path: str) -> str:
    """A file of /proc; empty if the process has just gone."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError):
        return []
