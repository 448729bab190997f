"""nginx, the target of the bench: one worker on a core of its own."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BODY = "Hello, world of load generators."
CONFIG = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  default_type text/plain;
  server_tokens off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  ssl_certificate {directory}/cert.pem;
  ssl_certificate_key {directory}/key.pem;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    listen 127.0.0.1:{tls_port} ssl backlog=8192;
    location / {{ return 200 "{body}"; }}
    location /unique {{ add_header X-Request-Id $request_id; return 200 "{body}"; }}
    location /mix {{ return 200 "{body} $request_uri"; }}
  }}
  server {{
    listen 127.0.0.1:{status_port};
    location / {{ stub_status; }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running nginx. `certificate`: its own authority."""

    port: int
    tls_port: int
    status_port: int  # apart, so that whoever watches the others sees the load alone
    certificate: Path

    def requests(self) -> int:
        """Requests that it has seen. The connection of this question is its only one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=10)
        try:
            connection.request("GET", "/")
            # Active connections: 1 / server accepts handled requests / 16630948 16630948 31070465 / ...
            return int(connection.getresponse().read().split(b"\n")[2].split()[2])
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def program() -> str | None:
    """Where nginx is: Debian puts it where users don't look."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def serving(directory: Path, core: int) -> Iterator[Server]:
    """nginx for as long as the block lasts. Raises RuntimeError if it does not start."""
    nginx = program()
    if nginx is None:
        raise RuntimeError("nginx is missing: ci/bench --install-peers brings it")
    server = Server(free_port(), free_port(), free_port(), directory / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(directory / "key.pem"),
         "-out", str(server.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    config = directory / "nginx.conf"
    config.write_text(
        CONFIG.format(
            directory=directory,
            port=server.port,
            tls_port=server.tls_port,
            status_port=server.status_port,
            body=BODY,
        )
    )
    process = subprocess.Popen(["taskset", "-c", str(core), nginx, "-p", str(directory), "-c", str(config)])
    try:
        give_up = time.monotonic() + 10
        while True:
            try:
                server.requests()
                break
            except OSError as e:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError("nginx did not start: see its message above") from e
                time.sleep(0.02)
        yield server
    finally:
        process.terminate()
        process.wait()
