"""A trio stream of TLS that is still to be heard once sending over it has failed, or was cut short.

A server may answer, or complain, before it has read everything, and its last words count. But trio gives up
both directions with the one in which something went wrong.
"""

from __future__ import annotations

from typing import Any

import trio


def hear_on(stream: trio.abc.Stream) -> None:
    """Let `stream` be read though sending over it has gone wrong; nothing more is to be sent over it.

    This reaches into trio, which has no other way: the names are as they are from 0.27 to 0.35. Without them
    nothing is done, and the next read raises trio.BrokenResourceError. So it is for any other stream.
    """
    state: Any = getattr(stream, "_state", None)
    states: Any = type(state)
    if isinstance(stream, trio.SSLStream) and hasattr(states, "OK"):
        broken = getattr(states, "BROKEN", None)
        stream._state = states.OK if state is broken else state
