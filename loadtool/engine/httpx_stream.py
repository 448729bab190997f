"""Stream of the transport `httpx`: a connection as httpcore reads and writes it.

It classifies what goes wrong as the reactor does, notes when bytes came, refuses what h11 and h2 would wait
for in vain, and never blocks when it closes.
"""

from __future__ import annotations

import errno
import os
import select
import ssl
from time import monotonic_ns as clock
from typing import TYPE_CHECKING, Any, Final

import httpcore
import trio

from loadtool.engine.addresses import Address
from loadtool.engine.dialler import Failure
from loadtool.engine.failures import HANDSHAKING, LOCAL, describe, ended_by, local_name
from loadtool.engine.http1 import MAX_HEAD
from loadtool.engine.httpx_frames import FRAME_HEAD, Frames
from loadtool.engine.tls_hearing import hear_on
from loadtool.engine.unacknowledged import UNKNOWN, reset_at_once, unacknowledged
from loadtool.measure.outcome import PROTOCOL, TLS

if TYPE_CHECKING:
    from loadtool.engine.httpx_network import Network

AT_ONCE: Final = 16 * 1024  # bytes that the kernel takes without an answer from the peer
RECEIVE: Final = 64 * 1024
LAST_WORDS: Final = 1 << 20  # bytes of a broken connection that are still read
BEGAN: Final = 64  # bytes of an answer's beginning that are kept, for an example
_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)  # Linux's; an error shows without it
_SETTINGS: Final = 4
_HTTP1: Final = b"HTTP/1."
GRACE_S: Final = 0.1  # for a write under way when its time is up

