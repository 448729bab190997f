from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import httpx
import pytest
import trio
from report_snapshots import STAGE, snapshot

from loadtool.errors import UsageError
from loadtool.report import prometheus
from loadtool.report.exporter import MOST_CLIENTS, Exporter, place_of


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Exporter, httpx.AsyncClient]]:
    exporter = Exporter.bind("127.0.0.1", 0)
    async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False) as client:
        nursery.start_soon(exporter.serve)
        yield exporter, client
        nursery.cancel_scope.cancel()


async def test_it_answers_with_the_last_state() -> None:
    async with serving() as (exporter, client):
        assert (await client.get(exporter.url)).text.count("loadtool_info{") == 1
        exporter.begin(STAGE)
        exporter.observe(snapshot(35.5), ["slow-store"])
        first = await client.get(exporter.url, headers={"Accept": "application/openmetrics-text"})
        assert first.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert first.text.endswith("# EOF\n")
        assert 'loadtool_fault_active{fault="slow-store"} 1.0\n' in first.text
        exporter.observe(snapshot(41.0), [])
        second = await client.get(f"{exporter.url}?debug=1")
        assert second.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "loadtool_elapsed_seconds 41.0\n" in second.text
        assert 'loadtool_fault_active{fault="slow-store"} 0.0\n' in second.text


async def test_it_answers_nothing_else() -> None:
    async with serving() as (exporter, client):
        head = await client.head(exporter.url)
        assert (head.status_code, head.content) == (200, b"")
        elsewhere = await client.get(exporter.url.replace("/metrics", "/"))
        assert (elsewhere.status_code, elsewhere.text) == (404, "want /metrics\n")
        posted = await client.post(exporter.url, content=b"x" * 100)
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_who_sends_nonsense_and_is_gone_before_the_answer_does_no_harm() -> None:
    exporter = Exporter.bind("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", int(exporter.url.split(":")[2].partition("/")[0]))) as gone:
        gone.sendall(b"what?\r\n\r\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
    async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False) as client:
        nursery.start_soon(exporter.serve)
        assert (await client.get(exporter.url)).status_code == 200
        nursery.cancel_scope.cancel()


async def test_who_sends_nonsense_or_nothing_does_no_harm() -> None:
    async with serving() as (exporter, client):
        port = int(exporter.url.split(":")[2].partition("/")[0])
        quiet = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(MOST_CLIENTS - 1)]
        nonsense = await trio.open_tcp_stream("127.0.0.1", port)
        await nonsense.send_all(b"\x16\x03\x01 what?\r\n\r\n")
        assert (await nonsense.receive_some(1000)).startswith(b"HTTP/1.1 400 ")
        await nonsense.aclose()
        assert (await client.get(exporter.url)).status_code == 200
        # The client keeps its connection: there is no room for one more.
        late = await trio.open_tcp_stream("127.0.0.1", port)
        try:
            answer = await late.receive_some(1)
        except trio.BrokenResourceError:
            answer = b""
        assert answer == b""
        for stream in (*quiet, late):
            await stream.aclose()


async def test_it_ends_with_the_run() -> None:
    async with serving() as (exporter, _):
        url = exporter.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_what_is_drawn_is_drawn_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator's own thread has the faults to attend to."""
    seen = []
    render = prometheus.render

    def spy(state: prometheus.State, accept: str) -> tuple[str, bytes]:
        try:
            trio.lowlevel.current_trio_token()
            seen.append("here")
        except RuntimeError:
            seen.append("elsewhere")
        return render(state, accept)

    monkeypatch.setattr(prometheus, "render", spy)
    async with serving() as (exporter, client):
        await client.get(exporter.url)
    assert seen == ["elsewhere"]


def test_an_occupied_port_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            UsageError,
            match=rf"^--prometheus: cannot listen on 127.0.0.1:{port}: address already in use; "
            r"choose another port, 0 for any$",
        ):
            Exporter.bind("127.0.0.1", port)


def test_a_host_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"^--prometheus: got \.\., want a host of this machine$"):
        Exporter.bind("..", 0)
    with pytest.raises(UsageError, match=r"^--prometheus: cannot listen on 192\.0\.2\.1:0: "):
        Exporter.bind("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ("0", ("127.0.0.1", 0)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("localhost:9464", ("localhost", 9464)),
    ],
)
def test_places(text: str, place: tuple[str, int]) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize("text", ["", "x", "-1", "65536", "::1:9464", ":9464", "a:b", "1.5", "９", "h:"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"want a port such as 9464, or HOST:PORT$"):
        place_of(text)
