"""HTTP/1.1 for the API: requests in, answers out, over h11."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import h11
import trio

IDLE_S = 60.0
READ_S = 15.0
MOST_BODY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]  # names in lower case
    body: bytes

    def header(self, name: str) -> str:
        """Its first value, or ""."""
        return next((v for k, v in self.headers if k == name), "")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class _TooLarge(Exception):
    pass


async def serve_connection(stream: trio.SocketStream, answer: Callable[[Request], Awaitable[Answer]]) -> None:
    """Serve one client until it leaves, breaks off or stays idle."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 << 10)
    try:
        while True:
            request = await _receive(connection, stream)
            if request is None:
                return
            await _send(connection, stream, await answer(request), head=request.method == "HEAD")
            if connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                return
            connection.start_next_cycle()
    except (h11.RemoteProtocolError, _TooLarge) as e:
        status = 413 if isinstance(e, _TooLarge) else e.error_status_hint
        if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": f"bad request: {e}", "status": status}).encode()
            refusal = Answer(status, "application/json", body, {"Connection": "close"})
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await _send(connection, stream, refusal)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client is gone, and with it everyone who could be told
    finally:
        await trio.aclose_forcefully(stream)


async def _receive(connection: h11.Connection, stream: trio.SocketStream) -> Request | None:
    """The next request, or None if none comes (any more)."""
    head: h11.Request | None = None
    body = bytearray()
    with trio.move_on_after(IDLE_S) as patience:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    await stream.send_all(connection.send(go_on) or b"")
                connection.receive_data(await stream.receive_some(64 << 10))
            elif isinstance(event, h11.Request):
                head = event
                patience.deadline = trio.current_time() + READ_S
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY_BYTES:
                    raise _TooLarge(f"the body is longer than {MOST_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = tuple((k.decode("ascii"), v.decode("latin-1")) for k, v in head.headers)
                return Request(head.method.decode("ascii"), head.target.decode("ascii"), headers, bytes(body))
            else:  # the client has closed the connection
                return None
    return None


async def _send(
    connection: h11.Connection, stream: trio.SocketStream, answer: Answer, head: bool = False
) -> None:
    headers = {"Date": formatdate(usegmt=True), **answer.headers}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    if answer.status != HTTPStatus.NO_CONTENT:
        headers["Content-Length"] = str(len(answer.body))
    start = h11.Response(
        status_code=answer.status, reason=HTTPStatus(answer.status).phrase, headers=list(headers.items())
    )
    data = connection.send(start) or b""
    if answer.body and not head:
        data += connection.send(h11.Data(data=answer.body)) or b""
    data += connection.send(h11.EndOfMessage()) or b""
    with trio.move_on_after(READ_S):
        await stream.send_all(data)
