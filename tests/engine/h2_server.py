"""A scripted HTTP/2 server on h2, for the harness's `Server`: a thread for each connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.errors import ErrorCodes

MAX_STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


def frame(kind: int, payload: bytes, stream: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def goodbye(last: int, code: int = 0, words: bytes = b"") -> bytes:
    """A GOAWAY: nothing beyond this stream was taken."""
    return frame(7, last.to_bytes(4, "big") + code.to_bytes(4, "big") + words)


@dataclass(slots=True)
class Asked:
    """A request, as it came."""

    stream: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


class Peer:
    """The server's side of one connection. `reply` is called for each whole request.

    With `at_once` it is called for each head, and bodies are thrown away.
    """

    def __init__(
        self, sock: socket.socket, number: int, seen: Seen, reply: Reply, *, at_once: bool = False
    ) -> None:
        self.number = number  # of this connection, from 1
        self.answered = 0
        self._sock = sock
        self._seen = seen
        self._reply = reply
        self._at_once = at_once
        self._lock = threading.Lock()
        self._asked: dict[int, Asked] = {}
        self._over = False
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._state = h2.connection.H2Connection(config)

    def serve(self, max_streams: int | None) -> None:
        """Until the client has closed. `max_streams` None: the settings do not say."""
        if max_streams is None:
            del self._state.local_settings[MAX_STREAMS]
        else:
            self._state.local_settings = h2.settings.Settings(
                client=False, initial_values={MAX_STREAMS: max_streams}
            )
        self._state.initiate_connection()
        self._flush()
        while not self._over and (data := self._sock.recv(65536)):
            with self._lock:
                events = self._state.receive_data(data)
                whole = [asked for event in events if (asked := self._take(event)) is not None]
            self._flush()
            for asked in whole:
                if not self._over:
                    self._reply(self, asked)

    def answer(self, asked: Asked, status: int = 200, body: bytes = b"ok") -> None:
        """A whole answer. A request that was reset meanwhile gets none."""
        with self._lock:
            if self._over or asked.stream not in self._asked:
                return
            self._state.send_headers(asked.stream, [(":status", str(status)), ("x-by", "h2")])
            self._state.send_data(asked.stream, body, end_stream=True)
            del self._asked[asked.stream]
            self.answered += 1
        self._flush()

    def answer_later(self, asked: Asked, seconds: float) -> None:
        timer = threading.Timer(seconds, self.answer, (asked,))
        timer.daemon = True
        timer.start()

    def half(self, asked: Asked) -> None:
        """Headers and the beginning of a body, and no more."""
        with self._lock:
            self._state.send_headers(asked.stream, [(":status", "200")])
            self._state.send_data(asked.stream, b"half")
        self._flush()

    def rest(self, asked: Asked) -> None:
        """The end of that body."""
        with self._lock:
            self._state.send_data(asked.stream, b"done", end_stream=True)
            del self._asked[asked.stream]
        self._flush()

    def ping(self) -> None:
        with self._lock:
            self._state.ping(b"are you?")
        self._flush()

    def reset(self, asked: Asked, code: ErrorCodes) -> None:
        with self._lock:
            self._state.reset_stream(asked.stream, code)
            del self._asked[asked.stream]
        self._flush()

    def say_goodbye(self, last: int, code: int = 0, then: Asked | None = None) -> None:
        """Say which stream is the last, and go on; the answer to `then` leaves together with that."""
        with self._lock:
            data = self._state.data_to_send() + goodbye(last, code)
            if then is not None:
                self._state.send_headers(then.stream, [(":status", "200")])
                self._state.send_data(then.stream, b"ok", end_stream=True)
                del self._asked[then.stream]
                data += self._state.data_to_send()
            self._sock.sendall(data)

    def go_away(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Say goodbye and close."""
        with self._lock:
            self._state.close_connection(code)
        self._flush()
        self.hang_up()

    def hang_up(self) -> None:
        self._over = True
        self._sock.shutdown(socket.SHUT_WR)

    def say(self, data: bytes) -> None:
        self._sock.sendall(data)

    def _take(self, event: h2.events.Event) -> Asked | None:
        match event:
            case h2.events.RequestReceived():
                asked = Asked(event.stream_id, dict(event.headers))  # type: ignore[arg-type]  # as utf-8
                self._asked[event.stream_id] = asked
                self._seen.at_once = max(self._seen.at_once, len(self._asked))
                return self._asked[event.stream_id] if self._at_once else None
            case h2.events.DataReceived() if self._at_once:
                if event.flow_controlled_length:
                    self._state.increment_flow_control_window(
                        event.flow_controlled_length
                    )  # the connection's
            case h2.events.DataReceived() if event.stream_id in self._asked:
                self._asked[event.stream_id].body += event.data
                self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded() if event.stream_id in self._asked:
                self._seen.requests.append(self._asked[event.stream_id])
                return self._asked[event.stream_id]
            case h2.events.StreamReset():
                self._asked.pop(event.stream_id, None)
                self._seen.resets.append(int(event.error_code))
        return None

    def _flush(self) -> None:
        with self._lock:
            data = self._state.data_to_send()
            if data:
                self._sock.sendall(data)


Reply = Callable[[Peer, Asked], None]


@dataclass(slots=True)
class Seen:
    """What a server has seen on all its connections."""

    connections: int = 0
    at_once: int = 0  # most requests under way on one connection
    requests: list[Asked] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)


def speaking_h2(
    reply: Reply, seen: Seen, max_streams: int | None = 100, *, at_once: bool = False
) -> Callable[[socket.socket], None]:
    """A handler for the harness's `Server`."""

    def handler(sock: socket.socket) -> None:
        seen.connections += 1
        Peer(sock, seen.connections, seen, reply, at_once=at_once).serve(max_streams)

    return handler
