"""ci/bench_toxiproxy.py: its arithmetic, and one short measurement of the real thing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "ci" / "bench_toxiproxy.py"
PROGRAMS = ("nginx", "wrk", "toxiproxy-server")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_toxiproxy", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_toxiproxy", module)  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_ratios_are_medians_of_the_rounds_own(bench: ModuleType) -> None:
    rows = [
        bench.Row("direct", "", 0, [9000.0, 9000.0, 9000.0]),
        bench.Row("real, plain", "", 1, [1000.0, 2000.0, 4000.0], [10.0, 10.0, 10.0]),
        bench.Row("real, latency", "", 1, [100.0, 100.0, 100.0], [10.0, 10.0, 10.0]),
        bench.Row("embedded, plain", "", 2, [3000.0, 1000.0, 4000.0], [20.0, 30.0, 40.0]),
        bench.Row("embedded, latency", "", 2, [50.0, 60.0, 70.0], [5.0, 5.0, 5.0]),
    ]
    # 3, 0.5 and 1: the machine's speed drifts, so rounds are compared, not medians (3,000 / 2,000 is 1.5).
    assert bench.ratios(rows, lambda row: row.per_second) == {"plain": 1.0, "latency": 0.6}
    assert bench.table(rows).splitlines() == [
        "requests/s                 median      min      max   of the real one's",
        "direct                      9,000    9,000    9,000",
        "real, plain                 2,000    1,000    4,000",
        "real, latency                 100      100      100",
        "embedded, plain             3,000    1,000    4,000     1.00",
        "embedded, latency              60       50       70     0.60",
        "",
        "requests/s of CPU time     median      min      max   of the real one's",
        "real, plain                    10       10       10",
        "real, latency                  10       10       10",
        "embedded, plain                30       20       40     3.00",
        "embedded, latency               5        5        5     0.50",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="pins processes to cores, which this machine can't")
def test_it_measures_and_writes_json(tmp_path: Path) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin"
    for program in PROGRAMS:
        if shutil.which(program, path=path) is None:
            pytest.skip(f"{program} is not on PATH")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one core only")
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rounds", "1", "--seconds", "1", "--json", str(file)],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr  # how fast it is on a shared machine proves nothing
    figures = json.loads(file.read_text())
    assert set(figures["requests_per_second"]) == {
        "direct", "real, plain", "real, latency", "embedded, plain", "embedded, latency"
    }  # fmt: skip
    assert all(len(f) == 1 and f[0] > 0 for f in figures["requests_per_second"].values())
    ratio = (
        figures["requests_per_second"]["embedded, plain"][0]
        / figures["requests_per_second"]["real, plain"][0]
    )
    assert figures["ratios"]["plain"] == ratio
    assert "embedded, plain" in done.stdout
