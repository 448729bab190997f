"""A run that Prometheus watches."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from run_harness import command

from loadtool import cli

PROFILE = """\
name: watched
target: demo
arrivals: constant
requests: [{name: browse, get: /products/7, headers: {X-Key: "${KEY}"}}]
phases:
  - {name: baseline, rate: 40/s, for: 2s}
  - {name: spike, rate: 80/s, for: 2s}
"""
SECRET = "s3cr3t-of-this-run"


def scrape(client: httpx.Client, url: str) -> dict[str, float]:
    """Samples of counters by name, over phases; raises once nobody listens."""
    answer = client.get(url, headers={"Accept": "application/openmetrics-text"})
    assert SECRET not in answer.text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_it_is_served_while_it_lasts(tmp_path: Path) -> None:
    running = subprocess.Popen(
        command(tmp_path, PROFILE, "--prometheus", "0", "--workers", "1", "--json", "r.json"),
        cwd=tmp_path,
        env={**os.environ, "KEY": SECRET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running, httpx.Client(trust_env=False, timeout=30) as client:
        assert running.stderr is not None
        told = re.fullmatch(r"metrics at (http://127\.0\.0\.1:\d+/metrics)\n", running.stderr.readline())
        assert told is not None
        seen = []
        while True:
            try:
                seen.append(scrape(client, told[1]))
            except httpx.TransportError:  # it has ended
                break
            time.sleep(0.1)  # it needs no more
        rest = running.stderr.read()
        running.wait(60)
    assert "Traceback" not in rest
    arrivals = [s.get("loadtool_arrivals_total", 0.0) for s in seen]
    assert arrivals == sorted(arrivals)
    result = json.loads((tmp_path / "r.json").read_text())
    assert 0 < arrivals[-1] <= result["totals"]["scheduled"] == 240
    assert datetime.fromisoformat(result["started"]) < datetime.fromisoformat(result["load_started"])
    last = seen[-1]
    assert last["loadtool_ok_total"] + last["loadtool_errors_total"] <= last["loadtool_arrivals_total"]
    assert last["loadtool_attempts_total"] >= last["loadtool_ok_total"] > 0


def test_an_occupied_port_is_told_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PROFILE)
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        assert cli.main(["spike", "-p", "p.yaml", "-q", "--prometheus", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"loadtool: --prometheus: cannot listen on 127.0.0.1:{port}: address already in use; "
        "choose another port, 0 for any\n"
    )
    assert not (tmp_path / "loadtool-results").exists()
    assert cli.main(["spike", "-p", "p.yaml", "-q", "--prometheus", "nowhere"]) == 2
    assert capsys.readouterr().err == (
        "loadtool: --prometheus: got nowhere, want a port such as 9464, or HOST:PORT\n"
    )
