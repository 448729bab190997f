"""What a peer has taken of what was written to it, as its connection ends, which tells a race from a crash.

A request that comes upon a connection just closed is never acknowledged, and the end of the connection comes
before the refusal. One that was worked on has been acknowledged, unless the peer reset the connection soon: a
kernel takes up to 40 ms to acknowledge what was read, and one that hears a reset no longer looks for that.
Such a reset may be either: whoever closes with something unread sends one, too.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
from typing import Final

UNKNOWN: Final = sys.maxsize  # more than was ever written
LINUX: Final = sys.platform == "linux"
_NUMBER: Final = struct.Struct("i")


def reset_at_once(error: BaseException | None) -> bool:
    """Whether a connection was reset before its peer had ended it, by someone who may have read what came.

    Linux says EPIPE where the reset answers what was sent after the end (tcp_reset). Others say ECONNRESET to
    both: then nothing is known, and the answer is False.
    """
    return LINUX and isinstance(error, ConnectionResetError)


def unacknowledged(fd: int) -> int:
    """Bytes that were written to the socket `fd` and not acknowledged (ioctl SIOCOUTQ, see tcp(7)).

    A kernel still knows it after the peer's end or reset, but not all of them do: then it is UNKNOWN. On a
    unix socket a write to a closed peer fails, and what was closed later has acknowledged everything.
    """
    try:
        return int(_NUMBER.unpack(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(_NUMBER.size)))[0])
    except OSError:
        return UNKNOWN
