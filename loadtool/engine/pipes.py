"""The worker's ends of its two pipes. Both live in the reactor's poller.

In: JSON lines from the coordinator; end of file means that it is gone. Out: a JSON line, then frames; never
blocking, as a frame may be larger than the pipe.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from loadtool.engine.poller import WRITE, Poller


class Commands:
    """Lines of the coordinator, as they come."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = bytearray()
        self._lines: deque[bytes] = deque()

    def receive(self) -> Any:
        """Wait for the next one. Raises EOFError."""
        os.set_blocking(self.fd, True)
        while not self._lines:
            self._read()
        os.set_blocking(self.fd, False)
        return json.loads(self._lines.popleft())

    def ready(self) -> list[Any]:
        """Those that are there now. Raises EOFError when the coordinator is gone."""
        while True:
            try:
                self._read()
            except BlockingIOError:
                break
        lines = [json.loads(line) for line in self._lines]
        self._lines.clear()
        return lines

    def _read(self) -> None:
        data = os.read(self.fd, 1 << 20)
        if not data:
            raise EOFError("the coordinator is gone")
        self._buffer += data
        if b"\n" in data:
            *lines, rest = bytes(self._buffer).split(b"\n")
            self._lines.extend(lines)
            self._buffer = bytearray(rest)


class Reports:
    """Bytes for the coordinator, in order."""

    def __init__(self, fd: int, poller: Poller, special: dict[int, Callable[[], None]]) -> None:
        self._fd = fd
        self._poller = poller
        self._special = special
        # What the pipe has not taken. A coordinator that has been stopped (Ctrl-Z) takes nothing for minutes:
        # so neither a frame nor a write may cost more, the more there is.
        self._rest: deque[bytes] = deque()
        self._written = 0  # bytes of the first of them
        os.set_blocking(fd, False)

    def send(self, data: bytes) -> None:
        """Write what the pipe takes now; the rest follows when it takes more."""
        waiting = bool(self._rest)
        self._rest.append(data)
        if not waiting:
            self._flush()
            if self._rest:
                self._poller.register(self._fd, WRITE)
                self._special[self._fd] = self._go_on

    def send_last(self) -> None:
        """Wait until everything is written."""
        os.set_blocking(self._fd, True)
        self._write()

    def _flush(self) -> None:
        try:
            self._write()
        except BlockingIOError:
            return

    def _write(self) -> None:
        while self._rest:
            first = self._rest[0]
            self._written += os.write(self._fd, memoryview(first)[self._written :])
            if self._written == len(first):
                self._rest.popleft()
                self._written = 0

    def _go_on(self) -> None:
        self._flush()
        if not self._rest:
            self._poller.unregister(self._fd)
            del self._special[self._fd]
