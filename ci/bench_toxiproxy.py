"""How fast is the embedded Toxiproxy beside the real one? Requests per second through one proxy.

Interleaved rounds on one machine: each server pinned to the first usable core, wrk and nginx to the second.
Without toxics, and with a latency toxic on the answers; once without any proxy, for scale. Beside the rate
stands what a second of the server's own CPU time forwards, which hardly moves when the machine is shared.

    .venv/bin/python ci/bench_toxiproxy.py                      5 rounds of 3 s: about 90 s
    .venv/bin/python ci/bench_toxiproxy.py --rounds 3 --seconds 1 --json FILE --real-time

Needs Linux, two cores, wrk, nginx and toxiproxy-server (`.ci/run` installs them). Exit codes: 0 the embedded
one's rate is at least the real one's, and half of it with latency; 1 it isn't; 2 it cannot be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

WANTED = {"plain": 1.0, "latency": 0.5}  # the embedded one's rate / the real one's, at least
_NGINX = """\
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello\\n"; }} }}
}}
"""


class BenchError(Exception):
    """It cannot be measured; the text says why."""


@dataclass(frozen=True)
class Row:
    """One way to the backend. A figure a round: requests per second, and per s of the server's CPU time."""

    name: str
    url: str
    pid: int  # of the Toxiproxy on the way; 0: none
    per_second: list[float] = field(default_factory=list)
    per_cpu_second: list[float] = field(default_factory=list)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")
    if found is None:
        raise BenchError(f"{name} is not on PATH (.ci/run installs it)")
    return found


@contextlib.contextmanager
def _server(argv: Sequence[str], url: str, core: int) -> Iterator[int]:
    """The program, pinned to a core, until the block ends: its process id, once it answers."""
    environment = {**os.environ, "LOG_LEVEL": "disabled"}
    pinned = ["taskset", "-c", str(core), *argv]
    with subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment) as p:
        try:
            until = time.monotonic() + 10
            while not _answers(url):
                if time.monotonic() > until or p.poll() is not None:
                    raise BenchError(f"{' '.join(argv)} does not answer at {url}")
                time.sleep(0.02)
            yield p.pid  # taskset has become the program
        finally:
            p.terminate()


def _answers(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


@contextlib.contextmanager
def _nginx(core: int) -> Iterator[str]:
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="loadtool-bench-") as directory:
        config = Path(directory, "nginx.conf")
        config.write_text(_NGINX.format(directory=directory, port=port))
        argv = [_program("nginx"), "-p", directory, "-c", str(config)]
        with _server(argv, f"http://127.0.0.1:{port}/", core):
            yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def _ways(core: int, upstream: str, latency_ms: int) -> Iterator[list[Row]]:
    """The backend itself, and proxies of both servers to it."""
    rows = [Row("direct", f"http://{upstream}/", 0)]
    programs = {
        "real": [_program("toxiproxy-server"), "-port"],
        "embedded": [sys.executable, "-P", "-m", "loadtool.chaos.server", "--port"],
    }
    with contextlib.ExitStack() as stack:
        for name, argv in programs.items():
            port = str(_free_port())
            api = f"http://127.0.0.1:{port}"
            pid = stack.enter_context(_server([*argv, port], f"{api}/version", core))
            for kind in WANTED:
                proxy = {"name": kind, "listen": "127.0.0.1:0", "upstream": upstream}
                listen = _post(f"{api}/proxies", proxy)["listen"]
                if kind == "latency":
                    toxic = {"type": "latency", "attributes": {"latency": latency_ms}}
                    _post(f"{api}/proxies/{kind}/toxics", toxic)
                rows.append(Row(f"{name}, {kind}", f"http://{listen}/", pid))
        yield rows


def _post(url: str, body: object) -> Any:
    answer = httpx.post(url, json=body, trust_env=False)
    if answer.status_code >= 300:
        raise BenchError(f"POST {url}: {answer.status_code} {answer.text}")
    return answer.json()


