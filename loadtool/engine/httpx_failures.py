"""What an exception of httpx, or of what it is built on, means for an arrival: the classification table.

By names, so that no library has to be imported for its exceptions' sake. What a socket or TLS raises does not
come this far: the network classifies it by the reactor's own table (`failures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpcore

from loadtool.engine.dialler import Failure
from loadtool.engine.failures import LOCAL
from loadtool.engine.httpx_stream import Stream, Unreachable, may_be_http2
from loadtool.measure.outcome import CHECK, CONNECT, PROTOCOL, RESET, TIMEOUT, TLS, UNSENT

REFUSED: Final = -3  # httpx will not send this request: never the target's fault
MISUSE: Final = -4  # only a mistake of ours can bring it about: it must be seen

# Package and class -> outcome. A class without a row has its nearest base's.
BY_NAME: Final[Mapping[str, int]] = {
    "httpx.HTTPError": PROTOCOL,
    "httpx.RequestError": PROTOCOL,
    "httpx.TransportError": RESET,
    "httpx.TimeoutException": TIMEOUT,
    "httpx.ConnectTimeout": UNSENT,
    "httpx.PoolTimeout": UNSENT,
    "httpx.ReadTimeout": TIMEOUT,
    "httpx.WriteTimeout": TIMEOUT,
    "httpx.NetworkError": RESET,
    "httpx.ConnectError": CONNECT,
    "httpx.ReadError": RESET,
    "httpx.WriteError": RESET,
    "httpx.CloseError": RESET,
    "httpx.ProxyError": CONNECT,
    "httpx.UnsupportedProtocol": MISUSE,
    "httpx.ProtocolError": PROTOCOL,
    "httpx.LocalProtocolError": REFUSED,  # by h11; what it passes on of h2 has rows of its own
    "httpx.RemoteProtocolError": PROTOCOL,
    "httpx.DecodingError": CHECK,
    "httpx.TooManyRedirects": MISUSE,
    "httpx.HTTPStatusError": MISUSE,
    "httpx.InvalidURL": MISUSE,
    "httpx.CookieConflict": MISUSE,
    "httpx.StreamError": MISUSE,
    "httpx.StreamConsumed": MISUSE,
    "httpx.StreamClosed": MISUSE,
    "httpx.ResponseNotRead": MISUSE,
    "httpx.RequestNotRead": MISUSE,
    "httpcore.ConnectionNotAvailable": RESET,
    "httpcore.TimeoutException": TIMEOUT,
    "httpcore.ConnectTimeout": UNSENT,
    "httpcore.PoolTimeout": UNSENT,
    "httpcore.ReadTimeout": TIMEOUT,
    "httpcore.WriteTimeout": TIMEOUT,
    "httpcore.NetworkError": RESET,
    "httpcore.ConnectError": CONNECT,
    "httpcore.ReadError": RESET,
    "httpcore.WriteError": RESET,
    "httpcore.ProxyError": CONNECT,
    "httpcore.UnsupportedProtocol": MISUSE,
    "httpcore.ProtocolError": PROTOCOL,
    "httpcore.LocalProtocolError": REFUSED,
    "httpcore.RemoteProtocolError": PROTOCOL,
    "h11.ProtocolError": PROTOCOL,
    "h11.LocalProtocolError": REFUSED,
    "h11.RemoteProtocolError": PROTOCOL,
    "h2.H2Error": PROTOCOL,
    "h2.ProtocolError": PROTOCOL,
    "h2.FrameTooLargeError": PROTOCOL,
    "h2.FrameDataMissingError": PROTOCOL,
    "h2.TooManyStreamsError": RESET,  # the server lowered its bound while the request was on its way
    "h2.FlowControlError": PROTOCOL,
    "h2.StreamIDTooLowError": PROTOCOL,
    "h2.NoAvailableStreamIDError": RESET,
    "h2.NoSuchStreamError": RESET,
    "h2.StreamClosedError": RESET,
    "h2.InvalidSettingsValueError": PROTOCOL,
    "h2.InvalidBodyLengthError": PROTOCOL,
    "h2.UnsupportedFrameError": PROTOCOL,
    "h2.RFC1122Error": PROTOCOL,
    "h2.DenialOfServiceError": PROTOCOL,
    "hpack.HPACKError": PROTOCOL,
    "hpack.HPACKDecodingError": PROTOCOL,
    "hpack.InvalidTableIndex": PROTOCOL,
    "hpack.InvalidTableIndexError": PROTOCOL,
    "hpack.InvalidTableSizeError": PROTOCOL,
    "hpack.OversizedHeaderListError": PROTOCOL,
    "hyperframe.HyperframeError": PROTOCOL,
    "hyperframe.InvalidDataError": PROTOCOL,
    "hyperframe.InvalidFrameError": PROTOCOL,
    "hyperframe.InvalidPaddingError": PROTOCOL,
    "hyperframe.UnknownFrameError": PROTOCOL,
    "trio.BrokenResourceError": RESET,
    "trio.ClosedResourceError": RESET,
    "trio.BusyResourceError": MISUSE,
    "trio.EndOfChannel": MISUSE,
    "trio.NeedHandshakeError": MISUSE,
    "trio.RunFinishedError": MISUSE,
    "trio.TooSlowError": TIMEOUT,
    "trio.WouldBlock": MISUSE,
    "trio.TrioInternalError": MISUSE,
    # Of anyio only what its streams raise; httpcore uses trio's, and so not even these.
    "anyio.BrokenResourceError": RESET,
    "anyio.ClosedResourceError": RESET,
    "anyio.ConnectionFailed": CONNECT,
    "anyio.EndOfStream": RESET,
    "anyio.IncompleteRead": RESET,
    "builtins.MemoryError": LOCAL,
    "builtins.ValueError": PROTOCOL,  # httpcore takes a number in an answer's head for one
}

_H11_BOUND: Final = httpcore.AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE


def row_of(error: BaseException) -> int:
    """The outcome code, LOCAL or REFUSED. Raises the error itself if it has no row, or MISUSE's."""
    for class_ in type(error).__mro__:
        row = BY_NAME.get(f"{class_.__module__.partition('.')[0]}.{class_.__name__}")
        if row is not None and row != MISUSE:
            return row
        if row is not None:
            break
    raise error


