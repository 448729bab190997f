"""A service for whole runs that keeps what it was asked, and by which connections."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Connection:
    """Times are of time.monotonic(); `ended` is None while it is open."""

    began: float
    ended: float | None = None


@dataclass
class Books:
    """What was asked, in order: path, Host header and time; and the connections."""

    asked: list[tuple[str, str, float]] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    names: set[str | None] = field(default_factory=set)  # by which TLS clients asked for it

    def dropped(self) -> int:
        """Connections that ended before the last request of the load came."""
        last = max(t for path, _, t in self.asked if path == "/")
        return sum(c.ended is not None and c.ended < last for c in self.connections)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    books: Books
    broken: Path

    def setup(self) -> None:
        super().setup()
        self.mine = Connection(time.monotonic())
        self.books.connections.append(self.mine)

    def finish(self) -> None:
        self.mine.ended = time.monotonic()
        super().finish()

    def do_GET(self) -> None:
        self.books.asked.append((self.path, self.headers["Host"], time.monotonic()))
        self.send_response(503 if self.path == "/health" and self.broken.exists() else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def service(broken: Path, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, Books]]:
    """A service on a free port of 127.0.0.1; /health answers 503 as long as the file `broken` is there."""
    books = Books()
    handler = type("Handler", (Handler,), {"books": books, "broken": broken})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if context is not None:
        context.sni_callback = lambda socket, name, context: books.names.add(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], books
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
