"""A step in which the run's own Toxiproxy lacked something says nothing of the target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from test_fault_runs import without_toxiproxy

# {told}: what the Toxiproxy has lacked, at each time that it is asked; nothing after that.
PROGRAM = """
import sys
from loadtool.chaos import source
from loadtool.cli import main
told = iter({told!r})
source._lacked_anew = lambda *_: next(told, [])
sys.exit(main(sys.argv[1:]))
"""
PROFILE = """\
target: demo
requests: [{{get: {path}}}]
phases: [{{name: baseline, rate: 20/s, for: 1s}}]
arrivals: constant
proxies: {{store: {{upstream: demo.store}}}}
validity: {{lag: 10s}}
slos: [{slo}]
"""
SAID = (
    "the embedded Toxiproxy ran out of open files (EMFILE): raise `ulimit -n`, or lower "
    "`client.connections`; each connection through a proxy is two of its own"
)


def search(directory: Path, told: list[list[str]], profile: str) -> tuple[int, str, dict[str, Any]]:
    (directory / "profile.yaml").write_text(profile)
    options = ["--max=20/s", "--hold=1s", "--confirm-for=1s", "--settle=1s", "--out=out", "--plain"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(told=told), "capacity", "-p", "profile.yaml", *options],
        cwd=directory, capture_output=True, text=True, timeout=100,
        env={**os.environ, "PATH": without_toxiproxy()},
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    return done.returncode, done.stderr, json.loads((directory / "out" / "capacity.json").read_text())


def test_it_is_tried_again(tmp_path: Path) -> None:
    profile = PROFILE.format(path="/products/7", slo="p50 < 20s")
    code, err, found = search(tmp_path, [["EMFILE"]], profile)
    steps = [(step["purpose"], step["outcome"], step["reasons"]) for step in found["steps"]]
    assert steps == [
        ("climb", "late", [SAID]), ("climb", "holds", []), ("confirm", "holds", []), ("confirm", "holds", []),
    ]  # fmt: skip
    assert (code, found["verdict"], found["reasons"]) == (0, "at-least", [])
    assert f"step 1: 20/s proves nothing: {SAID}\n" in err


def test_it_is_not_said_to_have_broken_the_service(tmp_path: Path) -> None:
    """Some proxies of a real one stay deaf, so that nothing gets better."""
    profile = PROFILE.format(path="/nowhere", slo="error rate < 1%")
    code, _, found = search(tmp_path, [["EMFILE"]], profile)
    assert [step["outcome"] for step in found["steps"]] == ["late"]
    assert (code, found["verdict"]) == (3, "generator")
    assert found["reasons"] == [f"at 20/s: {SAID}"]
    assert found["fails_per_s"] is None
