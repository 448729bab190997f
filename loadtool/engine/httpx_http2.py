"""HTTP/2 of the transport `httpx`, where httpcore's own would not end: it sends a body and does not listen.

A server may answer before it has the whole of a request, and then give it no more window (RFC 9113, 8.1): a
gateway that sheds does, and one that finds a body too large. httpcore waits for the window and never looks at
the answer. And a window may be below zero (RFC 9113, 6.9.2), which httpcore takes for one to send into.

The names below are httpcore's private parts, as they are in 1.0.9. The class of a connection is replaced once
it is there, and only if it has them all; else httpcore does as it does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import h2.events
import h2.exceptions
import httpcore
from h2.errors import ErrorCodes

_METHODS: Final = (
    "_receive_events", "_response_closed", "_send_request_body", "_wait_for_outgoing_flow",
    "_write_outgoing_data",
)  # fmt: skip
_STATE: Final = ("_events", "_h2_state")
_NOBODY: Final = httpcore.Request("GET", "http://localhost/")  # in whose name the rest of a request is reset


class ListeningHTTP2Connection(httpcore.AsyncHTTP2Connection):
    """Stops sending a request that has had its whole answer, or was reset. One request at a time."""

    _cut = 0  # the stream that has had its answer before all of its request had left

    async def _wait_for_outgoing_flow(self, request: httpcore.Request, stream_id: int) -> int:
        """How many bytes of a body may be sent now, at least one. Raises _Over if there is no use in it.

        An answer that has only begun is no end: its server may still want the rest.
        """
        state = self._h2_state
        while True:
            for event in self._events.get(stream_id, ()):
                if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    raise _Over
            flow = min(state.local_flow_control_window(stream_id), state.max_outbound_frame_size)
            if flow > 0:
                return flow
            await self._receive_events(request)

    async def _send_request_body(self, request: httpcore.Request, stream_id: int) -> None:
        try:
            await super()._send_request_body(request, stream_id)
        except _Over:  # its answer, or the reset, is in the events and is read next
            if not any(isinstance(event, h2.events.StreamReset) for event in self._events[stream_id]):
                self._cut = stream_id

    async def _response_closed(self, stream_id: int) -> None:
        """With a reset of what was left half sent: the server would count and keep that stream for ever."""
        if self._cut == stream_id:
            self._cut = 0
            with suppress(h2.exceptions.ProtocolError, httpcore.ReadError, httpcore.WriteError):
                self._h2_state.reset_stream(stream_id, ErrorCodes.CANCEL)
                await self._write_outgoing_data(_NOBODY)
        await super()._response_closed(stream_id)


class _Over(Exception):
    """Nobody wants the rest of a request."""


def make_listen(connection: httpcore.AsyncHTTP2Connection) -> None:
    """Have it stop sending a request that is over; without effect on what has changed since 1.0.9."""
    if type(connection) is not httpcore.AsyncHTTP2Connection:
        return
    if all(hasattr(connection, name) for name in (*_METHODS, *_STATE)):
        connection.__class__ = ListeningHTTP2Connection
