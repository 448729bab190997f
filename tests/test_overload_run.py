"""The overload verdict of whole runs: on screen, in the file, and again from the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from run_harness import DEMO, run

from loadtool.judge.overload_figures import SEVERITY
from loadtool.judge.verdict import judge
from loadtool.measure.result_json import load

LONGER = DEMO.replace("name: recovery, rate: 40/s, for: 2s", "name: recovery, rate: 40/s, for: 4s")
PROFILE = f"""\
{LONGER.partition("slos:")[0]}capacity: 400/s
slos:
  - goodput retention >= 0%
  - recovery < 1h
  - latency growth < 1000x
"""


def test_a_run_is_judged_on_screen_and_in_its_file(tmp_path: Path) -> None:
    done = run(tmp_path, PROFILE)
    result = done.result
    overload = result["overload"]
    (spike,) = overload["spikes"]
    assert overload["verdict"] == spike["verdict"]
    assert spike["verdict"] in SEVERITY
    assert spike["sentence"].endswith(f": {spike['verdict']}")
    assert (spike["arrivals"], spike["watched_s"], spike["reference_per_s"]) == (
        sum(p["scheduled"] for p in result["phases"] if p["role"] == "spike"), 4.0, 400.0,
    )  # fmt: skip
    shown = " ".join(done.out.split())
    assert spike["sentence"] in shown
    again = subprocess.run(
        [sys.executable, "-m", "loadtool", "report", str(done.results[0])],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert spike["sentence"] in " ".join(again.stdout.split())
    stored = json.loads(done.results[0].read_text())
    fresh = load(stored)
    fresh.overload, fresh.slos = None, []
    judge(fresh)
    assert fresh == load(stored)


def test_an_objective_that_the_phases_cannot_answer_sends_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, PROFILE.replace("name: recovery", "name: after"))
    assert done.code == 2
    assert done.results == []
    why = "recovery needs a recovery; put a phase with role: recovery after spike"
    assert done.err == f"loadtool: profile.yaml:17: slos[1]: {why}\n"
