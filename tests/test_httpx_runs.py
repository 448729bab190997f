"""Whole runs over httpx: the result names it, the proxy's secret is nowhere, Ctrl-C ends it at once."""

from __future__ import annotations

import base64
import http.server
import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run_harness import ENDLESS, run, running

SECRET = "s3cret-w0rd"


class Proxy(http.server.BaseHTTPRequestHandler):
    """A proxy that has every answer itself, for those who may use it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ProxyServer

    def do_GET(self) -> None:
        wanted = f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}"
        allowed = self.headers["Proxy-Authorization"] == wanted
        self.server.asked.append(self.path)
        self.send_response(200 if allowed else 407)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class ProxyServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Proxy)


@contextmanager
def proxy() -> Iterator[ProxyServer]:
    server = ProxyServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_run_through_a_proxy_that_wants_a_password(tmp_path: Path) -> None:
    with proxy() as server:
        profile = f"""\
target: http://shop.test
allow_hosts: [shop.test]
wait_for: {{get: /health}}
transport: httpx
client: {{proxy: "http://me:${{PASSWORD}}@127.0.0.1:{server.server_port}", connections: 4}}
requests: [{{name: browse, get: /products/1, expect: {{contains: ok}}}}]
phases: [{{name: baseline, rate: 50/s, for: 2s}}]
arrivals: constant
validity: {{lag: 5s}}
slos: [error rate < 1%]
"""
        done = run(tmp_path, profile, PASSWORD=SECRET)
    assert done.code == 0, done.out + done.err
    assert server.asked.count("http://shop.test/health") == 1
    assert server.asked.count("http://shop.test/products/1") == 100
    result = done.result
    assert result["engine"]["transport"] == "httpx"
    assert result["profile"]["client"]["proxy"] == f"http://***@127.0.0.1:{server.server_port}"
    assert result["totals"]["ok"] == 100
    assert "transport httpx" in done.out
    assert SECRET not in done.out + done.err + done.results[0].read_text()


def test_ctrl_c_ends_a_run_with_its_full_report(tmp_path: Path) -> None:
    with running(tmp_path, f"{ENDLESS}transport: httpx\n") as live:
        live.wait_for("s spike ")
        live.send(signal.SIGINT)
        done = live.end()
    assert done.code == 130
    assert done.result["verdict"] == "interrupted"
    assert done.result["totals"]["scheduled"] > 40
    assert done.result["faults"][0]["removed"]
