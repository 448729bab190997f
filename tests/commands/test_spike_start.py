"""How a run starts: workers first, beside all the rest, and nothing loaded that it can do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtool import cli
from loadtool.engine import standby
from loadtool.processes import Child

# What a worker can do without, for plain requests over HTTP/1.1.
NOT_OF_WORKERS = ("httpx", "jinja2", "pydantic", "rich", "ruamel.yaml", "toxiproxy", "typer")
# What takes longest to load in a coordinator, and must not keep the workers waiting.
AFTER_WORKERS = ("httpx", "jinja2", "loadtool.profile.model", "loadtool.run", "rich", "ruamel.yaml")

# What a run needs only for faults, probes, templates, --prometheus and comparisons, or for its report.
NOT_OF_PLAIN_RUNS = (
    "h11", "httpx", "jinja2", "loadtool.chaos.conductor", "loadtool.engine.reactor", "loadtool.judge.compare",
    "loadtool.report.terminal", "plotext", "prometheus_client", "requests", "rich", "toxiproxy",
)  # fmt: skip


def loaded_by(program: str, names: tuple[str, ...]) -> set[str]:
    """Which of these modules a Python program has loaded when it prints its last line, by a list there."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return {name for name in json.loads(done.stdout.splitlines()[-1]) if name in names}


def test_a_worker_loads_only_what_it_needs() -> None:
    program = (
        "import json, sys\nimport loadtool.engine.worker, loadtool.engine.http1_transport\n"
        "print(json.dumps(list(sys.modules)))"
    )
    assert loaded_by(program, NOT_OF_WORKERS) == set()


def test_workers_are_started_before_the_coordinator_loads_its_own() -> None:
    program = (
        "import json, os, sys\nfrom loadtool import cli\nfrom loadtool.engine import standby\n"
        "def start(number):\n    print(json.dumps(list(sys.modules)), flush=True)\n    os._exit(0)\n"
        "standby.start_worker = start\n"
        "cli.main(['spike', '--profile', 'no-such-file.yaml'])"
    )
    assert loaded_by(program, AFTER_WORKERS) == set()


def test_a_run_without_faults_probes_and_templates_loads_nothing_for_them(tmp_path: Path) -> None:
    # It ends when the load starts, so nobody need listen there.
    file = tmp_path / "profile.yaml"
    file.write_text(
        "{name: x, target: 'http://127.0.0.1:9', requests: [{get: /}], "
        "phases: [{name: baseline, rate: 1/s, for: 1s}], slos: [p99 < 1s]}"
    )
    program = (
        "import json, os, sys\nfrom loadtool import cli\nfrom loadtool.engine.fleet import Fleet\n"
        "async def run(self, *rest, **more):\n    print(json.dumps(list(sys.modules)), flush=True)\n"
        "    os._exit(0)\n"
        "Fleet.run = run\n"
        f"cli.main(['spike', '--profile', {str(file)!r}, '--quiet', '--out', {str(tmp_path / 'out')!r}])"
    )
    assert loaded_by(program, NOT_OF_PLAIN_RUNS) == set()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (None, [], "{file}: no such file"),
        ("[]", [], "{file}:1: got a list, want"),
        ("{}", ["--workers", "0"], "--workers: got 0, want"),
        ("{}", ["--workers", "100000"], "{file}:1: "),
    ],
)
def test_a_mistake_leaves_no_process_behind(
    text: str | None,
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[int] = []

    def start(number: int) -> Child:
        child = start_worker(number)
        started.append(child.pid)
        return child

    start_worker = standby.start_worker
    monkeypatch.setattr(standby, "start_worker", start)
    file = tmp_path / "profile.yaml"
    if text is not None:
        file.write_text(text)
    code = cli.main(["spike", "--profile", str(file), "--out", str(tmp_path / "out"), *options])
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"loadtool: {said.format(file=file)}")
    assert "Traceback" not in error
    assert len(started) <= standby.usable_cores()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in started)


@pytest.mark.parametrize("command", ["spike", "capacity"])
@pytest.mark.parametrize("there", [[], ["results"], ["results", "results/today"]])
@pytest.mark.parametrize("more", [[], ["--json", "results/today/more/x.json"]])
def test_a_run_that_never_begins_takes_back_only_its_own_directories(
    command: str,
    there: list[str],
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "profile.yaml"
    file.write_text(
        "{target: 'http://127.0.0.1:9', setup: ['false'], requests: [{get: /}], slos: [p99 < 1s], "
        "phases: [{name: baseline, rate: 1/s, for: 1s}]}"
    )
    for name in there:
        (tmp_path / name).mkdir()
    options = ["--profile", str(file), "--out", str(tmp_path / "results" / "today")]
    assert cli.main([command, *options, *more]) == 3
    assert "the command 'false' failed" in capsys.readouterr().err
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir()]
    assert sorted(left) == there


@pytest.mark.parametrize("command", ["spike", "capacity", "try"])
def test_a_profile_from_a_pipe_is_read_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Its mistake shows only after setup, when the profile is loaded for the second time.
    text = (
        "{target: 'http://127.0.0.1:9', setup: echo W=heavy, requests: [{get: /, weight: '${W}'}], "
        "phases: [{name: baseline, rate: 1/s, for: 1s}], slos: p95 < 1s}"
    )
    read, write = os.pipe()
    try:
        os.write(write, text.encode())
        os.close(write)
        assert cli.main([command, "-p", f"/dev/fd/{read}"]) == 2
    finally:
        os.close(read)
    assert f"/dev/fd/{read}:1: requests[0].weight: got heavy, want a weight" in capsys.readouterr().err
