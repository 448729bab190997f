"""Exchange of the transport `httpx`: one arrival from its link to its answer's last byte, and its books.

httpcore tells by its trace events how far it is; the names of the events are those of its documentation.
Times are ns of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns as clock
from typing import Any, Final

import httpx

from loadtool.engine.connection import Arrival
from loadtool.engine.http1 import Answer
from loadtool.engine.httpx_failures import Scene
from loadtool.engine.httpx_link import Link
from loadtool.engine.ledger import Ledger
from loadtool.measure.outcome import H_CONNECT, H_LAG, H_QUEUED, H_TLS

_QUOTED: Final = 1024  # bytes of a body that is not kept, for an example


class Exchange:
    """One try at an arrival on a link. `later` takes what is to be done once this is over."""

    __slots__ = (
        "_begun", "_connected", "_dialled", "_granted", "_later", "_ledger", "_left", "_proxied",
        "_tunnelled", "_url", "answer", "arrival", "done", "heard", "link", "over", "second", "sent",
    )  # fmt: skip

    def __init__(
        self,
        arrival: Arrival,
        link: Link,
        granted: int,
        *,
        ledger: Ledger,
        url: httpx.URL,
        proxied: bool,
        later: Callable[[Link], None],
        second: bool = False,
    ) -> None:
        """`granted`: when the arrival got the link. `url`: of the target; only its origin counts.

        `second`: whether a try before this one has failed because its connection had just been closed.
        """
        self.arrival = arrival
        self.link = link
        self.answer = Answer()
        self.sent = 0  # when the request began to leave
        self.heard = 0  # when the answer's head was complete
        self.done = 0  # when the last byte had come
        self.over = False  # it is in the books
        self.second = second or arrival.resent
        self._granted = granted
        self._dialled = 0  # when it began to open a connection
        self._connected = 0  # when that was open
        self._begun = 0  # of the stage under way
        self._left = False  # the request's head has left
        self._ledger = ledger
        self._url = url
        self._proxied = proxied
        self._tunnelled = proxied and url.scheme == "https"  # else a proxy is asked for no consent
        self._later = later

    async def run(self, *, no_body: bool, keep_body: bool) -> None:
        """Send the request and read the answer. Raises what httpx and the network raise."""
        method, target, headers, body = parts_of(self.arrival.data)
        if self.link.http2:
            headers = [(name, value) for name, value in headers if name.lower() != b"connection"]
        request = httpx.Request(
            method,
            self._url,
            headers=headers,
            stream=httpx.ByteStream(body),
            extensions={"target": target, "trace": self._trace},
        )
        response = await self.link.handle_async_request(request)
        if response.status_code == 101:
            await response.aclose()
            raise httpx.RemoteProtocolError("status 101 switches protocols")
        answer = self.answer
        answer.expect(no_body=no_body, keep_body=keep_body)
        fields = b"".join(b"%b: %b\r\n" % pair for pair in response.headers.raw)
        version = response.extensions["http_version"]
        reason = response.extensions.get("reason_phrase", b"")
        head = b"%b %d %b\r\n%b\r\n" % (version, response.status_code, reason, fields)
        answer.adopt(response.status_code, head)
        quoted = keep_body
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for chunk in response.stream:
            if not quoted:
                answer.adopt(response.status_code, head + chunk[:_QUOTED])
                quoted = True
            answer.on_body(chunk)
        self.done = clock()
        answer.complete = True
        await response.aclose()

    @property
    def first(self) -> int:
        """When the answer's first byte came, as well as it is known: a connection of HTTP/2 has many."""
        stream = self.link.stream
        if stream is None or self.link.http2:
            return self.heard
        return stream.first or self.heard

    @property
    def unsent(self) -> bool:
        """Whether no byte of it has left."""
        return not self._left

    @property
    def refused(self) -> bool:
        """Whether the server of HTTP/2 has said, as it went, that it has not taken it."""
        return self.link.stream is not None and self.link.stream.frames.refused

    @property
    def owed(self) -> bool:
        """Whether the server of HTTP/2 has said, as it went, that it has taken it and will answer it."""
        return self.link.stream is not None and self.link.stream.frames.owed

    @property
    def taken(self) -> bool:
        """Whether the peer, which has ended the connection, has taken any of it."""
        stream = self.link.stream
        if stream is None or stream.frames.refused:
            return False
        return stream.frames.complained or stream.unacknowledged < stream.written

    @property
    def maybe_read(self) -> bool:
        """Whether the peer has reset the connection, and may have read it before."""
        stream = self.link.stream
        if stream is None or stream.frames.refused:
            return False
        return stream.reset_at_once and stream.written > 0

    @property
    def scene(self) -> Scene:
        stream = self.link.stream
        started = self.heard > 0 or (
            self.sent > 0 and stream is not None and not self.link.http2 and stream.first > 0
        )
        return Scene(self._proxied, self.sent > 0, started, self.heard > 0, stream)

    # What httpcore tells

    async def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        note = _NOTES.get(name.partition(".")[2])
        if note is not None:
            note(self, info)

    def _connecting(self, info: Mapping[str, Any]) -> None:
        self._dialled = self._begun = clock()
        self.arrival.dialled = self.arrival.dialled or self._dialled

    def _reached(self, info: Mapping[str, Any]) -> None:
        stream = self.link.stream = info["return_value"]
        if self._tunnelled:
            self._begun -= stream.dialled_for
        else:
            self._stage_over(H_CONNECT)

    def _securing(self, info: Mapping[str, Any]) -> None:
        if self._tunnelled:
            self._stage_over(H_CONNECT)  # which ends with the proxy's consent
        self._begun = clock()

    def _secured(self, info: Mapping[str, Any]) -> None:
        self.link.stream = info["return_value"]
        self._stage_over(H_TLS)

    def _stage_over(self, code: int) -> None:
        self._connected = clock()
        if self.link.stream is None or not self.link.stream.spare or self._tunnelled:
            cell = self.arrival.cell
            cell.touched = True
            cell.record(code, self._connected - self._begun)

    def _sending(self, info: Mapping[str, Any]) -> None:
        if info["request"].method == b"CONNECT":
            return
        now = self.sent = clock()
        self.link.asked(now)
        stream = self.link.stream
        if stream is not None:
            stream.written = 0
            if not self.link.http2:
                stream.expect()
            else:
                stream.frames.ask(info.get("stream_id", 0))
        if not self.arrival.resent:  # else it is counted, and so is its waiting
            cell = self.arrival.cell
            cell.touched = True
            cell.attempts += 1
            self._settle(now)

    def _gone(self, info: Mapping[str, Any]) -> None:
        self._left = self.sent > 0

    def _answering(self, info: Mapping[str, Any]) -> None:
        if self.sent:
            self.heard = clock()
            if self.link.stream is not None:
                self.link.stream.in_head = False

    def _closing(self, info: Mapping[str, Any]) -> None:
        # Before httpcore lets the next request have its place.
        stream_id = info.get("stream_id")
        if stream_id is not None and not self.done and self.link.reset(stream_id):
            self._later(self.link)

    def _settle(self, now: int) -> None:
        """Record how long it has waited, as lag or as queued: the rule of `Ledger.settle_wait`.

        The loop's idleness shows whom it waited for. What it took from having a link to being sent is lag,
        too, but for the connecting: httpx is a part of the generator, and not the fastest one.
        """
        arrival, cell, granted = self.arrival, self.arrival.cell, self._granted
        idle, due = self._ledger.last_idle, arrival.planned()
        turn = min(arrival.dialled or granted, granted)
        rested = self._ledger.has_rested(arrival, turn)
        if idle < due and not rested:
            cell.record(H_LAG, now - due)
            cell.record(H_QUEUED, 0)
            return
        begun = arrival.launched if rested else turn
        lag, queued = begun - due, turn - begun
        if self._dialled:
            lag += self._dialled - granted + now - max(self._connected, self._dialled)
        elif idle < granted:
            lag += now - granted
        else:  # for the server's permission, as HTTP/2 has it
            queued += now - granted
        cell.record(H_LAG, lag)
        cell.record(H_QUEUED, queued)


_NOTES: Final[Mapping[str, Callable[[Exchange, Mapping[str, Any]], None]]] = {
    "connect_tcp.started": Exchange._connecting,
    "connect_tcp.complete": Exchange._reached,
    "start_tls.started": Exchange._securing,
    "start_tls.complete": Exchange._secured,
    "send_request_headers.started": Exchange._sending,
    "send_request_headers.complete": Exchange._gone,
    "receive_response_headers.complete": Exchange._answering,
    "response_closed.started": Exchange._closing,
}


def parts_of(data: bytes) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes]:
    """Method, target, headers and body of a request that `encoder.encode` has made.

    So both transports send the same, down to the order of the headers.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return method.decode(), rest.rpartition(b" ")[0], headers, body
