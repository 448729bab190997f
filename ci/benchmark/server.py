"""nginx, the target of the bench: a worker on each of its cores, as a rule one core of its own."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.process import Meter, Status, end, pinned, tree

BODY = "Hello, world of load generators."
STOP_S = 5.0  # how long it may take to end by itself
# Each second it sends as many bytes of the slow answer, whose head has about 150: it takes SLOW_S seconds.
SLOW_RATE, SLOW_S = 100, 11
SLOW_BODY = "." * (SLOW_RATE * (SLOW_S + 1) - 150 - SLOW_RATE // 2)
CONFIG = """\
daemon off;
{processes}
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
    listen 127.0.0.1:{port} backlog=8192{reuseport};
    listen 127.0.0.1:{tls_port} ssl backlog=8192{reuseport};
    location / {{ return 200 "{body}"; }}
    location /unique {{ add_header X-Request-Id $request_id; return 200 "{body}"; }}
    location /mix {{ return 200 "{body} $request_uri"; }}
    location /slow {{ limit_rate {slow_rate}; return 200 "{slow_body}"; }}
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
    cpu_s: Callable[[], float]  # of all its processes, so far

    def status(self) -> Status:
        """What it has seen. The connection of this question is not among them. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=10)
        try:
            connection.request("GET", "/")
            # Active connections: 1 / server accepts handled requests / 16630948 16630948 31070465 /
            # Reading: 0 Writing: 1 Waiting: 0
            lines = connection.getresponse().read().split(b"\n")
            return Status(int(lines[2].split()[2]), int(lines[3].split()[3]) - 1)
        except (http.client.HTTPException, IndexError) as e:
            raise OSError(f"nginx does not say what it has seen: {e!r}") from e
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


def _certificate(directory: Path) -> Path:
    """A certificate for 127.0.0.1 and its key. Raises RuntimeError without openssl."""
    path = directory / "cert.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(directory / "key.pem"), "-out", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as e:
        raise RuntimeError(f"no certificate for the TLS target: {e}") from e
    return path


@contextmanager
def serving(directory: Path, cores: Sequence[int]) -> Iterator[Server]:
    """nginx for as long as the block lasts, a worker a core. Raises RuntimeError if it does not start."""
    nginx = program()
    if nginx is None:
        raise RuntimeError("nginx is missing: ci/bench --install-peers brings it")
    directory.mkdir(exist_ok=True)
    certificate = _certificate(directory)
    port, tls_port, status_port = free_port(), free_port(), free_port()
    many = len(cores) > 1
    config = directory / "nginx.conf"
    config.write_text(
        CONFIG.format(
            processes=f"worker_processes {len(cores)}; worker_cpu_affinity auto;"
            if many
            else "master_process off;",
            reuseport=" reuseport" if many else "",
            directory=directory,
            port=port,
            tls_port=tls_port,
            status_port=status_port,
            body=BODY,
            slow_rate=SLOW_RATE,
            slow_body=SLOW_BODY,
        )
    )
    process = subprocess.Popen(pinned(cores, [nginx, "-p", str(directory), "-c", str(config)]))
    meter = Meter()
    server = Server(port, tls_port, status_port, certificate, lambda: meter.cpu_s(tree(process.pid)))
    try:
        give_up = time.monotonic() + 10
        while True:
            try:
                server.status()
                break
            except OSError as e:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError("nginx did not start: see its message above") from e
                time.sleep(0.02)
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        end(process)
