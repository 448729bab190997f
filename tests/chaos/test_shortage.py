"""Which errors tell that this process itself lacked something."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from loadtool.chaos.server import shortage
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


@pytest.mark.parametrize(
    ("number", "opens", "name"),
    [
        (socket.EAI_AGAIN, OSError(errno.EMFILE, ""), "EMFILE"),
        (socket.EAI_AGAIN, OSError(errno.ENFILE, ""), "ENFILE"),
        (socket.EAI_AGAIN, OSError(errno.ENOENT, ""), ""),
        (socket.EAI_AGAIN, None, ""),
        (socket.EAI_NONAME, None, ""),
        (socket.EAI_MEMORY, None, "ENOMEM"),
    ],
)
def test_a_look_up_that_could_open_nothing_is_one(
    number: int, opens: OSError | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own number says only that no answer came; some of them are numbers of other errors, too."""
    if opens is not None:
        monkeypatch.setattr(
            shortage, "os", SimpleNamespace(open=failing(opens), close=os.close, O_RDONLY=0, devnull="x")
        )
    assert shortage_of(socket.gaierror(number, "")) == name


def failing(error: OSError) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise error

    return fail
