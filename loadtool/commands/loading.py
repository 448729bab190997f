"""Loading modules without looking for garbage among them, which would take a quarter of the time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Collect nothing while this block loads modules, and never look at what they brought again.

    Only in a program whose front door has begun so: elsewhere (a test that calls a command) somebody else's
    garbage would stay for ever, too.
    """
    if not gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
