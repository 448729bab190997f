"""On what machine, when, and with which versions something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.install import DEBIAN, GO
from benchmark.targets import Parts


@dataclass(frozen=True)
class Processors:
    """What the machine's processors have done so far, in ticks."""

    wanted: int  # of work, what was stolen included
    stolen: int  # that a hypervisor gave to others meanwhile

    @classmethod
    def now(cls) -> Processors:
        """By /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return cls(sum(ticks) - ticks[3] - ticks[4], ticks[7])

    def stolen_since(self, before: Processors) -> float:
        """The share of the work's time since then that was stolen."""
        wanted = self.wanted - before.wanted
        return round((self.stolen - before.stolen) / wanted, 4) if wanted > 0 else 0.0


def about_text(parts: Parts) -> str:
    """Machine, time, versions and how busy it was; of all parts, as they may be of several runs."""
    abouts = [part["about"] for part in parts.values()]
    machines = sorted({f"{a['cpu']}, {a['cores']} cores, {a['system']}" for a in abouts})
    days = sorted({a["at"][:10] for a in abouts})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    before, after = (max(a[f"load_average_{when}"][0] for a in abouts) for when in ("before", "after"))
    stolen = [a["stolen"] for a in abouts if a.get("stolen") is not None]
    # The figures of a guest whose hypervisor has other guests to serve: stalls, for all tools alike.
    took = f" A hypervisor took up to {max(stolen):.0%} of a part's processor time away." if stolen else ""
    again = sum((a.get("cores_seen") or {}).get("repeated", 0) for a in abouts)
    counted = sum((a.get("cores_seen") or {}).get("unsettled", 0) for a in abouts)
    if again:
        took += (
            f" In {again + counted} runs the two cores were far apart or slow, "
            f"of which {again} were done again."
        )
    said = sorted({f"{name} {text}" for a in abouts for name, text in a["versions"].items()})
    return (
        f"{'; '.join(machines)}; {when}. Load average over a minute before each part at most {before:.1f}, "
        f"after it {after:.1f} (the bench itself makes about 2).{took} {'; '.join(said)}."
    )


def machine() -> dict[str, Any]:
    """Where and when."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "cpu": model, "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}", "load_average_before": os.getloadavg(),
    }  # fmt: skip


def versions(programs: Mapping[str, str]) -> dict[str, str]:
    """What each program says it is, or else its package manager; "unknown" if neither does."""
    return {name: _version(name, path) for name, path in programs.items()}


def _version(name: str, path: str) -> str:
    if name in DEBIAN:
        # hey has no word for it, and would send requests to what it takes for a host.
        return _said(["dpkg-query", "--show", "--showformat", "${Version}\n", DEBIAN[name]]) or "unknown"
    if name in GO:
        # path, module and version: what vegeta does not know of itself is in every Go program.
        lines = _said(["go", "version", "-m", path]).splitlines()
        found = [line.split()[2] for line in lines if line.split()[:1] == ["mod"]]
        return found[0] if found else "unknown"
    first = _said([path, "--version"]).partition("\n")[0].partition(" from /")[0]
    return first.removeprefix(f"{name} ") or "unknown"


def _said(words: Sequence[str]) -> str:
    """What a program prints; nothing if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
