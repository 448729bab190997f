"""The signals that end a command, and what they do once trio does not hear them any more.

While a load goes on, trio hears them. As soon as it is over, trio puts back what was there before, which for
SIGTERM and SIGHUP ends the process on the spot: no report, no word of where the result is, half a file.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

_LAST_WORDS_S: Final = 1.0  # more than they take, unless nobody reads them


def endings() -> list[signal.Signals]:
    """Signals that end a run; a closed terminal does not where it was told not to (nohup)."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


class Ended(KeyboardInterrupt):
    """A signal ends the command here: no error of ours, and nothing but cleaning up may follow."""

    def __init__(self, number: int) -> None:
        """`number`: of the first signal."""
        super().__init__()
        self.exit_code = 128 + number


class Aftermath:
    """From the end of a load to the last line about it: a signal may come at any moment, and costs no result.

    At first they are held back (`hold`): whoever has the result does not know of it yet. Then the one that
    was held back, or else the next that comes, ends what goes on (`let_go`), by Ended. Others change nothing,
    so that half a file is removed and the last words are said. Of what came first is the exit code.

    For the main thread. When the block ends, everything is as it was before.
    """

    def __init__(self, *, ignored: bool = True) -> None:
        """`ignored`: those, too, that the command was started to ignore, as a load hears them."""
        self._ignored = ignored
        self.first: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._held = False  # one that ends what follows
        self._let_go = False
        self._ended_at: float | None = None

    def __enter__(self) -> Self:
        before = {number: signal.getsignal(number) for number in endings()}
        self._before = {n: b for n, b in before.items() if self._ignored or b is not signal.SIG_IGN}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Hold signals back from now on, wherever nobody else (trio) hears them."""
        for number in self._before:
            signal.signal(number, self._heed)

    def let_go(self) -> None:
        """A signal ends what goes on from here. Raises Ended if one was held back."""
        self._let_go = True
        if self._held:
            self._end()

    def exit_code(self, code: int) -> int:
        """Of a command to which nothing more happens: that of the first signal, else `code`."""
        return code if self.first is None else 128 + self.first

    def _heed(self, number: int, _: FrameType | None) -> None:
        if self.first is not None and number == signal.SIGHUP:
            return  # a closed terminal may say so twice, through its shell as well
        self.first = self.first or signal.Signals(number)
        if self._ended_at is not None:
            if time.monotonic() - self._ended_at > _LAST_WORDS_S:
                signal.signal(number, self._before[signal.Signals(number)])
                signal.raise_signal(number)
        elif self._let_go:
            self._end()
        else:
            self._held = True

    def _end(self) -> None:
        assert self.first is not None
        self._ended_at = time.monotonic()
        raise Ended(self.first)


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Files are written in this block: a signal ends it by Ended, which leaves no half of one.

    One that is ignored, as in what a script has in the background (`loadtool report … &`), stays ignored.
    """
    with Aftermath(ignored=False) as aftermath:
        aftermath.let_go()
        aftermath.hold()
        yield
