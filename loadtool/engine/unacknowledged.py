"""What a peer has not acknowledged of what was written to it, which tells a race from a crash.

A request that comes upon a connection just closed is never acknowledged; one that was worked on has been.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
from typing import Final

UNKNOWN: Final = sys.maxsize  # more than was ever written
_NUMBER: Final = struct.Struct("i")


def unacknowledged(fd: int) -> int:
    """Bytes that were written to the socket `fd` and not acknowledged (ioctl SIOCOUTQ, see tcp(7)).

    A kernel still knows it after the peer's end or reset, but not all of them do: then it is UNKNOWN. On a
    unix socket a write to a closed peer fails, and what was closed later has acknowledged everything.
    """
    try:
        return int(_NUMBER.unpack(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(_NUMBER.size)))[0])
    except OSError:
        return UNKNOWN