_Transport = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Unreachable(Exception):
    """A connection that did not come about."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class Stream(httpcore.AsyncNetworkStream):
    """A connection to the target, or to the proxy before it. Times are ns of the monotonic clock."""

    def __init__(
        self,
        network: Network,
        sock: trio.socket.SocketType,
        transport: _Transport,
        address: Address,
        *,
        http2: bool,
    ) -> None:
        self.address = address
        self.first = 0  # when the first byte came since this was set to 0
        self.last = 0  # when the last one came
        self.began = b""  # the first ones
        self.ended = False  # the peer has closed it
        self.broken = ""  # what broke it, in words
        self.lacking = False  # ... and that was a lack of something on this machine
        self.alerted = False  # ... and that was what the peer said of TLS
        self.in_head = True  # of an answer
        self.spare = False  # was opened for whoever needs it
        self.dialled_for = 0  # ... and took so many ns to be connected
        self.written = 0  # bytes since this was set to 0
        self.unacknowledged = UNKNOWN  # of all that was written, as the connection ended
        self.reset_at_once = False  # then: and perhaps what was written had been read
        self._used = False
        self._head_length = 0
        self.http2 = http2  # is what is spoken over it
        self.frames = Frames()  # of the peer, if so
        self._network = network
        self._sock = sock
        self._transport = transport
        self._early = bytearray()  # came while the request was still being sent
        self._heard_out = False  # nothing more than that can be read
        self._sifted = False  # the frames of HTTP/2 in it have been looked at
        self._goodbye = False  # ... and the peer had ended it as TLS wants it

    def expect(self) -> None:
        """A request is about to leave: what comes from now on answers it."""
        self._used = True
        self.first = 0
        self.began = b""
        self.in_head = True
        self._head_length = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while (data := await self._receive(max_bytes)) and self.http2:
            if not self._sifted:
                data = self.frames.pass_on(data)
            if self.frames.refused:
                self.broken = self.frames.words
                raise httpcore.ReadError(self.broken)
            if data:
                break
        return data

    async def _receive(self, max_bytes: int) -> bytes:
        if self._early:
            data = bytes(self._early[:max_bytes])
            del self._early[:max_bytes]
        elif self._heard_out:
            self.reset_at_once = False  # how much of a write under TLS has left is not known
            if not self._goodbye:
                raise httpcore.ReadError(self.broken)
            data = b""
            self._came(data)
        else:
            try:
                data = bytes(await self._transport.receive_some(max_bytes))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                raise httpcore.ReadError(self._break(e)) from None
            self._came(data)
        if self.in_head:
            self._look_at_head(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            if self.http2:
                await self._send_whole(buffer)
                self.written += len(buffer)
            elif len(buffer) > AT_ONCE:
                await self._send_and_listen(buffer)
            else:
                await self._transport.send_all(buffer)
                self.written += len(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
            self._break(self._last_words(e) or e)
            if self.http2 and not self.lacking:
                self._last_frames()
            # After a WriteError httpcore still reads HTTP/1: the peer may have said why it takes no more.
            raise (httpcore.ReadError if self.lacking else httpcore.WriteError)(self.broken) from None

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        """At once: a polite end of TLS or of HTTP/2 would wait for a peer that may be frozen."""
        self._sock.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """The same connection with TLS to the target. Raises Unreachable."""
        if isinstance(self._transport, trio.SSLStream):
            return self  # it was a spare one
        network, dialler = self._network, self._network.dialler
        if network.http2:
            ssl_context.set_alpn_protocols(["h2"])
        try:
            # Not https_compatible: what ends without TLS's own goodbye may have been cut by anyone.
            secured = trio.SSLStream(self._transport, ssl_context, server_hostname=network.server_name)
            if dialler.session is not None:
                secured.session = dialler.session
            await secured.do_handshake()
        except (OSError, ValueError, MemoryError, trio.BrokenResourceError, trio.ClosedResourceError) as e:
            self.close()
            raise Unreachable(dialler.failure(_root(e), HANDSHAKING, self.address, clock())) from None
        except BaseException:
            self.close()
            raise
        stream = Stream(network, self._sock, secured, self.address, http2=network.http2)
        if network.http2 and secured.selected_alpn_protocol() != "h2":
            self.close()
            raise Unreachable(Failure(PROTOCOL, f"{self.address}: the server does not offer HTTP/2 (ALPN)"))
        return stream

    def remember_session(self) -> None:
        """Keep the TLS session, once an answer has come: with TLS 1.3 it comes after the handshake."""
        transport, dialler = self._transport, self._network.dialler
        if isinstance(transport, trio.SSLStream) and (
            dialler.session is None or not transport.session_reused
        ):
            dialler.session = transport.session

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object" if isinstance(self._transport, trio.SSLStream):
                return self._transport
            case "socket":
                return self._sock
        return None

    @property
    def tls(self) -> str:
        """The protocol that was agreed on, such as TLSv1.3; empty without."""
        return str(self._transport.version()) if isinstance(self._transport, trio.SSLStream) else ""

    def stale(self) -> bool:
        """Whether it is of no use for another request: closed by the peer, or something came unasked.

        With HTTP/2 something may come at any time, and after a handshake TLS has something to say.
        """
        fd = self._sock.fileno()
        if fd < 0 or self.ended or self.broken or self.frames.leaving:
            return True
        silent = not self.http2 and (self._used or not self.tls)
        if silent and isinstance(self._transport, trio.SSLStream) and self._transport._incoming.pending:
            return True  # it came with the answer, and trio keeps it to itself
        poll = select.poll()
        poll.register(fd, select.POLLIN if silent else _HUNG_UP)
        return bool(poll.poll(0))

    def _look_at_head(self, data: bytes) -> None:
        """Refuse what h11 and h2 would wait for, or take, for ever."""
        if self.http2:
            if not may_be_http2(self.began):
                raise httpcore.RemoteProtocolError("not HTTP/2")
            self.in_head = len(self.began) < FRAME_HEAD
            return
        if not _may_be_http1(self.began):
            raise httpcore.RemoteProtocolError("not HTTP/1.x")
        self._head_length += len(data)
        if self._head_length > MAX_HEAD + RECEIVE:  # as the last bytes may be of the body
            raise httpcore.RemoteProtocolError(f"more than {MAX_HEAD // 1024} KiB of head")

    def _came(self, data: bytes) -> None:
        if not data:
            self.ended = True
            self._look_at_rest()
            return
        self.last = clock()
        if not self.first:
            self.first = self.last
        if len(self.began) < BEGAN:
            self.began = (self.began + data)[:BEGAN]

    def _look_at_rest(self) -> None:
        if self._sock.fileno() >= 0:  # else it was closed on this side
            self.unacknowledged = min(self.unacknowledged, unacknowledged(self._sock.fileno()))

    def _last_words(self, error: BaseException) -> ssl.SSLError | None:
        """Take what the peer had said over TLS when a write failed with `error`; the alert, if it was one.

        trio reads no more once a write has failed, and there may be the reason: an alert, or an answer.
        """
        transport, cause = self._transport, _root(error)
        if not isinstance(transport, trio.SSLStream) or local_name(cause):
            return None
        self._heard_out = True
        if isinstance(cause, ssl.SSLError):
            return None  # it was read, and is the reason
        transport._incoming.write(self._unread())
        try:
            while data := transport._ssl_object.read(RECEIVE):
                self._came(data)
                self._early += data
            self._goodbye = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as e:
            return e.with_traceback(None)  # whose frames hold it: workers collect no cycles
        return None

    def _last_frames(self) -> None:
        """Heed a GOAWAY that had come when a write failed: httpcore reads no more HTTP/2 then."""
        if self._sifted:
            return
        if not isinstance(self._transport, trio.SSLStream) and (data := self._unread()):
            self._came(data)
            self._early += data
        self._early[:] = self.frames.pass_on(bytes(self._early))
        self._sifted = True
        if self.frames.refused or self.frames.complained:
            self.broken = self.frames.words

    def _unread(self) -> bytes:
        """What has come of a connection that is broken, and was not read."""
        data = bytearray()
        try:
            while len(data) < LAST_WORDS and (more := os.read(self._sock.fileno(), RECEIVE)):
                data += more
        except OSError:
            pass  # that was all, or it was closed on this side
        return bytes(data)

    def _break(self, error: BaseException) -> str:
        cause = _root(error)
        self.broken = describe(cause)
        self._look_at_rest()
        self.reset_at_once = reset_at_once(_told(error))
        outcome = ended_by(cause, started=False)
        self.alerted = outcome == TLS
        if outcome == LOCAL:
            self.lacking = True
            self._network.dialler.ran_out(cause)
        return self.broken

    async def _send_whole(self, data: bytes) -> None:
        """Send frames of HTTP/2: half a frame would ruin the connection for the requests that follow.

        So a request whose time is up does not cut this short, unless the peer does not read: then the
        connection is of no use to anybody.
        """
        until = max(trio.current_effective_deadline(), trio.current_time() + GRACE_S)
        with trio.CancelScope(shield=True, deadline=until) as scope:
            await self._transport.send_all(data)
        if scope.cancelled_caught:
            self.close()
            raise trio.ClosedResourceError from TimeoutError(errno.ETIMEDOUT, "")

    async def _send_counting(self, data: bytes) -> None:
        """Send all of it, and know how much has left should that fail; under TLS only what it was before."""
        if not isinstance(self._transport, trio.SocketStream):
            await self._transport.send_all(data)
            self.written += len(data)
            return
        with memoryview(data) as rest:
            at = 0
            while at < len(data):
                try:
                    count = await self._sock.send(rest[at:])
                except OSError as e:
                    raise trio.BrokenResourceError from e
                at += count
                self.written += count

    async def _send_and_listen(self, data: bytes) -> None:
        """Send much, and stop when the peer answers before it has everything: it may not read on."""
        failed: list[BaseException] = []  # raised outside, or the nursery would wrap it
        done = False
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                try:
                    while not _has_final_answer(self._early):
                        more = bytes(await self._transport.receive_some(RECEIVE))
                        if not more:
                            return  # `read` will see it again
                        self._came(more)
                        self._early += more
                except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                    # Sending will fail, too, but a kernel tells the reason once. Without a traceback, whose
                    # frames hold this list: workers collect no cycles.
                    failed.append(e.with_traceback(None))
                    return
                nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            try:
                await self._send_counting(data)
                done = True
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                failed.append(e)
            nursery.cancel_scope.cancel()
        if not done and failed:
            del failed[1:]
            raise failed.pop()
        if not done:
            hear_on(self._transport)  # the rest of the answer; the connection is dropped after it
            raise httpcore.WriteError("the answer came before the whole request had left")


def _root(error: BaseException) -> BaseException:
    """What trio wrapped."""
    return _told(error) or ConnectionResetError(errno.ECONNRESET, "")


def _told(error: BaseException) -> BaseException | None:
    """What the system said; None if it was trio that found the connection broken."""
    inner: BaseException | None = error
    while isinstance(inner, (trio.BrokenResourceError, trio.ClosedResourceError)):
        inner = inner.__cause__
    return inner


def _may_be_http1(began: bytes) -> bool:
    """Whether what begins like this may be an answer of HTTP/1.x; some servers send empty lines before it."""
    began = began.lstrip(b"\r\n")[: len(_HTTP1)]
    return _HTTP1.startswith(began)


def may_be_http2(began: bytes) -> bool:
    """Whether what begins like this may be a server of HTTP/2: with its settings (RFC 9113, 3.4)."""
    return len(began) < FRAME_HEAD or (began[3] == _SETTINGS and began[5:FRAME_HEAD] == bytes(4))


def _has_final_answer(data: bytes | bytearray) -> bool:
    """Whether an answer that is not interim (1xx) has begun."""
    at = 0
    while data[at : at + 7] == b"HTTP/1." and data[at + 9 : at + 10] == b"1":
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return False
        at = end + 4
    return len(data) > at + 9