def _cpu_s(pid: int) -> float:
    """CPU time that a process has used, in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _load(row: Row, core: int, connections: int, seconds: int) -> None:
    """One measurement more. Raises BenchError."""
    argv = ["taskset", "-c", str(core), _program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", row.url]
    before = _cpu_s(row.pid) if row.pid else 0.0
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    used = _cpu_s(row.pid) - before if row.pid else 0.0
    rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    total = re.search(r"(\d+) requests in ", done.stdout)
    if rate is None or total is None or "Socket errors" in done.stdout or "Non-2xx" in done.stdout:
        raise BenchError(f"wrk could not load {row.name}: {done.stdout}{done.stderr}")
    row.per_second.append(float(rate[1]))
    if row.pid:
        row.per_cpu_second.append(int(total[1]) / used)


def measure(rounds: int, seconds: int, connections: int, latency_ms: int) -> list[Row]:
    """Raises BenchError."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed, one for the proxy and one for wrk and nginx")
    with _nginx(cores[1]) as upstream, _ways(cores[0], upstream, latency_ms) as rows:
        for n in range(rounds):
            for row in rows if n % 2 == 0 else reversed(rows):  # whoever comes first has no advantage
                _load(row, cores[1], connections, seconds)
    return rows


def ratios(rows: Sequence[Row], figure: Callable[[Row], list[float]]) -> dict[str, float]:
    """Embedded / real, by kind: the median of the rounds' own ratios, since a machine's speed drifts."""
    found = {row.name: figure(row) for row in rows}
    return {
        kind: median(e / r for e, r in zip(found[f"embedded, {kind}"], found[f"real, {kind}"], strict=True))
        for kind in WANTED
    }


def _block(title: str, rows: Sequence[Row], figure: Callable[[Row], list[float]]) -> list[str]:
    found = ratios(rows, figure)
    lines = [f"{title:<24} {'median':>8} {'min':>8} {'max':>8}   of the real one's"]
    for row in rows:
        figures = figure(row)
        if figures:
            kind = row.name.partition(", ")[2]
            ratio = f"{found[kind]:6.2f}" if row.name.startswith("embedded") else ""
            ends = f"{min(figures):>8,.0f} {max(figures):>8,.0f}"
            lines.append(f"{row.name:<24} {median(figures):>8,.0f} {ends}   {ratio}".rstrip())
    return lines


def table(rows: Sequence[Row]) -> str:
    """Both figures: name, median, min, max and the ratio to the real server's."""
    return "\n".join(
        [
            *_block("requests/s", rows, lambda row: row.per_second),
            "",
            *_block("requests/s of CPU time", rows, lambda row: row.per_cpu_second),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Requests/s through the embedded Toxiproxy and the real one."
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--latency", type=int, default=1, metavar="MS", help="of the latency toxic")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    # Of a busy core the real server's threads get more than the embedded one's single thread.
    parser.add_argument("--real-time", action="store_true", help="go before all else on the machine (root)")
    options = parser.parse_args()
    try:
        if options.real_time:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # and all that is started from here
        rows = measure(options.rounds, options.seconds, options.connections, options.latency)
    except (BenchError, PermissionError) as e:
        sys.stderr.write(f"bench_toxiproxy: {e}\n")
        return 2
    found = ratios(rows, lambda row: row.per_second)
    sys.stdout.write(table(rows) + "\n")
    if options.json is not None:
        value = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "options": {k: v for k, v in vars(options).items() if k != "json"},
            "requests_per_second": {row.name: row.per_second for row in rows},
            "requests_per_cpu_second": {row.name: row.per_cpu_second for row in rows if row.pid},
            "ratios": found,
            "cpu_ratios": ratios(rows, lambda row: row.per_cpu_second),
        }
        options.json.write_text(json.dumps(value, indent=1) + "\n")
    return 0 if all(found[kind] >= wanted for kind, wanted in WANTED.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
