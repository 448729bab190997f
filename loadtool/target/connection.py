"""One client's connection: reads its requests one after the other and writes the answers to them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time

import trio

from loadtool.target.http import CONTINUE, NO_ANSWER, BadRequest, Request, RequestReader, Response, render

# Answers a request: at once, or (where it may take a while) when awaited.
App = Callable[[Request], Response | Awaitable[Response]]

_RECEIVE_BYTES = 64 * 1024
_LINGER_S = 1.0  # how long a refused client may go on sending before its connection is cut
_LINGER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of a connection."""

    max_body_bytes: int
    read_timeout_s: float  # from a request's first byte to its last
    send_timeout_s: float
    idle_timeout_s: float
    cancel_when_client_leaves: bool


async def serve_connection(stream: trio.abc.HalfCloseableStream, app: App, limits: Limits) -> None:
    """Serve one connection to its end; then it is closed. No misdeed of the client raises."""
    connection = _Connection(stream, app, limits)
    try:
        await connection.run()
    except trio.BrokenResourceError:
        pass  # the client is gone: nobody is left to be told
    finally:
        connection.reader.close()
        await trio.aclose_forcefully(stream)


class _Connection:
    def __init__(self, stream: trio.abc.HalfCloseableStream, app: App, limits: Limits) -> None:
        self.reader = RequestReader(limits.max_body_bytes)
        self._stream = stream
        self._app = app
        self._limits = limits
        self._refusal: BadRequest | None = None  # answered after the requests that came before it
        self._patience = trio.CancelScope()  # one for the connection's life: a scope for each step is dear

    async def run(self) -> None:
        with self._patience:
            while (request := await self._next_request()) is not None:
                answer = self._app(request)
                response: Response | None
                if isinstance(answer, Response):
                    response = answer
                elif self._limits.cancel_when_client_leaves:
                    response = await self._while_client_stays(answer)
                else:
                    response = await answer
                if response is None or response.status == NO_ANSWER:
                    return
                keep_alive = request.keep_alive and not (self.reader.closing and not self.reader.requests)
                await self._send(response, request.method, request.version, keep_alive)
                if not keep_alive:
                    return
        if self._patience.cancelled_caught and self.reader.mid_request and not self.reader.requests:
            self._refusal = BadRequest(408, "request did not arrive in time")
        if self._refusal is not None:
            await self._refuse(self._refusal.response)

    async def _next_request(self) -> Request | None:
        """The next request; None at the end: the client closed or is refused. Waits only so long."""
        reader, limits = self.reader, self._limits
        if not reader.requests and self._refusal is None:
            self._allow(limits.read_timeout_s if reader.mid_request else limits.idle_timeout_s)
            while not reader.requests and self._refusal is None:
                begun = reader.mid_request
                data = await self._stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    return None
                self._feed(data)
                if reader.mid_request and not begun:
                    self._allow(limits.read_timeout_s)
                if reader.wants_continue():
                    await self._stream.send_all(CONTINUE)
            self._allow(math.inf)
        return reader.requests.popleft() if reader.requests else None

    def _allow(self, seconds: float) -> None:
        """From now on, end the connection after so long."""
        self._patience.deadline = trio.current_time() + seconds

    def _feed(self, data: bytes | bytearray) -> None:
        try:
            self.reader.feed(data)
        except BadRequest as e:
            self._refusal = e

    async def _while_client_stays(self, response: Awaitable[Response]) -> Response | None:
        """The answer, or None if the client left before it was there: the work on it is then cancelled."""
        answered: Response | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_client, nursery.cancel_scope)
            answered = await response
            nursery.cancel_scope.cancel()
        return answered

    async def _watch_client(self, work: trio.CancelScope) -> None:
        """Cancel the work as soon as the client closes; what it sends meanwhile is kept for later."""
        try:
            while not self.reader.requests and self._refusal is None:
                data = await self._stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    break
                self._feed(data)
            else:
                return  # it has sent more than can be answered now: no room to listen further
        except trio.BrokenResourceError:
            pass
        work.cancel()

    async def _send(self, response: Response, method: str, version: str, keep_alive: bool) -> None:
        self._allow(self._limits.send_timeout_s)
        data = render(response, method=method, version=version, keep_alive=keep_alive, now_s=time())
        await self._stream.send_all(data)
        self._allow(math.inf)

    async def _refuse(self, response: Response) -> None:
        """Say why, then let the client read it: closing on unread bytes would reset the connection first."""
        with trio.move_on_after(_LINGER_S):
            await self._stream.send_all(
                render(response, method="GET", version="1.1", keep_alive=False, now_s=time())
            )
            await self._stream.send_eof()
            left = _LINGER_BYTES
            while left > 0 and (data := await self._stream.receive_some(_RECEIVE_BYTES)):
                left -= len(data)
