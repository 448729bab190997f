"""What an exception of a socket means for an arrival: the classification table.

Anything that ran out on this machine has a row in `LOCAL_ERRNOS` and is never blamed on the target; the other
OSErrors mean what their stage says; anything else has a row by class.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Final

from loadtool.engine.http1 import ProtocolError
from loadtool.measure.outcome import CONNECT, DNS, PROTOCOL, RESET, TLS

LOCAL: Final = -1
NOT_NOW: Final = -2  # nothing ran out and nothing is wrong: try again a little later

# errnos of a resource of this machine (files, ports, memory, buffers) that ran out
LOCAL_ERRNOS: Final = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.EADDRNOTAVAIL,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EADDRINUSE,
    )
)

# What each stage makes of an OSError that is not local.
CONNECTING: Final = CONNECT
HANDSHAKING: Final = TLS
EXCHANGING: Final = RESET


def classify(error: BaseException, stage: int) -> int:
    """The outcome code (or LOCAL) of `error` at a stage (CONNECTING, HANDSHAKING or EXCHANGING).

    Raises the error itself if it has no row: that is a bug and must be seen.
    """
    # SSLCertVerificationError is an OSError and a ValueError, so TLS comes first.
    if isinstance(error, ssl.SSLError):
        return TLS if stage == HANDSHAKING else RESET
    if isinstance(error, ProtocolError):
        return PROTOCOL
    if isinstance(error, OSError):
        if isinstance(error, socket.gaierror):
            return DNS
        if error.errno in LOCAL_ERRNOS:
            return LOCAL
        return stage
    if isinstance(error, MemoryError):
        return LOCAL
    raise error


def local_name(error: BaseException) -> str:
    """The name under which a local failure is counted, such as EMFILE."""
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "ENOMEM"


def describe(error: BaseException) -> str:
    """The error in words for an example."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error.args[-1]}"
    if isinstance(error, OSError) and error.errno is not None:
        name = errno.errorcode.get(error.errno, "")
        text = os.strerror(error.errno)
        return f"{text} ({name})" if name else text
    return str(error) or type(error).__name__
