"""When an answer came, where the kernel says so: a program reads it only once it has woken up for it.

Waking up takes some 30 to 100 µs, and more on a machine with other work; by its own clock, a program calls
that time the target's. Linux notes with each packet when it came (SO_TIMESTAMPNS, socket(7)), and `recvmsg`
tells for the last of the bytes read. A saturated loop has no time for that, and its clock does.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

SO_TIMESTAMPNS: Final = 35  # Linux; the socket module has no name for it
TIMESPEC: Final = struct.Struct("@ll")
# Compiled code looks up the parts of what is imported whenever it needs them.
_SOL_SOCKET: Final = int(socket.SOL_SOCKET)
_STAMPED: Final = (
    frozenset((int(socket.AF_INET), int(socket.AF_INET6))) if sys.platform == "linux" else frozenset[int]()
)
_TIMESPEC_SIZE: Final = int(TIMESPEC.size)
_unpack: Final = TIMESPEC.unpack
SPACE: Final = 64  # of recvmsg's ancillary data: a header, padding and two numbers
# A later wake-up than this is a stall of ours. Those show in full in the response times (docs/accuracy.md),
# as the user would have waited for this machine, too.
WAKE_NS: Final = 1_000_000
SECOND: Final = 1_000_000_000
Ancillary = list[tuple[int, int, bytes]]
NONE: Final[Ancillary] = []


@contextlib.contextmanager
def kept_on() -> Iterator[None]:
    """Have the kernel stamp packets all the time, whether or not a connection asks for it.

    Linux begins with the first socket that asks and ends with the last, by rewriting its own code and telling
    all processors. With a connection a request that happened a thousand times a second, and took an eighth
    of a core.
    """
    keeper: socket.socket | None = None
    try:
        if _STAMPED:
            with contextlib.suppress(OSError):  # no IPv4, or no descriptor: slower, and otherwise the same
                keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                ask_for(keeper, socket.AF_INET)
        yield
    finally:
        if keeper is not None:
            keeper.close()


def ask_for(sock: socket.socket, family: int) -> bool:
    """Have the kernel stamp what comes over this socket of that family; whether it can."""
    if family not in _STAMPED:
        return False
    try:
        sock.setsockopt(_SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False  # a kernel without it, or one that imitates Linux
    return True


def came(ancillary: Ancillary, wall: int, now: int, begun: int) -> int:
    """When what was read at `now` had come, in ns of the monotonic clock. `wall`: the time of day at `now`.

    Never before the exchange had `begun`, even if the time of day, which stamps have, was set meanwhile.
    """
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC_SIZE:
            seconds, ns = _unpack(data[:_TIMESPEC_SIZE])
            age: int = wall - seconds * SECOND - ns
            if 0 <= age <= WAKE_NS:
                return max(begun, now - age)
    return now
