"""Traced runs, as a user starts them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from engine_harness import OK_ANSWER, read_request, serving
from run_harness import run

from loadtool import cli

PROFILE = """\
name: traced
target: http://127.0.0.1:{port}
arrivals: constant
client: {{trace: true}}
requests: [{{name: browse, get: "/products/{{{{ arrival }}}}"}}]
phases:
  - {{name: baseline, rate: 30/s, for: 1s}}
"""
PARENT = re.compile(r"\r\ntraceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-01\r\n")


class Target:
    """Keeps the traces of its requests."""

    def __init__(self) -> None:
        self.traces: list[str] = []

    def __call__(self, sock: socket.socket) -> None:
        while request := read_request(sock):
            self.traces += PARENT.findall(request.decode())
            sock.sendall(OK_ANSWER)


def test_the_report_names_traces_that_the_target_has(tmp_path: Path) -> None:
    target = Target()
    with serving(target) as server:
        profile = PROFILE.format(port=server.port)
        done = run(tmp_path, profile, "--workers", "2", "--markdown", "s.md")
    assert len(set(target.traces)) == 30
    named = [s["trace"] for s in done.result["slowest"]]
    assert len(set(named)) == 10
    assert set(named) <= set(target.traces)
    page = (tmp_path / "s.md").read_text()
    assert all(trace in done.out and f"`{trace}`" in page for trace in named)


def test_try_sends_one_as_well_and_each_time_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Target()
    with serving(target) as server:
        (tmp_path / "p.yaml").write_text(PROFILE.format(port=server.port))
        for _ in range(2):
            assert cli.main(["try", "-p", str(tmp_path / "p.yaml")]) == 0
    out = capsys.readouterr().out
    assert all(f"> traceparent: 00-{trace}-" in out for trace in target.traces)
    assert len(set(target.traces)) == 2
