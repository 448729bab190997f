"""The pipelines that users copy: each template's own commands, extracted from its file, run for real.

`test_gate.py` has the gate of GitHub's step, passing, failing and more.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from junitparser import Failure, JUnitXml
from ruamel.yaml import YAML

from loadtool import cli
from loadtool.judge.compare_gate import parse_gate

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "ci" / "templates"

PROFILE = """\
name: gate
target: demo
requests:
  - {name: browse, get: "/products/{{ randint(1, 500) }}"}
phases:
  - {name: baseline, rate: 50/s, for: 1s}
  - {name: spike, rate: 100/s, for: 1s}
validity: {lag: 2s}
slos:
  - p50 < LIMIT during baseline
  - error rate < 50%
"""
EXPRESSIONS = {
    "github.run_id": "17",
    "github.run_attempt": "1",
    "github.token": "a-token",
    "github.event.pull_request.number": "5",
}
GH = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$GH_LOG"
case "$1 $2" in
  "run list") echo "$GH_RUN" ;;
  "run download") exit "${GH_DOWNLOAD:-0}" ;;
esac
"""


def yaml(name: str) -> Any:
    return YAML(typ="safe").load((TEMPLATES / name).read_text(encoding="utf-8"))


def github(step: str = "spike") -> str:
    steps = yaml("github-actions.yml")["jobs"]["spike"]["steps"]
    (script,) = (s["run"] for s in steps if s.get("id") == step)
    script = re.sub(r"\$\{\{ (.*?) \}\}", lambda m: EXPRESSIONS[m[1]], script)
    assert "${{" not in script
    return str(script)


def gitlab(part: str = "script") -> str:
    lines = yaml("gitlab-ci.yml")["spike"][part]
    assert all(isinstance(line, str) for line in lines), "a colon made a mapping of a line"
    return "\n".join(lines)


def jenkins() -> str:
    text = (TEMPLATES / "Jenkinsfile").read_text(encoding="utf-8")
    (script,) = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    return str(script).replace("\\\\", "\\")


@dataclass(frozen=True)
class Pipeline:
    """What a template's gate is: its commands, the variables of its CI system, and where a baseline lies."""

    script: Callable[[], str]
    variables: Mapping[str, str]
    result: str  # where the run's result.json is to be found
    baseline: str
    beside: tuple[str, ...] = field(default=())  # what must lie beside the baseline


PIPELINES = {
    "github-actions.yml": Pipeline(github, {}, "loadtool-results/17-1", "baseline"),
    "gitlab-ci.yml": Pipeline(
        gitlab, {"CI_JOB_ID": "17", "CACHE_POLICY": "pull"}, "loadtool-results/17", "loadtool-baseline"
    ),
    "Jenkinsfile": Pipeline(
        jenkins, {"BUILD_NUMBER": "17"}, "loadtool-results/17", "loadtool-baseline", ("load/spike.yaml",)
    ),
}

GATES = ("gitlab-ci.yml", "Jenkinsfile")  # run here


class Workspace:
    """A checkout with a profile where the templates want one."""

    def __init__(self, place: Path, *, limit: str = "2s", loadtool: str = "") -> None:
        self.place = place / "workspace"
        (self.place / "load").mkdir(parents=True)
        (self.place / "load" / "spike.yaml").write_text(PROFILE.replace("LIMIT", limit))
        self.log = place / "gh.log"
        bin_ = place / "bin"
        bin_.mkdir()
        real = f'#!/bin/sh\nexec {sys.executable} -m loadtool "$@"\n'
        python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
        for name, text in (("loadtool", loadtool or real), ("gh", GH), ("python", python)):
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "GH_"))}
        self.environment = {
            **clean, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "CI": "true",
            "GH_LOG": str(self.log),
        }  # fmt: skip

    def run(self, script: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """As the CI systems do: bash, ended by the first command that fails."""
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=self.place, text=True, capture_output=True,
            env={**self.environment, **variables}, check=False, timeout=60,
        )  # fmt: skip


@dataclass(frozen=True)
class Gated:
    workspace: Workspace
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Gated]:
    """Each gate over a profile that it passes, and over one with an SLO out of reach."""

    def run(name: str, limit: str) -> Gated:
        workspace = Workspace(tmp_path_factory.mktemp("gate"), limit=limit)
        pipeline = PIPELINES[name]
        return Gated(workspace, workspace.run(pipeline.script(), pipeline.variables))

    cases = [(name, limit) for name in GATES for limit in ("2s", "1us")]
    with ThreadPoolExecutor(2) as pool:  # they mostly wait
        return dict(zip(cases, pool.map(lambda case: run(*case), cases), strict=True))


def failed_slos(workspace: Workspace) -> list[str]:
    suites = JUnitXml.fromfile(str(workspace.place / "loadtool-results" / "slos.xml"))
    return [c.name for suite in suites for c in suite if any(isinstance(r, Failure) for r in c.result)]


def test_every_template_is_tested() -> None:
    assert {p.name for p in TEMPLATES.iterdir()} == set(PIPELINES)


@pytest.mark.parametrize("name", GATES)
def test_its_gate_passes(gated: dict[tuple[str, str], Gated], name: str) -> None:
    it = gated[name, "2s"]
    assert it.done.returncode == 0, it.done.stdout + it.done.stderr
    assert "✓ PASS  gate" in it.done.stdout
    assert failed_slos(it.workspace) == []
    assert (it.workspace.place / PIPELINES[name].result / "result.json").exists()
    assert (it.workspace.place / "loadtool-results" / "report.html").exists()


