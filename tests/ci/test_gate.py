"""The gate that users put into their CI: real runs, as the template of GitHub Actions has them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "ci" / "templates" / "github-actions.yml"

PROFILE = """\
name: gate
target: demo
requests:
  - {name: browse, get: "/products/{{ randint(1, 500) }}"}
phases:
  - {name: baseline, rate: 50/s, for: 1s}
  - {name: spike, rate: 100/s, for: 1s}
validity: {lag: 10s}
slos:
  - p50 < 20s during baseline
  - error rate < 50%
"""


@dataclass(frozen=True)
class Job:
    """A job of the template, in a workspace that holds a profile where the template wants one."""

    workspace: Path
    script: str
    environment: dict[str, str]

    @property
    def summary(self) -> Path:
        return self.workspace.parent / "summary.md"

    @property
    def junit(self) -> JUnitXml:
        return JUnitXml.fromfile(str(self.workspace / "loadtool-results" / "slos.xml"))

    @property
    def result(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            (self.workspace / "loadtool-results" / "17-1" / "result.json").read_text()
        )
        return found

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """What GitHub does with the step, `more` options of the command added."""
        script = " ".join([self.script, *more])
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.workspace, env=self.environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Job:
    workflow = YAML(typ="safe").load(TEMPLATE.read_text(encoding="utf-8"))
    (step,) = (s for s in workflow["jobs"]["spike"]["steps"] if s.get("id") == "spike")
    script = step["run"].replace("${{ github.run_id }}", "17").replace("${{ github.run_attempt }}", "1")
    assert "${{" not in script
    workspace = tmp_path / "workspace"
    (workspace / "load").mkdir(parents=True)
    (workspace / "load" / "spike.yaml").write_text(PROFILE)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    program = bin_ / "loadtool"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m loadtool "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "CI": "true",
        "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }  # fmt: skip
    return Job(workspace, script, environment)


def annotations(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("::")]


def test_the_gate_passes(job: Job) -> None:
    done = job.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ PASS  gate" in done.stdout
    assert annotations(done.stdout) == []
    assert "baseline" in done.stderr, "progress as plain lines"
    assert "\x1b" not in done.stdout + done.stderr
    assert job.result["verdict"] == "pass"
    totals = job.result["totals"]
    assert isinstance(totals, dict)
    assert totals["scheduled"] == totals["ok"] + totals["shed"] + sum(totals["errors"].values()) > 100
    assert "pass" in job.summary.read_text()
    cases = [case for suite in job.junit for case in suite]
    assert {"p50 < 20s during baseline", "error rate < 50%"} <= {case.name for case in cases}
    assert not any(isinstance(r, Failure | Error) for case in cases for r in case.result)


def test_a_broken_slo_fails_it_at_its_line(job: Job) -> None:
    done = job.run("--set", '"slos[0]=p50 < 1us during baseline"')
    assert done.returncode == 1, done.stdout + done.stderr
    assert job.result["verdict"] == "fail"
    assert "fail" in job.summary.read_text()
    (failed,) = (c for suite in job.junit for c in suite if any(isinstance(r, Failure) for r in c.result))
    assert (failed.classname, failed.name) == ("gate.baseline", "p50 < 1us during baseline")
    (said,) = annotations(done.stdout)
    assert said.startswith("::error file=load/spike.yaml,")


def test_a_typo_exits_2_and_names_the_line(job: Job) -> None:
    profile = job.workspace / "load" / "spike.yaml"
    profile.write_text(PROFILE.replace("rate: 100/s", "rtae: 100/s"))
    done = job.run()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("loadtool: load/spike.yaml:7: phases[1]")
    assert [p for p in job.workspace.rglob("*") if p.is_file()] == [profile]


def test_a_closed_port_exits_3(job: Job) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        done = job.run("--target", f"http://127.0.0.1:{held.getsockname()[1]}")
    assert done.returncode == 3, done.stdout + done.stderr
    assert job.result["verdict"] == "invalid"
    (said,) = (line for line in annotations(done.stdout) if "invalid" in line)
    assert said.startswith("::error")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_it_has_and_never_passes(job: Job, number: signal.Signals) -> None:
    command: Sequence[str] = [
        sys.executable, "-m", "loadtool", "spike", "-p", "load/spike.yaml", "--out", "loadtool-results/17-1",
        "--set", "phases.spike.for=60s",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        cwd=job.workspace,
        env=job.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "s spike " in line:
                break
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, out + err
    assert "interrupted" in err
    assert "Traceback" not in out + err
    result = job.result
    assert (result["verdict"], result["interrupted"]) == ("interrupted", number.name)
    assert "wrote loadtool-results/17-1/result.json" in out
