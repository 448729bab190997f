"""Uploads over HTTP/2 of the transport httpx: an early answer, and windows that are small or below zero."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpcore
import httpx
import pytest
import trio
from engine_harness import SECOND, job_for, run_job, serving
from h2.errors import ErrorCodes
from h2_server import Seen, speaking_h2

from loadtool.engine.httpx_http2 import make_listen
from loadtool.engine.httpx_link import Link
from loadtool.plan.job import RequestSpec

BODY = bytes(200_000)  # three times the window that a server gives at first
SMALL_WINDOW = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 3, 232))  # SETTINGS: of 1,000 bytes, at first
ORIGIN = httpcore.URL("http://localhost").origin
RST_STREAM = b"\x03"
HANGS_S = 60  # of virtual time


class Server(httpcore.AsyncNetworkStream):
    """A server in memory: what it has to say is read piece by piece. `heard` is told of each event."""

    def __init__(self) -> None:
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.state.initiate_connection()
        self.resets: list[int] = []
        self.bodies: dict[int, int] = {}
        self.pieces: list[bytes] = []
        self.flush()

    def flush(self) -> None:
        """What was said up to here is one read."""
        if data := self.state.data_to_send():
            self.pieces.append(data)

    def heard(self, event: h2.events.Event) -> None:
        """By default: as much window is given as was taken, and the answer comes at the end."""
        match event:
            case h2.events.DataReceived(flow_controlled_length=taken) if taken:
                self.state.increment_flow_control_window(taken)
                self.state.increment_flow_control_window(taken, event.stream_id)
            case h2.events.StreamEnded():
                self.answer(event.stream_id, "200")

    def answer(self, stream: int, status: str) -> None:
        self.state.send_headers(stream, [(":status", status)])
        self.state.send_data(stream, b"no", end_stream=True)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self.pieces:
            await trio.sleep_forever()
        return self.pieces.pop(0)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for event in self.state.receive_data(buffer):
            match event:
                case h2.events.DataReceived():
                    self.bodies[event.stream_id] = self.bodies.get(event.stream_id, 0) + len(event.data)
                case h2.events.StreamReset():
                    self.resets.append(int(event.error_code))
            self.heard(event)
            self.flush()

    async def aclose(self) -> None:
        pass


def linked(server: Server) -> tuple[Link, httpcore.AsyncHTTP2Connection]:
    connection = httpcore.AsyncHTTP2Connection(ORIGIN, server)
    return Link(connection, http2=True), connection


async def upload(link: Link, body: bytes = BODY) -> tuple[int, bytes]:
    """Status and body of the answer."""

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name == "http2.send_request_headers.started":
            link.asked(0)

    request = httpx.Request("POST", "http://localhost/", content=body, extensions={"trace": trace})
    with trio.fail_after(HANGS_S):
        response = await link.handle_async_request(request)
        content = b"".join([chunk async for chunk in response.aiter_raw()])
        await response.aclose()
    return response.status_code, content


class Shedding(Server):
    """Answers 503 at once and takes none of the body; `how` it goes on from there."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def heard(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived() if self.how == "in parts":
                self.state.send_headers(event.stream_id, [(":status", "103")])
                self.flush()
                self.state.send_headers(event.stream_id, [(":status", "503")])
                self.flush()
                self.state.send_data(event.stream_id, b"no", end_stream=True)
            case h2.events.RequestReceived():
                self.answer(event.stream_id, "503")
                if self.how == "reset":
                    self.state.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
            case h2.events.DataReceived():  # of the connection alone, as a server does that throws it away
                self.state.increment_flow_control_window(event.flow_controlled_length)


@pytest.mark.parametrize(
    ("how", "resets"), [("in one piece", [int(ErrorCodes.CANCEL)]), ("in parts", [8]), ("reset", [])]
)
async def test_an_answer_ends_the_request_that_it_does_not_want_more_of(
    how: str, resets: list[int], autojump_clock: trio.testing.MockClock
) -> None:
    """And the connection goes on: more requests than a server counts streams, or its window lasts for."""
    server = Shedding(how)
    link, connection = linked(server)
    for _ in range(120):
        assert await upload(link) == (503, b"no")
        assert connection.is_idle()
    assert server.resets == resets * 120
    assert server.state.open_inbound_streams == 0
    assert sum(server.bodies.values()) < 120 * len(BODY)


async def test_an_answer_that_has_only_begun_does_not_end_the_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Echoing(Server):
        def heard(self, event: h2.events.Event) -> None:
            match event:
                case h2.events.RequestReceived():
                    self.state.send_headers(event.stream_id, [(":status", "200")])
                case h2.events.DataReceived():
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    size = b"%d" % self.bodies[event.stream_id]
                    self.state.send_data(event.stream_id, size, end_stream=True)

    server = Echoing()
    link, connection = linked(server)
    assert await upload(link) == (200, b"%d" % len(BODY))
    assert connection.is_idle()
    assert server.resets == []


async def test_a_reset_in_the_middle_of_an_upload_says_why(autojump_clock: trio.testing.MockClock) -> None:
    class Resetting(Server):
        def heard(self, event: h2.events.Event) -> None:
            if isinstance(event, h2.events.RequestReceived):
                self.state.reset_stream(event.stream_id, ErrorCodes.ENHANCE_YOUR_CALM)

    link, connection = linked(Resetting())
    with pytest.raises(httpx.RemoteProtocolError, match=r"StreamReset .*error_code:11"):
        await upload(link)
    assert connection.is_idle()


async def test_a_window_below_zero_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """The settings that make it so are not read before 64 KiB have left."""
    server = Server()
    server.pieces.append(SMALL_WINDOW)  # h2 as a server knows of no window below zero: it is not told
    link, _ = linked(server)
    assert await upload(link) == (200, b"no")
    assert await upload(link) == (200, b"no")
    assert server.bodies == {1: len(BODY), 3: len(BODY)}


async def test_an_answer_counts_also_if_its_server_takes_no_reset_any_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Leaving(Shedding):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            if buffer[3:4] == RST_STREAM:
                raise httpcore.WriteError("Broken pipe (EPIPE)")
            await super().write(buffer, timeout)

    link, _ = linked(Leaving("in one piece"))
    assert await upload(link) == (503, b"no")


async def test_without_what_it_needs_of_httpcore_a_connection_stays_httpcore_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = httpcore.AsyncHTTP2Connection(ORIGIN, Server())
    with monkeypatch.context() as without:
        without.delattr(httpcore.AsyncHTTP2Connection, "_receive_events")
        make_listen(connection)
    assert type(connection) is httpcore.AsyncHTTP2Connection
    make_listen(connection)
    assert type(connection) is not httpcore.AsyncHTTP2Connection


async def test_a_server_that_sheds_uploads_unread_is_seen_to_shed() -> None:
    seen = Seen()
    requests = (RequestSpec("big", 1.0, "POST", "/", body_kind="raw", body="x" * len(BODY)),)
    handler = speaking_h2(lambda peer, asked: peer.answer(asked, 503), seen, at_once=True)
    with serving(handler) as server:
        job = job_for(server.port, requests=requests, connections=1, timeout_ns=20 * SECOND)
        job = replace(job, transport="httpx", client=replace(job.client, http2=True))
        done = await run_job(job)
    assert done.outcomes == {"shed": 10}
    assert seen.connections == 1
