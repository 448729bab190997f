"""Whole runs of clients that try again: what the server saw, and what the report says of it."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_harness import Run, run

from loadtool import cli

PROFILE = """\
name: again
target: http://127.0.0.1:{port}
seed: 5
requests: [{{name: get, get: "/{{{{ arrival }}}}"}}]
phases:
  - {{name: baseline, rate: 30/s, for: 1s}}
  - {{name: spike, rate: 60/s, for: 3s}}
  - {{name: recovery, rate: 30/s, for: 2s}}
arrivals: constant
client: {client}
slos:
  - retry amplification <= 1.5
  - retry amplification <= 2.5
"""


class Service(http.server.ThreadingHTTPServer):
    """Turns away the first `sheds` requests for each path."""

    daemon_threads = True

    def __init__(self, sheds: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sheds = sheds
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked[self.path] += 1
            shed = self.server.asked[self.path] <= self.server.sheds
        self.send_response(503 if shed else 200)
        if shed:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def service(sheds: int) -> Iterator[Service]:
    server = Service(sheds)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def go(directory: Path, server: Service, client: str, *options: str) -> Run:
    return run(directory, PROFILE.format(port=server.server_address[1], client=client), *options)


@pytest.mark.parametrize("transport", ["http1", "httpx"])
def test_every_request_is_turned_away_once(tmp_path: Path, transport: str) -> None:
    with service(1) as server:
        done = go(tmp_path, server, "{deadline: 30s, retries: immediate}", "--set", f"transport={transport}")
    result = done.result
    assert result["totals"]["scheduled"] == result["totals"]["ok"] == 30 + 180 + 60
    assert result["totals"]["attempts"] == server.asked.total() == 540
    assert set(server.asked.values()) == {2}
    assert result["totals"]["client"] == {
        "retries": 270, "shed_attempts": 240, "promised": 270, "kept": 270,
    }  # fmt: skip
    (spike,) = result["overload"]["spikes"]
    assert (spike["retry_amplification"], spike["retry_amplification_after"]) == (2.0, 2.0)
    assert (spike["shed_ratio"], spike["shed_ratio_attempts"]) == (0.0, 0.5)
    assert (spike["retry_after_truth"], spike["promised"]) == (1.0, 180)
    assert spike["time_to_first_shed_s"] < 0.1
    assert [(slo["value"], slo["status"]) for slo in result["slos"]] == [(2.0, "fail"), (2.0, "pass")]
    shown = " ".join(done.out.split())
    assert "540 attempts at 270 arrivals (2x), 270 retries" in shown
    assert "Retry-After truth 100%" in shown
    assert "retry amplification 2x" in shown


def test_a_budget_bounds_what_all_workers_try_again(tmp_path: Path) -> None:
    client = "{deadline: 30s, retries: {policy: immediate, budget: {share: 10%, min: 0}}}"
    with service(1000) as server:
        done = go(tmp_path, server, client, "--workers", "3")
    result = done.result
    totals = result["totals"]
    retries, exhausted = totals["client"]["retries"], totals["client"]["exhausted"]
    # The window holds the whole run: a tenth of 270 arrivals, each of which fails; whole ones by worker.
    assert 27 - 2 * 3 <= retries <= 27
    assert totals["attempts"] == server.asked.total() == 270 + retries
    assert totals["ok"] == 0
    assert exhausted >= 243  # an arrival that was tried again may want to be once more
    (spike,) = result["overload"]["spikes"]
    assert spike["verdict"] == "no-baseline"
    assert f"{retries} retries, budget exhausted {exhausted} times" in " ".join(done.out.split())


def test_the_plan_warns_of_what_nothing_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(PROFILE.format(port=80, client="{retries: immediate}"))
    assert cli.main(["plan", "-p", str(tmp_path / "p.yaml")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "immediate, at most 3 each, no budget; at the worst 4x, 240/s" in shown
    assert "client.retries: without a budget 4 attempts at each arrival make 240/s" in shown
    assert "client.retries: without client.deadline an arrival may be under way for 40s" in shown
