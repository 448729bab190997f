"""The two Toxiproxies that the tests of this room run against, and what tests do to them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

_names = count()
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made once: loading certificates for each request is slow


@dataclass
class Toxiproxy:
    """A running server, spoken to without any of the code under test."""

    kind: str
    url: str
    made: list[str] = field(default_factory=list)

    @property
    def real(self) -> bool:
        return self.kind == "real"

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes | str) or body is None else json.dumps(body)
        async with httpx.AsyncClient(trust_env=False, timeout=30, verify=NO_TLS) as client:
            return await client.request(method, self.url + path, content=content, headers=headers)

    async def raw(self, text: str) -> str:
        """Whatever is answered to this text, until the server closes the connection."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(text.encode())
            return (await receive_all(stream)).decode()

    def free_name(self) -> str:
        """A name that no proxy has; whatever gets it is deleted after the test."""
        name = f"p{next(_names)}"
        self.made.append(name)
        return name

    async def proxy(self, upstream: str, **fields: Any) -> Proxy:
        name = fields.pop("name", None) or self.free_name()
        wanted = {"name": name, "upstream": upstream, "listen": "127.0.0.1:0", **fields}
        answer = await self.ask("POST", "/proxies", wanted)
        assert answer.status_code == 201, answer.text
        return Proxy(self, name, answer.json()["listen"], upstream)


@dataclass
class Proxy:
    """A proxy on that server, and what a test does to it."""

    server: Toxiproxy
    name: str
    listen: str
    upstream: str

    async def ask(self, method: str, path: str = "", body: Any = None) -> httpx.Response:
        answer = await self.server.ask(method, f"/proxies/{self.name}{path}", body)
        assert answer.status_code < 300, answer.text
        return answer

    async def add(
        self, type_: str, stream: str = "downstream", toxicity: float = 1, **attributes: int
    ) -> str:
        toxic = {"type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        return str((await self.ask("POST", "/toxics", toxic)).json()["name"])

    async def update(self, toxic: str, **attributes: int) -> None:
        await self.ask("PATCH", f"/toxics/{toxic}", {"attributes": attributes})

    async def remove(self, toxic: str) -> None:
        await self.ask("DELETE", f"/toxics/{toxic}")

    async def connect(self) -> trio.SocketStream:
        host, _, port = self.listen.rpartition(":")
        return await trio.open_tcp_stream(host, int(port))


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _is_ours(url: str, process: subprocess.Popen[bytes], mark: str, log: Path) -> bool:
    """Wait until our server answers, whose proxy `mark` then goes; False if somebody else has its port."""
    for _ in range(1200):
        ended = process.poll() is not None
        # It goes on running then, and whoever has the port may be a server, or anything else.
        if b"address already in use" in log.read_bytes():
            return False
        assert not ended, f"the server has ended: {log.read_text()}"
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.delete(f"{url}/proxies/{mark}", trust_env=False, verify=NO_TLS)
            return answer.status_code == 204
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@contextlib.contextmanager
def embedded_server(*options: str, limits: str = "") -> Iterator[str]:
    """Its URL. `limits`: shell commands that come before it."""
    argv = [sys.executable, "-m", "loadtool.chaos.server", "--port", "0", "--proxy-metrics", "--lifeline"]
    argv = ["/bin/sh", "-c", f'{limits}; exec "$0" "$@"', *argv] if limits else argv
    process = subprocess.Popen([*argv, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


@contextlib.contextmanager
def real_server() -> Iterator[str]:
    """Its URL. Another port is tried where somebody was given the same one meanwhile."""
    program = shutil.which("toxiproxy-server")
    if program is None:
        pytest.skip("toxiproxy-server is not on PATH")
    for _ in range(10):
        port, mark = _free_port(), f"mark-{secrets.token_hex(8)}"
        url = f"http://127.0.0.1:{port}"
        proxy = {"name": mark, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": False}
        with tempfile.TemporaryDirectory() as directory:
            config, log = Path(directory, "proxies.json"), Path(directory, "log")
            config.write_text(json.dumps([proxy]))
            argv = [program, "-host", "127.0.0.1", "-port", str(port), "-config", str(config)]
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [*argv, "-proxy-metrics"], stdout=output, stderr=subprocess.STDOUT,
                    env={**os.environ, "LOG_LEVEL": "error"},
                )  # fmt: skip
            try:
                if _is_ours(url, process, mark, log):
                    yield url
                    return
            finally:
                process.kill()
                process.wait()
    raise AssertionError("ten free ports were taken one after another")


SERVERS = {"embedded": embedded_server, "real": real_server}


async def echo(stream: trio.SocketStream) -> None:
    """Sends back what comes, and ends when it ends."""
    async with stream:
        while data := await stream.receive_some(65536):
            await stream.send_all(data)


async def receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        assert more, f"the stream ended after {len(data)} of {size} bytes"
        data += more
    return bytes(data)


async def receive_all(stream: trio.SocketStream) -> bytes:
    """Everything up to the end, clean or not."""
    data = bytearray()
    with contextlib.suppress(trio.BrokenResourceError):
        while more := await stream.receive_some(65536):
            data += more
    return bytes(data)