@pytest.mark.parametrize("name", GATES)
def test_a_broken_slo_fails_it(gated: dict[tuple[str, str], Gated], name: str) -> None:
    it = gated[name, "1us"]
    assert it.done.returncode == 1, it.done.stdout + it.done.stderr
    assert failed_slos(it.workspace) == ["p50 < 1us during baseline"]
    assert (it.workspace.place / PIPELINES[name].result / "result.json").exists(), "to look into"


@pytest.mark.parametrize("name", GATES)
def test_what_passed_is_kept_as_the_next_baseline(gated: dict[tuple[str, str], Gated], name: str) -> None:
    place = gated[name, "2s"].workspace.place
    kept = (place / PIPELINES[name].baseline / "result.json").read_bytes()
    assert kept == (place / PIPELINES[name].result / "result.json").read_bytes()
    assert not (gated[name, "1us"].workspace.place / PIPELINES[name].baseline / "result.json").exists()


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("there", [True, False])
def test_a_baseline_is_used_where_there_is_one(tmp_path: Path, name: str, there: bool) -> None:
    pipeline = PIPELINES[name]
    workspace = Workspace(tmp_path, loadtool='#!/bin/sh\nprintf "%s\\n" "$@" >argv\nexit 1\n')
    if there:
        (workspace.place / pipeline.baseline).mkdir()
        (workspace.place / pipeline.baseline / "result.json").write_text("{}")
        for file in pipeline.beside:
            shutil.copy(workspace.place / file, workspace.place / pipeline.baseline)
    assert workspace.run(pipeline.script(), pipeline.variables).returncode == 1
    command, *words = (workspace.place / "argv").read_text().splitlines()
    group = typer.main.get_command(cli.app)
    parsed = group.commands[command].make_context(command, words)  # type: ignore[attr-defined]  # a group
    assert str(parsed.params["profile"]) == "load/spike.yaml"
    expected = [f"{pipeline.baseline}/result.json"] if there else []
    assert [str(path) for path in parsed.params["baseline"] or ()] == expected
    gates = [parse_gate(text).metric.name for text in parsed.params["fail_if"] or ()]
    assert gates == (["p99", "goodput"] if there else [])


def test_a_changed_profile_has_no_baseline() -> None:
    """Runs of different profiles can't be compared: the key of what is kept is made from the profile."""
    assert "hashFiles('load/**')" in yaml("github-actions.yml")["jobs"]["spike"]["env"]["BASELINE"]
    assert yaml("gitlab-ci.yml")["spike"]["cache"]["key"]["files"] == ["load/spike.yaml"]
    assert "cmp -s loadtool-baseline/spike.yaml load/spike.yaml" in jenkins()


@pytest.mark.parametrize(
    ("run", "download", "said"),
    [("9", "0", ""), ("9", "1", "no baseline of this profile"), ("", "0", "no baseline of this profile")],
)  # fmt: skip
def test_github_fetches_the_baseline_if_it_can(tmp_path: Path, run: str, download: str, said: str) -> None:
    workspace = Workspace(tmp_path)
    variables = {"BASELINE": "loadtool-baseline-abc", "GH_RUN": run, "GH_DOWNLOAD": download}
    done = workspace.run(github("baseline"), variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(said)
    asked = "run download 9 --name loadtool-baseline-abc --dir baseline"
    assert (asked in workspace.log.read_text()) is bool(run)


@pytest.mark.parametrize("limit", ["2s", "1us"])
def test_github_comments_with_the_report_and_the_comparison(
    gated: dict[tuple[str, str], Gated], tmp_path: Path, limit: str
) -> None:
    result = gated["gitlab-ci.yml", limit].workspace.place / PIPELINES["gitlab-ci.yml"].result / "result.json"
    workspace = Workspace(tmp_path)
    for place in (PIPELINES["github-actions.yml"].result, "baseline"):
        (workspace.place / place).mkdir(parents=True)
        shutil.copy(result, workspace.place / place)
    done = workspace.run(github("comment"), {"PULL_REQUEST": "5"})
    assert done.returncode == 0, done.stdout + done.stderr
    comment = (workspace.place / "comment.md").read_text()
    assert f"gate: {'pass' if limit == '2s' else 'fail'}\n" in comment
    assert (workspace.place / "compare.md").read_text() in comment
    assert workspace.log.read_text().splitlines()[-1] == (
        "pr comment 5 --body-file comment.md --edit-last --create-if-none"
    )


def test_github_says_nothing_of_a_run_that_never_began(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.run(github("comment"), {"PULL_REQUEST": "5"}).returncode == 0
    assert not workspace.log.exists()


def test_gitlab_gets_metrics_of_every_phase(gated: dict[tuple[str, str], Gated]) -> None:
    workspace = gated["gitlab-ci.yml", "2s"].workspace
    done = workspace.run(gitlab("after_script"), {})
    assert done.returncode == 0, done.stderr
    lines = (workspace.place / "loadtool-results" / "metrics.txt").read_text().splitlines()
    assert all(re.fullmatch(r'loadtool_[a-z0-9_]+\{phase="\w+"\} [0-9.]+', line) for line in lines)
    figures = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    for phase in ("baseline", "spike"):
        counts = [figures[f'loadtool_{name}{{phase="{phase}"}}'] for name in ("ok", "shed", "errors")]
        assert sum(counts) == figures[f'loadtool_arrivals{{phase="{phase}"}}'] > 0
