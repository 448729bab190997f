"""What this process may run out of, and how to know it from other errors: it is no fault of an upstream's."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

_FILES_OR_MEMORY = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def shortage_of(error: BaseException) -> str:
    """The system's name, such as EMFILE, for what was lacking when `error` came; "" if nothing was.

    Errors that it stands for count too: the cause of one, and all of a group's.
    """
    names = (_name(e) for e in _roots(error) if isinstance(e, OSError))
    return next(filter(None, names), "")


def _name(error: OSError) -> str:
    if not isinstance(error, socket.gaierror):
        return errno.errorcode[error.errno] if error.errno in _FILES_OR_MEMORY else ""
    if error.errno == socket.EAI_MEMORY:
        return "ENOMEM"
    # A look-up that can open no file fails as one whose server does not answer.
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as e:
        return _name(e)
    return ""


def _roots(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for e in error.exceptions:
            yield from _roots(e)
    elif error.__cause__ is not None:
        yield from _roots(error.__cause__)
    else:
        yield error
