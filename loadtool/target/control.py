"""The demo service as a process: what it says to its parent, and what its parent says to it.

Its first line of output is `{"url": "http://127.0.0.1:PORT", "store": "127.0.0.1:PORT"}`. With the lifeline,
each line `{"store": "127.0.0.1:PORT"}` of its input re-wires it to reach its store there and is answered by
the same line; what it does not understand is answered by `{"error": "…"}`. The input's end ends the service.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import trio

from loadtool.errors import LoadtoolError, UsageError, got
from loadtool.target.server import Demo, serve
from loadtool.target.settings import Settings

_LONGEST_LINE = 64 * 1024
_WANT = 'a line such as {"store": "127.0.0.1:5432"}'

Write = Callable[[str], None]


async def run(settings: Settings, *, lifeline: bool, write: Write) -> int:
    """Serve until SIGINT, SIGTERM or the lifeline's end; returns the process's exit code (130, 143 or 0).

    `write` sends one line to whoever started us; its BrokenPipeError counts as the lifeline's end.
    Raises SetupError if a port is not free, UsageError if standard input cannot be a lifeline.
    """
    code = 0
    failure: LoadtoolError | None = None

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def heed_signals() -> None:
                nonlocal code
                async for number in signals:
                    code = 128 + number
                    nursery.cancel_scope.cancel()

            nursery.start_soon(heed_signals)
            try:
                demo: Demo = await nursery.start(serve, settings)
                write(json.dumps({"url": demo.url, "store": demo.store}))
                if lifeline:
                    await obey(demo, open_lifeline(), write)
                else:
                    await trio.sleep_forever()
            except BrokenPipeError:
                pass  # nobody listens any more
            except LoadtoolError as e:
                failure = e  # raised outside, or the nursery would wrap it
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return code


def open_lifeline() -> trio.abc.ReceiveStream:
    """This process's standard input. Raises UsageError if it has none."""
    try:
        return trio.lowlevel.FdStream(os.dup(0))
    except OSError as e:
        raise UsageError(f"--lifeline: standard input cannot be read ({e.strerror}), want a pipe") from e


async def obey(demo: Demo, lifeline: trio.abc.ReceiveStream, write: Write) -> None:
    """Carry out what the parent says, line by line, until it closes its end. Raises BrokenPipeError."""
    buffer = bytearray()
    async with lifeline:
        try:
            while data := await lifeline.receive_some(_LONGEST_LINE):
                buffer += data
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    write(json.dumps(await _carry_out(demo, bytes(line))))
                if len(buffer) > _LONGEST_LINE:
                    buffer.clear()
                    write(json.dumps({"error": f"got a line without end, want {_WANT}"}))
        except trio.BrokenResourceError:
            pass  # as good as closed


async def _carry_out(demo: Demo, line: bytes) -> dict[str, str]:
    try:
        order = json.loads(line)
    except (ValueError, RecursionError):
        order = None
    match order:
        case {"store": str(address), **rest} if not rest:
            try:
                return {"store": await demo.rewire(address)}
            except ValueError as e:
                return {"error": f"store: {e}"}
    return {"error": got(line.decode("utf-8", "replace"), _WANT)}
