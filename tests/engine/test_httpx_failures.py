"""The classification table of the transport httpx: complete, and right row by row."""

from __future__ import annotations

import inspect
from types import ModuleType, SimpleNamespace
from typing import cast

import h2.events
import h2.exceptions
import h11
import hpack
import httpcore
import httpx
import hyperframe.exceptions
import pytest
import trio
from h2.errors import ErrorCodes

from loadtool.engine.dialler import Failure
from loadtool.engine.failures import LOCAL
from loadtool.engine.httpx_failures import (
    BY_NAME,
    MISUSE,
    REFUSED,
    Scene,
    began,
    blame,
    concerns_one_stream,
    row_of,
)
from loadtool.engine.httpx_stream import Stream, Unreachable
from loadtool.measure.outcome import CONNECT, OUTCOMES, PROTOCOL, RESET, TIMEOUT, TLS

# What httpx is built on, as far as a request of ours goes; of trio's, what is no error is not looked at.
MODULES = (httpx, httpcore, h2.exceptions, h11, hpack, hyperframe.exceptions, trio)


def exceptions(module: ModuleType) -> list[type[Exception]]:
    classes = inspect.getmembers(module, inspect.isclass)
    return [c for _, c in classes if issubclass(c, Exception) and not issubclass(c, Warning)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_exception_has_a_row_of_its_own(module: ModuleType) -> None:
    package = module.__name__.partition(".")[0]
    found = {f"{package}.{c.__name__}" for c in exceptions(module)}
    assert found, "nothing was looked at"
    assert found - set(BY_NAME) == set()


def test_no_row_is_of_an_exception_that_is_none() -> None:
    packages = {module.__name__.partition(".")[0] for module in MODULES}
    known = {f"{m.__name__.partition('.')[0]}.{c.__name__}" for m in MODULES for c in exceptions(m)}
    assert {row for row in BY_NAME if row.partition(".")[0] in packages} - known == set()


def test_every_row_is_an_outcome() -> None:
    assert set(BY_NAME.values()) <= {*range(len(OUTCOMES)), LOCAL, REFUSED, MISUSE}


def test_the_classes_are_known_by_these_names() -> None:
    """Under the names that `row_of` makes of them: a library may have its classes in modules of any name."""
    for module in MODULES:
        for class_ in exceptions(module):
            error = class_.__new__(class_)
            expected = BY_NAME[f"{module.__name__.partition('.')[0]}.{class_.__name__}"]
            if expected == MISUSE:
                with pytest.raises(class_):
                    row_of(error)
            else:
                assert row_of(error) == expected


def test_what_has_no_row_is_raised() -> None:
    with pytest.raises(KeyError, match="a bug"):
        row_of(KeyError("a bug"))
    with pytest.raises(httpx.InvalidURL):
        blame(httpx.InvalidURL("of ours"), SENT)


def stream(
    *, ended: bool = False, broken: str = "", lacking: bool = False, alerted: bool = False,
    began: bytes = b"", http2: bool = False,
) -> Stream:  # fmt: skip
    fake = SimpleNamespace(
        address="10.0.0.1:80", ended=ended, broken=broken, lacking=lacking, alerted=alerted, began=began,
        http2=http2,
    )  # fmt: skip
    return cast(Stream, fake)


UNSENT = Scene(False, False, False, False, stream())
SENT = Scene(False, True, False, False, stream())
STARTED = Scene(False, True, True, True, stream())


def passed_on(error: type[Exception], what: object) -> Exception:
    """As httpcore wraps what it passes on, and httpx that."""
    inner = getattr(httpcore, error.__name__)(what)
    outer = error(str(inner))
    outer.__cause__ = inner
    return outer


def reset(code: ErrorCodes) -> h2.events.StreamReset:
    event = h2.events.StreamReset.__new__(h2.events.StreamReset)  # h2's versions want different arguments
    event.stream_id, event.error_code, event.remote_reset = 1, code, True
    return event


def goodbye(code: ErrorCodes) -> h2.events.ConnectionTerminated:
    event = h2.events.ConnectionTerminated()
    event.error_code, event.last_stream_id, event.additional_data = code, 1, None
    return event


AT = "10.0.0.1:80: "
ENDED = Scene(False, True, False, False, stream(ended=True))
BROKEN = Scene(False, True, False, False, stream(broken="Connection reset by peer"))
ALERTED = Scene(False, True, False, False, stream(broken="TLS: AN_ALERT", alerted=True))
ALERTED_LATE = Scene(False, True, True, True, stream(broken="TLS: AN_ALERT", alerted=True))
CUT = Scene(False, True, True, True, stream(ended=True))
LACKING = Scene(False, True, False, False, stream(broken="No buffer space available (ENOBUFS)", lacking=True))
ASKING = Scene(True, False, False, False, stream())


@pytest.mark.parametrize(
    ("error", "scene", "outcome", "detail"),
    [
        (Unreachable(Failure(TLS, "why")), UNSENT, TLS, "why"),
        (httpx.ReadError(""), BROKEN, RESET, f"{AT}Connection reset by peer before an answer came"),
        (httpx.ReadError(""), ALERTED, TLS, f"{AT}TLS: AN_ALERT before an answer came"),
        (httpx.ReadError(""), ALERTED_LATE, RESET, f"{AT}TLS: AN_ALERT in the middle of the answer"),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), ENDED, RESET,
         f"{AT}the connection was closed before an answer came"),
        (httpx.RemoteProtocolError("peer closed connection"), CUT, RESET,
         f"{AT}the connection was closed in the middle of the answer"),
        (httpx.RemoteProtocolError("illegal header line: bytearray(b'no colon')"), SENT, PROTOCOL,
         "illegal header line"),
        (httpx.RemoteProtocolError("Receive buffer too long"), SENT, PROTOCOL, "more than 100 KiB of head"),
        (httpx.RemoteProtocolError("Receive buffer too long"), STARTED, PROTOCOL,
         "more than 100 KiB of chunk extensions or trailers"),
        (httpx.RemoteProtocolError("Received server _SWITCH_UPGRADE event"), SENT, PROTOCOL,
         "status 101 switches protocols"),
        (httpx.ProxyError("407 Proxy Authentication Required"), ASKING, CONNECT,
         f"the proxy {AT}407 Proxy Authentication Required"),
        (httpx.RemoteProtocolError("junk"), ASKING, CONNECT, f"the proxy {AT}junk"),
        (httpx.LocalProtocolError("Illegal header value"), SENT, REFUSED, "Illegal header value"),
        (passed_on(httpx.LocalProtocolError, h2.exceptions.FrameTooLargeError("too long")), SENT, PROTOCOL,
         "too long"),
        (passed_on(httpx.LocalProtocolError, h2.exceptions.StreamClosedError(1)), SENT, RESET,
         f"{AT}the stream was closed before an answer came"),
        (passed_on(httpx.RemoteProtocolError, reset(ErrorCodes.INTERNAL_ERROR)), SENT, RESET,
         f"{AT}the server reset the stream (INTERNAL_ERROR) before an answer came"),
        (passed_on(httpx.RemoteProtocolError, goodbye(ErrorCodes.ENHANCE_YOUR_CALM)), STARTED, RESET,
         f"{AT}the server ended the connection (ENHANCE_YOUR_CALM) in the middle of the answer"),
        (httpx.ReadError("ENOBUFS"), LACKING, TIMEOUT,
         "this machine gave up before an answer came: No buffer space available (ENOBUFS)"),
        (MemoryError(), STARTED, TIMEOUT,
         "this machine gave up in the middle of the answer: Cannot allocate memory (ENOMEM)"),
        (MemoryError(), UNSENT, LOCAL, f"{AT}Cannot allocate memory (ENOMEM)"),
        (ValueError("invalid literal for int()"), SENT, PROTOCOL, "invalid literal for int()"),
    ],
)  # fmt: skip
def test_blame(error: Exception, scene: Scene, outcome: int, detail: str) -> None:
    assert blame(error, scene) == Failure(outcome, detail)


