"""A client's connection on virtual time, over in-memory streams."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable

import pytest
import trio
import trio.testing

from loadtool.target.connection import Limits, serve_connection
from loadtool.target.http import Request, Response

LIMITS = Limits(
    max_body_bytes=1000,
    read_timeout_s=10,
    send_timeout_s=5,
    idle_timeout_s=75,
    cancel_when_client_leaves=True,
)
FINISHING = Limits(
    max_body_bytes=1000,
    read_timeout_s=10,
    send_timeout_s=5,
    idle_timeout_s=75,
    cancel_when_client_leaves=False,
)


class App:
    """Echoes; what is under /slow takes 3 s. Remembers what it did."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        if request.target.startswith("/slow"):
            return self._slow(request)
        self.log.append(f"quick {request.target}")
        return Response(200, request.body or request.target.encode())

    async def _slow(self, request: Request) -> Response:
        try:
            await trio.sleep(3)
        except trio.Cancelled:
            self.log.append(f"cancelled {request.target}")
            raise
        self.log.append(f"slow {request.target}")
        return Response(200, request.target.encode())


Client = trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]


@contextlib.asynccontextmanager
async def connected(app: App, limits: Limits = LIMITS) -> AsyncIterator[Client]:
    """A client of a connection that is over when this is left, or the test hangs."""
    client, server = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, server, app, limits)
        yield client
        await client.aclose()


async def everything(client: Client) -> bytes:
    """All that comes until the other end closes."""
    data = b""
    while more := await client.receive_some():
        data += more
    return data


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


async def test_one_after_the_other_on_one_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(app := App()) as client:
        for target in ("/1", "/slow", "/2"):
            await client.send_all(get(target))
            assert (await client.receive_some()).endswith(target.encode())
    assert app.log == ["quick /1", "slow /slow", "quick /2"]


@pytest.mark.parametrize("limits", [LIMITS, FINISHING])
async def test_pipelined_requests_are_answered_in_order(
    limits: Limits, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(App(), limits) as client:
        await client.send_all(get("/slow/1"))
        await client.send_all(get("/2") + get("/slow/3") + get("/4", "Connection: close") + get("/ignored"))
        data = await everything(client)
    answered = [part.rpartition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 ")[1:]]
    assert answered == [b"/slow/1", b"/2", b"/slow/3", b"/4"]
    assert trio.current_time() == pytest.approx(6)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000])
async def test_garbage_is_answered_and_the_connection_closed(
    garbage: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(App()) as client:
        await client.send_all(garbage)
        data = await everything(client)
    assert statuses(data) == [400]
    assert b"\r\nConnection: close\r\n" in data


async def test_garbage_after_requests_is_refused_after_their_answers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(app := App()) as client:
        await client.send_all(get("/slow") + get("/2") + b"\x00garbage\r\n\r\n")
        assert statuses(await everything(client)) == [200, 200, 400]
    assert app.log == ["slow /slow", "quick /2"]


async def test_garbage_while_an_answer_is_awaited(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(App()) as client:
        await client.send_all(get("/slow"))
        await trio.sleep(1)
        await client.send_all(b"\x00garbage\r\n\r\n")
        assert statuses(await everything(client)) == [200, 400]


async def test_a_body_past_the_bound_is_refused_and_drained(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(app := App()) as client:
        await client.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        await client.send_all(b"x" * 300_000)
        assert statuses(await everything(client)) == [413]
    assert app.log == []


@pytest.mark.parametrize("sent", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\n", get("/") + b"GET /2"])
async def test_a_slow_request_times_out_though_bytes_trickle(
    sent: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(App()) as client:
        await trio.sleep(60)  # idle, within bounds
        start = trio.current_time()
        await client.send_all(sent)
        with trio.move_on_after(9.5):
            while True:
                await trio.sleep(1)
                await client.send_all(b"x")
        data = await everything(client)
        assert trio.current_time() - start == pytest.approx(10)
    assert statuses(data)[-1] == 408


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(App()) as client:
        assert await everything(client) == b""
    assert trio.current_time() == pytest.approx(75)


async def test_the_bound_on_idleness_does_not_bind_work(autojump_clock: trio.testing.MockClock) -> None:
    impatient = Limits(
        max_body_bytes=9, read_timeout_s=1, send_timeout_s=1, idle_timeout_s=1, cancel_when_client_leaves=True
    )
    async with connected(App(), impatient) as client:
        await client.send_all(get("/slow"))
        assert statuses(await everything(client)) == [200]
    assert trio.current_time() == pytest.approx(3 + 1)


async def test_a_client_that_does_not_read_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    client, server = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, server, App(), LIMITS)
        await client.send_all(get("/"))
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(5.1)
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(get("/2"))
    assert trio.current_time() == pytest.approx(5.1)


async def test_work_is_cancelled_when_the_client_leaves(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(app := App()) as client:
        await client.send_all(get("/slow"))
        await trio.sleep(1)
    assert app.log == ["cancelled /slow"]
    assert trio.current_time() == pytest.approx(1)


async def test_or_goes_on_if_so_set(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(app := App(), FINISHING) as client:
        await client.send_all(get("/slow"))
        await trio.sleep(1)
    assert app.log == ["slow /slow"]
    assert trio.current_time() == pytest.approx(3)


async def test_what_the_client_sends_meanwhile_does_not_count_as_leaving(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(app := App()) as client:
        await client.send_all(get("/slow"))
        for part in (b"GET /2 HT", b"TP/1.1\r\nHost", b": x\r\n\r\n"):
            await trio.sleep(0.5)
            await client.send_all(part)
        for target in (b"/slow", b"/2"):
            assert (await client.receive_some()).endswith(target)
    assert app.log == ["slow /slow", "quick /2"]


async def test_expect_continue(autojump_clock: trio.testing.MockClock) -> None:
    async with connected(App()) as client:
        await client.send_all(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await client.receive_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send_all(b"hello")
        assert (await client.receive_some()).endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    "line", ["CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", get("/", "Upgrade: h2c").decode()]
)
async def test_another_protocol_is_answered_in_this_one(
    line: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with connected(App()) as client:
        await client.send_all(
            line.replace("Upgrade:", "Connection: Upgrade\r\nUpgrade:").encode() + b"\x00\x01"
        )
        data = await everything(client)
    assert statuses(data) == [200]
    assert b"\r\nConnection: close\r\n" in data


async def test_leaving_in_the_middle_of_a_request_is_nobodys_error(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with connected(app := App()) as client:
        await client.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert app.log == []
