"""The classification table is complete: whatever a socket, TLS or the parser can raise has a row."""

from __future__ import annotations

import builtins
import errno
import socket
import ssl
from collections.abc import Iterator

import httptools
import pytest

from loadtool.engine.failures import (
    BY_CLASS,
    CONNECTING,
    EXCHANGING,
    HANDSHAKING,
    LOCAL,
    LOCAL_ERRNOS,
    LOCAL_REASONS,
    STAGES,
    classify,
    describe,
    ended_by,
    local_name,
)
from loadtool.engine.http1 import ProtocolError
from loadtool.judge.validity import _generator
from loadtool.measure.outcome import CONNECT, DNS, OUTCOMES, PROTOCOL, RESET, TLS
from loadtool.measure.result import Engine, Generator, Result


def family(*roots: type[BaseException]) -> Iterator[type[BaseException]]:
    """These classes and all their subclasses that exist."""
    for root in roots:
        yield root
        yield from family(*root.__subclasses__())


def exceptions_of(module: object) -> list[type[BaseException]]:
    """The exceptions that a library makes public."""
    found = [value for name, value in vars(module).items() if not name.startswith("_")]
    return [value for value in found if isinstance(value, type) and issubclass(value, BaseException)]


LIBRARIES = [
    *family(ssl.SSLError, httptools.HttpParserError, ProtocolError),
    *exceptions_of(ssl),
    *exceptions_of(httptools),
    *(e for e in exceptions_of(socket) if issubclass(e, OSError)),
    *(e for e in exceptions_of(builtins) if issubclass(e, OSError | UnicodeError | MemoryError)),
]


def made(class_: type[BaseException]) -> list[BaseException]:
    """Instances with and without the usual arguments."""
    if issubclass(class_, UnicodeDecodeError):
        return [class_("idna", b"x", 0, 1, "y")]
    if issubclass(class_, UnicodeEncodeError):
        return [class_("idna", "x", 0, 1, "y")]
    if issubclass(class_, UnicodeTranslateError):
        return [class_("x", 0, 1, "y")]
    if issubclass(class_, ProtocolError):
        return [class_("x")]
    return [class_(), class_("x"), class_(5, "x")]


@pytest.mark.parametrize("stage", STAGES)
def test_every_exception_of_a_library_has_a_row(stage: int) -> None:
    assert len(set(LIBRARIES)) > 30
    for class_ in LIBRARIES:
        for error in made(class_):
            outcome = classify(error, stage)
            assert outcome == LOCAL or OUTCOMES[outcome] in ("connect", "tls", "dns", "reset", "protocol")
            assert bool(local_name(error)) is (outcome == LOCAL)
            assert describe(error).strip() == describe(error) != ""


@pytest.mark.parametrize("stage", STAGES)
def test_every_errno_has_a_row(stage: int) -> None:
    for number, name in errno.errorcode.items():
        error = OSError(number, "")
        local = number in LOCAL_ERRNOS
        assert classify(error, stage) == (LOCAL if local else stage)
        assert local_name(error) == (name if local else "")
        assert describe(error).endswith(f"({name})")


def test_an_errno_that_has_no_name_is_its_stages() -> None:
    error = OSError(99999, "")
    assert classify(error, CONNECTING) == CONNECT
    assert describe(error) == "Unknown error 99999"


def test_no_row_is_out_of_reach() -> None:
    for index, (class_, outcomes) in enumerate(BY_CLASS):
        assert not any(issubclass(class_, earlier) for earlier, _ in BY_CLASS[:index])
        assert set(outcomes) == set(STAGES)


def test_a_bug_is_not_hidden_in_the_table() -> None:
    with pytest.raises(ZeroDivisionError):
        classify(ZeroDivisionError(), EXCHANGING)


