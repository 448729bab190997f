"""System calls that never wait; in the compiled build without giving up the interpreter's lock for them.

`read` and `write` do what os.read and os.write do, and are those in a plain build. `poll` and `set_timer` are
None there, as what stands in for them needs more than a descriptor; see `epoll.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

_own: ModuleType | None
try:
    _own = import_module("loadtool.engine._nonblocking")
except ModuleNotFoundError:  # one that is there and does not load is an error
    _own = None

read: Callable[[int, int], bytes] = getattr(_own, "read", os.read)
write: Callable[[int, bytes], int] = getattr(_own, "write", os.write)
poll: Callable[[int, int], list[tuple[int, int]]] | None = getattr(_own, "poll", None)
set_timer: Callable[[int, int], None] | None = getattr(_own, "set_timer", None)
