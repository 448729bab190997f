"""A gate between loadtool and a Toxiproxy that breaks or refuses chosen requests."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

# pass: to the server and back; before: the connection breaks and the server never sees the request; after: it
# breaks when the server has done it.
Fate = Literal["pass", "before", "after"]
Rule = Callable[[str, str, bytes], Fate]


def always_pass(method: str, path: str, body: bytes) -> Fate:
    return "pass"


@dataclass
class Gate:
    """`rule` decides on each request by its method, path and body."""

    url: str
    rule: Rule
    seen: list[tuple[str, str, Fate]] = field(default_factory=list)

    @property
    def broken(self) -> int:
        return sum(fate != "pass" for _, _, fate in self.seen)


def once(rule: Rule) -> Rule:
    """The rule until it has broken something."""
    done: list[Fate] = []

    def decide(method: str, path: str, body: bytes) -> Fate:
        fate: Fate = "pass" if done else rule(method, path, body)
        done.extend([fate] if fate != "pass" else [])
        return fate

    return decide


@contextmanager
def gate_to(server: str, rule: Rule) -> Iterator[Gate]:
    client = httpx.Client(base_url=server, trust_env=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fate = gate.rule(self.command, self.path, body)
            gate.seen.append((self.command, self.path, fate))
            if fate != "before":
                answer = client.request(self.command, self.path, content=body)
            if fate != "pass":
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            if answer.status_code != 204:
                self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # names of http.server

        def log_message(self, *_: object) -> None:
            pass

    class Listener(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):  # a run that waits no longer
                super().handle_error(request, client_address)

    listener = Listener(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    gate = Gate(f"http://127.0.0.1:{listener.server_address[1]}", rule)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield gate
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
        client.close()