def tls_error(class_: type[ssl.SSLError], reason: str, **more: str) -> ssl.SSLError:
    error = class_(1, f"[SSL: {reason}]")
    for name, value in {"reason": reason, **more}.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize(
    ("error", "stage", "outcome", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), CONNECTING, CONNECT,
         "Connection refused (ECONNREFUSED)"),
        (TimeoutError(errno.ETIMEDOUT, ""), CONNECTING, CONNECT, "Connection timed out (ETIMEDOUT)"),
        (ConnectionResetError(errno.ECONNRESET, ""), HANDSHAKING, TLS,
         "Connection reset by peer (ECONNRESET)"),
        (ConnectionResetError(errno.ECONNRESET, ""), EXCHANGING, RESET,
         "Connection reset by peer (ECONNRESET)"),
        (OSError(errno.EMFILE, ""), CONNECTING, LOCAL, "Too many open files (EMFILE)"),
        (OSError(errno.ENOBUFS, ""), EXCHANGING, LOCAL, "No buffer space available (ENOBUFS)"),
        (MemoryError(), HANDSHAKING, LOCAL, "Cannot allocate memory (ENOMEM)"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), CONNECTING, DNS, ""),
        (tls_error(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED", verify_message="expired"),
         HANDSHAKING, TLS, "certificate not accepted: expired"),
        (tls_error(ssl.SSLError, "WRONG_VERSION_NUMBER"), HANDSHAKING, TLS, "TLS: WRONG_VERSION_NUMBER"),
        (tls_error(ssl.SSLError, "BAD_RECORD_MAC"), EXCHANGING, RESET, "TLS: BAD_RECORD_MAC"),
        (tls_error(ssl.SSLError, "MALLOC_FAILURE"), HANDSHAKING, LOCAL, "TLS: MALLOC_FAILURE"),
        (ssl.SSLEOFError(8, "EOF"), EXCHANGING, RESET,
         "TLS: the connection was closed without a close_notify"),
        (tls_error(ssl.SSLError, "UNEXPECTED_EOF_WHILE_READING"), EXCHANGING, RESET,
         "TLS: the connection was closed without a close_notify"),
        (UnicodeError("label too long"), HANDSHAKING, TLS, "label too long"),
        (ProtocolError("not HTTP/1.x"), EXCHANGING, PROTOCOL, "not HTTP/1.x"),
    ],
)  # fmt: skip
def test_classification(error: BaseException, stage: int, outcome: int, words: str) -> None:
    assert classify(error, stage) == outcome
    if words:
        assert describe(error) == words


@pytest.mark.parametrize(
    ("error", "started", "outcome"),
    [
        (tls_error(ssl.SSLError, "TLSV13_ALERT_CERTIFICATE_REQUIRED"), False, TLS),
        (tls_error(ssl.SSLError, "SSLV3_ALERT_BAD_CERTIFICATE"), False, TLS),
        (tls_error(ssl.SSLError, "TLSV13_ALERT_CERTIFICATE_REQUIRED"), True, RESET),
        (tls_error(ssl.SSLError, "BAD_RECORD_MAC"), False, RESET),
        (tls_error(ssl.SSLError, "MALLOC_FAILURE"), False, LOCAL),
        (ssl.SSLEOFError(8, "EOF"), False, RESET),
        (ConnectionResetError(errno.ECONNRESET, ""), False, RESET),
        (MemoryError(), True, LOCAL),
    ],
)
def test_what_ends_an_exchange(error: BaseException, started: bool, outcome: int) -> None:
    assert ended_by(error, started=started) == outcome


def test_the_judge_has_a_remedy_for_whatever_may_run_out() -> None:
    for name in {errno.errorcode[number] for number in LOCAL_ERRNOS} | set(LOCAL_REASONS.values()):
        result = Result("0", "", 1, {}, "", Engine(), 1.0, 1.0, generator=Generator(local={name: 3}))
        (sentence,) = _generator(result)
        assert sentence.startswith("this machine ran out of ")
        assert "ran out of a resource" not in sentence
        assert f"({name}, 3 times): " in sentence
