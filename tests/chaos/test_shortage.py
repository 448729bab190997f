"""Which errors tell that this process itself lacked something."""

from __future__ import annotations

import errno
import socket

import pytest

from loadtool.chaos.server.shortage import shortage_of

NO_FILE = OSError(errno.EMFILE, "Too many open files")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def after(*errors: OSError) -> OSError:
    """As trio tells of a connection for which it tried several addresses."""
    error = OSError("all attempts to connect to h:1 failed")
    error.__cause__ = ExceptionGroup("all attempts failed", errors)
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (NO_FILE, "EMFILE"),
        (OSError(errno.ENFILE, ""), "ENFILE"),
        (OSError(errno.ENOBUFS, ""), "ENOBUFS"),
        (OSError(errno.ENOMEM, ""), "ENOMEM"),
        (after(NO_FILE), "EMFILE"),
        (after(REFUSED, NO_FILE), "EMFILE"),
        (after(REFUSED, REFUSED), ""),
        (REFUSED, ""),
        (OSError("of no number"), ""),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ""),
        (ValueError("no port"), ""),
    ],
)
def test_a_shortage_is_known_by_its_errno_wherever_that_is(error: Exception, name: str) -> None:
    assert shortage_of(error) == name
