"""Link of the transport `httpx`: one connection, as a transport of httpx by itself.

What goes over it is httpcore's, which is httpx's own engine; an `httpx.AsyncClient` may use a link like any
other transport. One request at a time, with HTTP/2 too: on a shared connection httpcore gives an answer that
has come to its request only when it is that request's turn to read, and such waits would be measured as the
target's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import h2.connection
import h2.events
import h2.exceptions
import httpcore
import httpx
import trio
from h2.errors import ErrorCodes

from loadtool.engine.httpx_http2 import make_listen
from loadtool.engine.httpx_stream import Stream

FLUSH_S: Final = 1.0
_NOBODY: Final = httpcore.Request("GET", "http://localhost/")  # in whose name a link writes by itself


class Link(httpx.AsyncBaseTransport):
    """One connection, opened by its first request."""

    def __init__(self, connection: httpcore.AsyncConnectionInterface, *, http2: bool) -> None:
        self.stream: Stream | None = None  # once it is open
        self.http2 = http2
        self.served = 0  # answers that have come over it
        self.kept = False  # was open before the request under way needed it
        self.spent = False  # takes no more requests
        self.retired = False  # ... as its turn to be opened anew has come
        self._unheard = 0  # when the first request left that nothing has come since, if there is one
        self._listens = False  # while it sends, if it is HTTP/2
        self._connection = connection

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it as it stands; its extension `target` goes into the request line. Errors are httpx's."""
        url = request.url
        host = url.raw_host
        extensions = {key: value for key, value in request.extensions.items() if key != "target"}
        assert isinstance(request.stream, httpx.AsyncByteStream)
        inner = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme,
                host=b"[%b]" % host if b":" in host else host,  # as it stands in what a proxy is asked for
                port=url.port,
                target=request.extensions.get("target", url.raw_path),
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=extensions,
        )
        with _as_httpx():
            response = await self._connection.handle_async_request(inner)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self.spent = True
        if self.stream is not None:
            self.stream.close()

    def usable(self) -> bool:
        """Whether the next request may be sent over it: the server may have closed it, or said too much."""
        if self.spent or self.stream is None or self.stream.stale():
            return False
        return self._connection.is_idle() and self._connection.is_available() and not self._surplus()

    def asked(self, now: int) -> None:
        """A request leaves, over a protocol that is there since just before."""
        if self.http2 and not self._listens:
            self._listens = True
            protocol = self._protocol()
            if isinstance(protocol, httpcore.AsyncHTTP2Connection):
                make_listen(protocol)
        if self.stream is not None and self.stream.last >= self._unheard:
            self._unheard = now

    def silent_for(self, now: int) -> int:
        """For how many ns nothing at all has come since a request left; the peer may be gone without a word.

        Counted from the first such request: one that leaves with little time left proves nothing by itself.
        """
        return now - self._unheard if self.stream is None or self.stream.last < self._unheard else 0

    # What httpcore leaves undone. It shows its protocols to nobody, so these reach into it.

    def _protocol(self) -> httpcore.AsyncHTTP11Connection | httpcore.AsyncHTTP2Connection | None:
        connection: object = self._connection
        while connection is not None:
            if isinstance(connection, (httpcore.AsyncHTTP11Connection, httpcore.AsyncHTTP2Connection)):
                return connection
            connection = getattr(connection, "_connection", None)
        return None

    def _surplus(self) -> bool:
        """Whether more came than the answer: httpcore would take it for the answer to the next request."""
        protocol = self._protocol()
        return (
            isinstance(protocol, httpcore.AsyncHTTP11Connection)
            and protocol._h11_state.trailing_data[0] != b""
        )

    @property
    def broken_off(self) -> bool:
        """Whether h2 has ended the connection, as something came that breaks the rules of HTTP/2."""
        protocol = self._protocol()
        return (
            isinstance(protocol, httpcore.AsyncHTTP2Connection)
            and protocol._h2_state.state_machine.state == h2.connection.ConnectionState.CLOSED
        )

    def reset(self, stream_id: int) -> bool:
        """Tell the server that nobody waits for this answer any more; True if there is that to `flush`.

        httpcore forgets the request, but neither tells the server nor gives back the window that unread data
        has taken: one timeout after another, both would run out of it.
        """
        protocol = self._protocol()
        if not isinstance(protocol, httpcore.AsyncHTTP2Connection):
            return False
        state = protocol._h2_state
        try:
            for event in protocol._events.get(stream_id, ()):
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    state.acknowledge_received_data(event.flow_controlled_length, stream_id)
            state.reset_stream(stream_id, ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            return False  # it has ended, or had not begun
        return True

    async def flush(self) -> None:
        """Send what HTTP/2 has to say by itself. A connection that does not take it is spent."""
        protocol = self._protocol()
        assert isinstance(protocol, httpcore.AsyncHTTP2Connection)
        with trio.move_on_after(FLUSH_S) as scope:
            try:
                await protocol._write_outgoing_data(_NOBODY)
            except (httpcore.WriteError, httpcore.ReadError):
                self.spent = True
        if scope.cancelled_caught:
            self.spent = True


class _Body(httpx.AsyncByteStream):
    """An answer's body."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with _as_httpx():
            await self._response.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpcore's exceptions as httpx's, which have the same names; others pass."""
    try:
        yield
    except Exception as e:
        if type(e).__module__.partition(".")[0] != "httpcore" or not hasattr(httpx, type(e).__name__):
            raise
        mapped: type[httpx.TransportError] = getattr(httpx, type(e).__name__)
        raise mapped(str(e)) from e
