"""What a link of the transport httpx adds to httpcore's HTTP/2, on a connection in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import httpcore
import httpx
import pytest
import trio

from loadtool.engine.httpx_link import Link
from loadtool.engine.httpx_stream import Stream

CHUNK = bytes(16 * 1024)


class Server(httpcore.AsyncNetworkStream):
    """Answers each request with the head and three chunks of a body that has no end, all in one read."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False)
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()
        self.resets = 0
        self.cut = trio.CancelScope()  # cancelled at the first write after an answer was read
        self._answered = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not (data := self.state.data_to_send()):
            await trio.sleep_forever()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for event in self.state.receive_data(buffer):
            if isinstance(event, h2.events.RequestReceived):
                self.state.send_headers(event.stream_id, [(":status", "200")])
                for _ in range(3):
                    self.state.send_data(event.stream_id, CHUNK)  # raises without a window to send into
                self._answered = True
                return
            self.resets += isinstance(event, h2.events.StreamReset)
        if self._answered:
            self._answered = False
            self.cut.cancel()

    async def aclose(self) -> None:
        pass


async def test_what_a_given_up_answer_has_taken_of_the_window_is_given_back() -> None:
    """Forty thousand bytes that nobody reads, four hundred times: as much as the window, of 16 MiB."""
    server = Server()
    origin = httpcore.URL("http://localhost").origin
    connection = httpcore.AsyncHTTP2Connection(origin, server)
    link = Link(connection, http2=True)

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name == "http2.response_closed.started":
            assert link.reset(info["stream_id"])

    for _ in range(400):
        request = httpx.Request("GET", "http://localhost/", extensions={"trace": trace})
        server.cut = trio.CancelScope()
        with server.cut:
            response = await link.handle_async_request(request)
            async for _chunk in response.aiter_raw():
                pass
        assert server.cut.cancelled_caught
        await link.flush()
    assert server.resets == 400
    assert not link.spent


async def test_nothing_is_said_of_an_exchange_that_is_over_or_was_none() -> None:
    link = Link(httpcore.AsyncHTTP2Connection(httpcore.URL("http://localhost").origin, Server()), http2=True)
    assert not link.reset(1)
    plain = httpcore.AsyncHTTP11Connection(httpcore.URL("http://localhost").origin, Server())
    assert not Link(plain, http2=False).reset(1)


async def test_a_connection_that_takes_no_reset_is_spent(autojump_clock: trio.testing.MockClock) -> None:
    class Stuck(Server):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            await trio.sleep_forever()

    connection = httpcore.AsyncHTTP2Connection(httpcore.URL("http://localhost").origin, Stuck())
    connection._h2_state.initiate_connection()
    link = Link(connection, http2=True)
    await link.flush()
    assert link.spent


@pytest.mark.parametrize("name", ["ConnectError", "ReadError", "RemoteProtocolError", "ProxyError"])
async def test_errors_are_those_of_httpx(name: str) -> None:
    class Failing(httpcore.AsyncHTTP11Connection):
        async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
            raise getattr(httpcore, name)("why")

    link = Link(Failing(httpcore.URL("http://localhost").origin, Server()), http2=False)
    with pytest.raises(getattr(httpx, name), match="why"):
        await link.handle_async_request(httpx.Request("GET", "http://localhost/"))


@dataclass
class Heard:
    """A stream that knows when the last byte came."""

    last: int


@pytest.mark.parametrize(
    ("asked", "heard", "silent"),
    [
        ([], 0, 0),  # nobody asked
        ([100], 0, 400),
        ([100], 99, 400),
        ([100], 100, 0),
        ([100], 300, 0),
        ([100, 490], 50, 400),  # the last one left with little time, and proves nothing by itself
    ],
)
def test_silence_counts_from_the_first_request_that_nothing_came_after(
    asked: list[int], heard: int, silent: int
) -> None:
    link = Link(cast(httpcore.AsyncConnectionInterface, None), http2=True)
    link.stream = cast(Stream, Heard(heard))
    for now in asked:
        link.asked(now)
    assert link.silent_for(500) == silent


def test_what_has_come_ends_a_silence() -> None:
    link = Link(cast(httpcore.AsyncConnectionInterface, None), http2=True)
    stream = Heard(0)
    link.stream = cast(Stream, stream)
    link.asked(100)
    stream.last = 200
    link.asked(300)
    assert link.silent_for(500) == 200
