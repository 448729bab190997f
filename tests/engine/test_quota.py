"""Control groups as the kernel shows them, in directories that stand for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtool.engine.quota import quota_cores

V1 = "4:memory:/job\n2:cpu,cpuacct:/job\n0::/\n"
JOB = "cpu,cpuacct/job"


@pytest.mark.parametrize(
    ("ours", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # a container that sees itself as the root
        ("0::/system.slice/job\n", {"system.slice/job/cpu.max": "200000 100000\n"}, 2),  # a service
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 100000\n", "a/cpu.max": "300000 100000\n"}, 1),
        ("0::/docker/7\n", {"cpu.max": "300000 100000\n"}, 3),  # mounted is less than /proc tells of
        ("0::/../other\n", {"cpu.max": "300000 100000\n", "../other/cpu.max": "1 100000\n"}, 3),
        (V1, {f"{JOB}/cpu.cfs_quota_us": "-1\n", f"{JOB}/cpu.cfs_period_us": "100000\n"}, None),
        (
            V1,
            {
                f"{JOB}/cpu.cfs_quota_us": "250000\n", f"{JOB}/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "0\n"}, None),
        (V1, {"memory/job/cpu.max": "100000 100000\n"}, None),  # of another controller
        ("0::/\n", {"cpu.max": "\n"}, None),
        ("0::/\n", {}, None),
        ("nothing\n", {}, None),
        (None, {}, None),
    ],
)  # fmt: skip
def test_the_tightest_group_counts(
    tmp_path: Path, ours: str | None, files: dict[str, str], cores: float | None
) -> None:
    listed, mounted = tmp_path / "cgroup", tmp_path / "fs" / "cgroup"
    mounted.mkdir(parents=True)
    if ours is not None:
        listed.write_text(ours)
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(text)
    assert quota_cores(listed, mounted) == cores
