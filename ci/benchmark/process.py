"""A program on one core, and what it costs: the CPU time and memory of all its processes, sampled."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """At one moment: CPU seconds of the tree so far, its memory, and what requests the server has seen."""

    at_s: float
    cpu_s: float
    rss_mb: float
    requests: int


@dataclass(frozen=True)
class Window:
    """A stretch without start and end of the program."""

    rate: float  # requests/s, as the server counts them
    cpu_per_10k: float  # CPU seconds, user and system, of all processes of the tool


@dataclass
class Ran:
    """A program that has ended."""

    code: int
    out: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        return max((s.rss_mb for s in self.samples), default=0.0)

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
        requests = b.requests - a.requests
        return Window(requests / (b.at_s - a.at_s), (b.cpu_s - a.cpu_s) / requests * 1e4)


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in _listed(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            found += tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """User and system time of the threads that live, in the kernel's nanoseconds rather than in ticks."""
    times = (_read(f"/proc/{pid}/task/{task}/schedstat").split() for task in _listed(f"/proc/{pid}/task"))
    return sum(int(fields[0]) for fields in times if fields) / 1e9


def rss_mb(pid: int) -> float:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE / 1e6 if fields else 0.0


def run(
    argv: list[str],
    core: int,
    requests: Callable[[], int],
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """The program on this core, to its end; past `limit_s` it is killed, with a code of -9."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *argv],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        samples: list[Sample] = []
        began = time.monotonic()
        try:
            while process.poll() is None:
                at = time.monotonic() - began
                if at > limit_s:
                    break
                # What has ended is missing from the sum, which a window without an end never sees.
                pids = tree(process.pid)
                cpu, memory = sum(map(cpu_s, pids)), sum(map(rss_mb, pids))
                samples.append(Sample(at, cpu, memory, requests()))
                time.sleep(max(0.0, EVERY_S - (time.monotonic() - began - at)))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        return Ran(process.returncode, out.read().decode("utf-8", "replace"), samples)


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
