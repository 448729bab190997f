"""The processor time that control groups allow: containers, services and CI jobs have less than the machine.

From the kernel's documents: `cpu.max` of version 2 holds quota and period in µs, or `max`; version 1 has a
file for each, and a quota of -1 for none. A group has at most what those above it have, up to the root, which
in a container is the container's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

OURS: Final = Path("/proc/self/cgroup")
MOUNTED: Final = Path("/sys/fs/cgroup")


def quota_cores(ours: Path = OURS, mounted: Path = MOUNTED) -> float | None:
    """Cores' worth of time that this process may use, above 0; None where no group limits it.

    `ours`: lists the groups that it is in; `mounted`: where the hierarchies are.
    """
    allowed = [cores for group in _groups(ours, mounted) if (cores := _allowed(group)) is not None]
    return min(allowed, default=None)


def _groups(ours: Path, mounted: Path) -> Iterator[Path]:
    """Directories of the groups that this process is in, and those above; some may not be there."""
    try:
        lines = ours.read_text().splitlines()
    except OSError:  # not Linux, or no /proc
        lines = []
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        # Version 2 has no name here; version 1 one that may stand for two controllers, and a link for each.
        names = [""] if not controllers else [controllers, "cpu"] if "cpu" in controllers.split(",") else []
        below = PurePosixPath(path.lstrip("/"))
        inside = () if ".." in below.parts else (below, *below.parents)  # else of a group above the mount
        for name in names:
            yield from (mounted / name / place for place in inside)
            yield mounted / name


def _allowed(group: Path) -> float | None:
    """Cores that this group alone allows; None if it sets no limit, or is not there."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((group / file).read_text() for file in files).split()
            if quota != "max" and float(quota) > 0:
                return float(quota) / float(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None
