"""What an exception of a socket, of TLS or of the parser means for an arrival: the classification table.

A class has a row in `BY_CLASS`, by the stage at which it came. What ran out on this machine has one in
`LOCAL_ERRNOS` or `LOCAL_REASONS` and is never blamed on the target.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Final

import httptools

from loadtool.engine.http1 import ProtocolError
from loadtool.measure.outcome import CONNECT, DNS, PROTOCOL, RESET, TLS

LOCAL: Final = -1
NOT_NOW: Final = -2  # the target has no room for the connection yet: try again a little later
FULL_QUEUE: Final = "the target's queue of connections is full"

# The stages of a connection, and what each makes of an OSError that is not local.
CONNECTING: Final = CONNECT
HANDSHAKING: Final = TLS
EXCHANGING: Final = RESET
STAGES: Final = (CONNECTING, HANDSHAKING, EXCHANGING)

# errnos of a resource of this machine that ran out
LOCAL_ERRNOS: Final = frozenset(
    (
        errno.EMFILE,  # open files
        errno.ENFILE,
        errno.EADDRNOTAVAIL,  # ports, unless there is no address to leave from (`Sources.no_way`)
        errno.EADDRINUSE,
        errno.EAGAIN,
        errno.ENOBUFS,  # memory of the kernel
        errno.ENOMEM,
        errno.ENOSPC,  # places in epolls
    )
)
# ... and what OpenSSL calls that
LOCAL_REASONS: Final[Mapping[str, str]] = {"MALLOC_FAILURE": "ENOMEM"}

# What OpenSSL calls an end without close_notify. Python has a class of its own for that, but not every 3.11.
_NO_GOODBYE: Final = "UNEXPECTED_EOF_WHILE_READING"
_ALERT: Final = "_ALERT_"  # in what it calls the peer's own words of what went wrong


def _always(outcome: int) -> Mapping[int, int]:
    return dict.fromkeys(STAGES, outcome)


# Class -> stage -> outcome; the first row that fits. SSLCertVerificationError is an OSError and a ValueError.
BY_CLASS: Final[tuple[tuple[type[BaseException], Mapping[int, int]], ...]] = (
    (ssl.SSLError, {CONNECTING: TLS, HANDSHAKING: TLS, EXCHANGING: RESET}),
    (ProtocolError, _always(PROTOCOL)),
    (httptools.HttpParserError, _always(PROTOCOL)),
    (httptools.HttpParserUpgrade, _always(PROTOCOL)),
    (socket.gaierror, _always(DNS)),
    (socket.herror, _always(DNS)),
    (OSError, {stage: stage for stage in STAGES}),
    (MemoryError, _always(LOCAL)),
    (ValueError, _always(TLS)),  # UnicodeError, too: a server name that TLS can't ask for
)


def classify(error: BaseException, stage: int) -> int:
    """The outcome code (or LOCAL) of `error` at a stage (CONNECTING, HANDSHAKING or EXCHANGING).

    Raises the error itself if it has no row: that is a bug and must be seen.
    """
    if local_name(error):
        return LOCAL
    for class_, outcomes in BY_CLASS:
        if isinstance(error, class_):
            return outcomes[stage]
    raise error


def ended_by(error: BaseException, *, started: bool) -> int:
    """The outcome code (or LOCAL) of an exchange that `error` ended; `started`: the answer has.

    An alert in place of an answer is about TLS: with 1.3 a server says only after our handshake that it
    wants a certificate, or another one. Raises the error itself if it has no row.
    """
    if not started and isinstance(error, ssl.SSLError) and _ALERT in _reason(error):
        return TLS
    return classify(error, EXCHANGING)


def local_name(error: BaseException) -> str:
    """The name under which a local failure is counted, such as EMFILE; empty if it is none."""
    if isinstance(error, MemoryError):
        return "ENOMEM"
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's
        return LOCAL_REASONS.get(_reason(error), "")
    if isinstance(error, OSError) and error.errno in LOCAL_ERRNOS:
        return errno.errorcode[error.errno]
    return ""


def describe(error: BaseException) -> str:
    """The error in words for an example."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {getattr(error, 'verify_message', '') or error}"
    if isinstance(error, ssl.SSLEOFError) or _reason(error) == _NO_GOODBYE:
        return "TLS: the connection was closed without a close_notify"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {_reason(error) or (error.args[-1] if error.args else type(error).__name__)}"
    if isinstance(error, MemoryError):
        return "Cannot allocate memory (ENOMEM)"
    if isinstance(error, OSError) and error.errno is not None:
        name = errno.errorcode.get(error.errno, "")
        text = os.strerror(error.errno)
        return f"{text} ({name})" if name else text
    return str(error) or type(error).__name__


def _reason(error: BaseException) -> str:
    """OpenSSL's name of what went wrong; empty for an error that Python's ssl module made up itself."""
    return getattr(error, "reason", None) or ""
