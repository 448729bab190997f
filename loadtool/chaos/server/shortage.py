"""What this process may run out of, and how to know it from other errors: it is no fault of an upstream's."""

from __future__ import annotations

import errno
from collections.abc import Iterator

_FILES_OR_MEMORY = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def shortage_of(error: BaseException) -> str:
    """The system's name, such as EMFILE, for what was lacking when `error` came; "" if nothing was.

    Errors that it stands for count too: the cause of one, and all of a group's.
    """
    numbers = (e.errno for e in _roots(error) if isinstance(e, OSError))
    return next((errno.errorcode[n] for n in numbers if n in _FILES_OR_MEMORY), "")


def _roots(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for e in error.exceptions:
            yield from _roots(e)
    elif error.__cause__ is not None:
        yield from _roots(error.__cause__)
    else:
        yield error
