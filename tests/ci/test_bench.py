"""ci/bench: that it works, and that what it makes of samples and packets is right. No speeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / "ci"
sys.path.append(str(CI))

from benchmark.peers import PEERS, SCENARIOS, Load  # noqa: E402 - from the place that was just added
from benchmark.process import Ran, Sample  # noqa: E402
from benchmark.sends import lag  # noqa: E402
from benchmark.server import program  # noqa: E402
from benchmark.table import rows, spread  # noqa: E402

MS = 1_000_000


@pytest.mark.parametrize(
    ("sent", "p50", "p99", "highest"),
    [
        ([i * MS for i in range(5_001)], 0.0, 0.0, 0.0),
        # The first 100 ms of each second are sent at their end, 100, 99, … ms late. Four such ends lie in the
        # 3,900 that count, so the 39th highest is the tenth of each.
        ([(i // 1_000 * 1_000 + max(i % 1_000, 100)) * MS for i in range(5_001)], 0.0, 91.0, 100.0),
        # The tool's clock is 0.1 % slow: 1 ms in a second, half of it at the median.
        ([round(i * 1.001 * MS) for i in range(5_001)], 0.5, 0.99, 1.0),
    ],
)
def test_lag_of_what_was_sent(sent: list[int], p50: float, p99: float, highest: float) -> None:
    seen = lag(sent[::-1], 1_000)
    assert seen is not None
    assert (seen.p50, seen.p99, seen.max) == pytest.approx((p50, p99, highest), abs=0.02)
    assert seen.rate == pytest.approx(1_000, rel=0.005)


def test_lag_of_too_little_is_none() -> None:
    assert lag([], 10) is None
    assert lag([0, MS], 10) is None


def test_start_and_end_of_a_program_do_not_count() -> None:
    """Two seconds of start-up at full CPU, then 1,000 requests/s at 0.1 CPU seconds a second."""
    samples = [Sample(t, float(t), 10.0 + t, 50) for t in range(3)]
    samples += [Sample(2.0 + t, 2.0 + 0.1 * t, 20.0, 50 + 1_000 * t) for t in range(1, 11)]
    window = Ran(0, "", samples).steady()
    assert window is not None
    assert window.rate == pytest.approx(1_000)
    assert window.cpu_per_10k == pytest.approx(1.0)
    assert Ran(0, "", samples).peak_mb == 20.0
    assert Ran(0, "", samples[:3]).steady() is None
    assert Ran(0, "", []).steady() is None


def test_the_table() -> None:
    assert spread([]) == "-"
    assert spread([1234.5]) == "1,234"
    assert spread([3.0, 1.0, 2.5], 1) == "2.5 (1.0 to 3.0)"
    assert rows(["a", "bc"], [["x", "1"], ["yyy", "22"]]) == (
        "| a   | bc |\n| --- | -: |\n| x   |  1 |\n| yyy | 22 |"
    )


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_peer_has_a_command_for_what_it_can_do(peer: object, scenario: str, tmp_path: Path) -> None:
    for row in PEERS:
        if row is not peer or scenario not in row.scenarios:
            continue
        load = Load(scenario, "http://127.0.0.1:9", 50, 2.0, tmp_path)
        commands = [row.flat_out(load)]
        if row.paced is not None:
            commands.append(row.paced(Load(scenario, "http://127.0.0.1:9", 50, 2.0, tmp_path, 1_000)))
        for words in commands:
            files = "".join(path.read_text() for path in tmp_path.iterdir())
            assert "http://127.0.0.1:9" in " ".join(words) + files


def test_a_short_round(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core")
    if program() is None:
        pytest.skip("nginx is not installed")
    figures = tmp_path / "figures.json"
    loadtool = Path(sys.executable).parent / "loadtool"
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "--quick", "--build", f"this={loadtool}", "--json", str(figures)],
        cwd=CI, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "## one small answer" in done.stdout
    data = json.loads(figures.read_text())
    assert "this" in [tool["tool"] for tool in data["flat_out"]["simple"]]
    assert "this" in data["about"]["versions"]
    assert {row["tool"] for row in data["paced"]} <= {"this"}