def test_who_is_told_of_it() -> None:
    """A stream's end is its own, a connection's is not."""
    one = passed_on(httpx.RemoteProtocolError, reset(ErrorCodes.CANCEL))
    all_ = passed_on(httpx.RemoteProtocolError, goodbye(ErrorCodes.PROTOCOL_ERROR))
    polite = passed_on(httpx.RemoteProtocolError, goodbye(ErrorCodes.NO_ERROR))
    errors = (one, all_, polite, httpx.ReadError(""))
    assert [concerns_one_stream(e, broken_off=False) for e in errors] == [True, False, False, False]
    for ended in (h2.exceptions.StreamClosedError(1), h2.exceptions.NoSuchStreamError(1)):
        for error in (passed_on(httpx.LocalProtocolError, ended), ended):
            assert concerns_one_stream(error, broken_off=False)
            assert not concerns_one_stream(error, broken_off=True)  # it was on another, and that is a breach


def test_only_what_is_no_answer_is_quoted() -> None:
    junk, answer = stream(began=b"SSH-2.0"), stream(began=b"HTTP/1.1 200 OK\r\nX")
    wrong = httpx.RemoteProtocolError("not HTTP/1.x")
    assert began(wrong, junk) == b"SSH-2.0"
    assert began(wrong, answer) == b""
    assert began(wrong, None) == b""
    settings = stream(began=b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", http2=True)
    assert began(wrong, settings) == b""
    assert began(passed_on(httpx.RemoteProtocolError, reset(ErrorCodes.CANCEL)), settings) == b""
    assert began(wrong, stream(began=b"HTTP/1.1 200 OK\r\nX", http2=True)) == b"HTTP/1.1 200 OK\r\nX"
    assert began(httpx.ReadError(""), junk) == b""
