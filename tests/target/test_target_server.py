"""The demo service over real sockets, spoken to by httpx and by raw bytes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import trio

from loadtool.errors import SetupError
from loadtool.target.server import Demo, serve
from loadtool.target.settings import Settings, parse_address
from loadtool.target.sockets import port_of
from loadtool.units import MILLISECOND, SECOND, format_address

FAST = Settings(service_time_ns=MILLISECOND, store_time_ns=MILLISECOND)
STUCK = Settings(slots=1, queue=0, service_time_ns=3600 * SECOND)  # who has the slot keeps it


@contextlib.asynccontextmanager
async def running(settings: Settings = FAST) -> AsyncIterator[tuple[Demo, httpx.AsyncClient]]:
    async with trio.open_nursery() as nursery:
        demo: Demo = await nursery.start(serve, settings)
        async with httpx.AsyncClient(base_url=demo.url, trust_env=False) as client:
            yield demo, client
        nursery.cancel_scope.cancel()


async def dial(demo: Demo) -> trio.SocketStream:
    return await trio.open_tcp_stream(*parse_address(demo.url.removeprefix("http://")))


@pytest.mark.parametrize(
    ("method", "path", "json", "status"),
    [
        ("GET", "/", None, 200),
        ("HEAD", "/", None, 200),
        ("GET", "/products/17", None, 200),
        ("HEAD", "/products/17", None, 200),
        ("POST", "/checkout", {"cart": "c1", "quantity": 2}, 201),
        ("POST", "/checkout", None, 400),
        ("GET", "/hello", None, 200),
        ("GET", "/health", None, 200),
        ("GET", "/health/store", None, 200),
        ("GET", "/stats", None, 200),
        ("GET", "/nothing", None, 404),
        ("PUT", "/checkout", {}, 405),
        ("OPTIONS", "/", None, 405),
    ],
)
async def test_endpoints(method: str, path: str, json: object, status: int) -> None:
    async with running() as (_, client):
        for _ in range(2):  # the second time on the kept connection
            response = await client.request(method, path, json=json)
            assert response.status_code == status
            if method == "HEAD":
                assert response.content == b""
                assert int(response.headers["content-length"]) > 0
            elif path != "/":
                assert ("error" in response.json()) == (status >= 400)


async def test_an_order_is_echoed_with_an_id() -> None:
    async with running() as (_, client):
        cart = {"cart": "é", "quantity": 2}
        assert (await client.post("/checkout", json=cart)).json() == {
            "status": "ok",
            "order": "1-000001",
            "request": cart,
        }


async def test_a_chunked_body() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"a":', b" 1", b"}"):
            yield part

    async with running() as (_, client):
        response = await client.post("/checkout", content=chunks())
        assert response.status_code == 201
        assert response.json()["request"] == {"a": 1}


async def test_a_body_past_the_bound() -> None:
    async with running(Settings(max_body_bytes=1000)) as (_, client):
        assert (await client.post("/checkout", content=b" " * 100_000 + b"1")).status_code == 413
        assert (await client.post("/checkout", content=b" " * 999 + b"1")).status_code == 201


async def test_garbage_over_a_socket_gets_an_answer_and_not_a_reset() -> None:
    async with running() as (demo, client):
        stream = await dial(demo)
        await stream.send_all(b"\x16\x03\x01" * 30_000)
        data = b""
        while more := await stream.receive_some():
            data += more
        assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        await stream.aclose()
        assert (await client.get("/hello")).status_code == 200


async def test_a_client_that_resets_is_nobodys_error() -> None:
    async with running(STUCK) as (demo, client):
        stream = await dial(demo)
        await stream.send_all(b"GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        while (await client.get("/stats")).json()["in_flight"] == 0:
            pass
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()  # with a reset
        while (await client.get("/stats")).json()["abandoned"] == 0:
            pass
        stats = (await client.get("/stats")).json()
        assert stats["in_flight"] == 0


async def test_full_means_503_with_retry_after() -> None:
    async with running(STUCK) as (demo, client):
        stream = await dial(demo)
        await stream.send_all(b"GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        while (await client.get("/stats")).json()["in_flight"] == 0:
            pass
        for _ in range(5):
            response = await client.get("/products/1")
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
        assert (await client.get("/health")).status_code == 200
        await stream.aclose()


async def test_or_no_answer_at_all() -> None:
    async with running(replace(STUCK, shed_status=444)) as (demo, client):
        stream = await dial(demo)
        await stream.send_all(b"GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        while (await client.get("/stats")).json()["in_flight"] == 0:
            pass
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/products/1")
        assert (await client.get("/stats")).json()["answers"]["444"] == 1
        await stream.aclose()


async def test_the_store_can_be_put_behind_a_proxy_and_back() -> None:
    passed = 0

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        nonlocal passed
        async for data in source:
            passed += 1
            await sink.send_all(data)
        await sink.send_eof()

    async with running() as (demo, client):

        async def proxy(stream: trio.SocketStream) -> None:
            upstream = await trio.open_tcp_stream(*parse_address(demo.store))
            async with stream, upstream, trio.open_nursery() as pumps:
                pumps.start_soon(pump, stream, upstream)
                pumps.start_soon(pump, upstream, stream)

        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, proxy, listeners)
            address = format_address("127.0.0.1", port_of(list(listeners)))
            assert (await client.get("/products/1")).status_code == 200
            assert passed == 0
            assert await demo.rewire(address) == address
            assert (await client.get("/products/1")).status_code == 200
            assert (await client.get("/health/store")).status_code == 200
            assert passed == 4
            assert (await client.get("/stats")).json()["store"]["address"] == address
            nursery.cancel_scope.cancel()  # the proxy is gone
        for path in ("/products/1", "/health/store"):
            response = await client.get(path)
            assert response.status_code == 502
            assert response.json() == {"error": f"store at {address} is unreachable: Connection refused"}
        await demo.rewire(demo.store)
        assert (await client.get("/products/1")).status_code == 200
        with pytest.raises(ValueError, match=r"^got nowhere, want an address such as 127\.0\.0\.1:5432$"):
            await demo.rewire("nowhere")


async def test_a_store_elsewhere_and_down_from_the_start() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = format_address(*closed.getsockname())
        async with running(Settings(store=address)) as (demo, client):
            assert demo.store != address
            assert (await client.post("/checkout", json=1)).status_code == 502
            assert (await client.get("/hello")).status_code == 200


async def test_a_port_in_use_leaves_nothing_open() -> None:
    async with running() as (demo, _):
        port = parse_address(demo.url.removeprefix("http://"))[1]
        with pytest.raises(SetupError, match=f"^cannot listen on 127.0.0.1:{port}: "):
            await serve(Settings(port=port))


async def test_ipv6() -> None:
    async with running(Settings(host="::1")) as (demo, client):
        assert demo.url.startswith("http://[::1]:")
        assert (await client.get("/hello")).status_code == 200