@dataclass(frozen=True, slots=True)
class Scene:
    """How far an exchange was when it failed."""

    proxied: bool  # there is an HTTP proxy before the target
    sent: bool  # to the target, not only to a proxy
    started: bool  # the answer has
    heard: bool  # its head is complete
    stream: Stream | None  # None: not connected


def blame(error: BaseException, scene: Scene) -> Failure:
    """The outcome of an exchange that failed, and why in words. Raises the error if it is a bug of ours.

    A local failure's outcome is LOCAL as long as nothing was sent, else TIMEOUT: this machine gave it up.
    """
    if isinstance(error, Unreachable):
        return error.failure
    stream = scene.stream
    address = f"{stream.address}: " if stream is not None else ""
    where = "in the middle of the answer" if scene.started else "before an answer came"
    row = row_of(_source(error))
    if row == LOCAL or (stream is not None and stream.lacking):
        words = stream.broken if stream is not None and stream.lacking else "Cannot allocate memory (ENOMEM)"
        if not scene.sent:
            return Failure(LOCAL, f"{address}{words}")
        return Failure(TIMEOUT, f"this machine gave up {where}: {words}")
    if scene.proxied and not scene.sent and row != REFUSED:
        return Failure(CONNECT, f"the proxy {address}{_words(error, stream)}")
    if row == PROTOCOL and stream is not None and (stream.ended or stream.broken):
        row = RESET  # the parser had to do with what there was
    if row == RESET or _ended_by_peer(error):
        alerted = stream is not None and stream.alerted and not scene.started
        return Failure(TLS if alerted else RESET, f"{address}{_words(error, stream)} {where}")
    text = _text(error)
    if "Receive buffer too long" in text:
        what = "chunk extensions or trailers" if scene.heard else "head"
        text = f"more than {_H11_BOUND // 1024} KiB of {what}"
    return Failure(row, text)


def began(error: BaseException, stream: Stream | None) -> bytes:
    """What came in place of an answer, if that is how it went wrong."""
    if stream is None or isinstance(error, Unreachable) or row_of(_source(error)) != PROTOCOL:
        return b""
    spoken = may_be_http2(stream.began) if stream.http2 else stream.began.startswith(b"HTTP/1.")
    return b"" if spoken else stream.began


def concerns_one_stream(error: BaseException, *, broken_off: bool) -> bool:
    """Whether the HTTP/2 connection is as good as before. `broken_off`: h2 itself has ended it.

    h2 says "stream closed" of a frame that comes for a stream long over, too, and that ends the connection.
    """
    return type(_event(error)).__name__ == "StreamReset" or (_of_closed_stream(error) and not broken_off)


def _source(error: BaseException) -> BaseException:
    """The exception that says most: what httpx and httpcore passed on of h2's, or itself."""
    inner = error.__cause__ if error.__cause__ is not None else error
    for argument in (*inner.args, *error.args):
        if isinstance(argument, Exception) and type(argument).__module__.startswith("h2."):
            return argument
    return error


def _event(error: BaseException) -> object:
    """The event of h2 that httpcore made an exception of, if it is one."""
    inner = error.__cause__ if error.__cause__ is not None else error
    return inner.args[0] if inner.args else None


def _ended_by_peer(error: BaseException) -> bool:
    return type(_event(error)).__name__ in ("ConnectionTerminated", "StreamReset")


def _of_closed_stream(error: BaseException) -> bool:
    return type(_source(error)).__name__ in ("StreamClosedError", "NoSuchStreamError")


def _words(error: BaseException, stream: Stream | None) -> str:
    event = _event(error)
    code = getattr(event, "error_code", None)
    name = getattr(code, "name", None) or f"code {code}"
    match type(event).__name__:
        case "ConnectionTerminated":
            return f"the server ended the connection ({name})"
        case "StreamReset":
            return f"the server reset the stream ({name})"
    if _of_closed_stream(error):
        return "the stream was closed"  # h2 says its number
    if stream is not None and stream.broken:
        return stream.broken  # a write may have met what the read after it finds as the end of the file
    if stream is not None and stream.ended:
        return "the connection was closed"
    return _text(error)


def _text(error: BaseException) -> str:
    """Without the bytes that h11 quotes, which may be many: an example quotes some of them itself."""
    text = str(error).partition(": bytearray(")[0]
    if "_SWITCH_UPGRADE" in text:
        return "status 101 switches protocols"
    return text or type(error).__name__
