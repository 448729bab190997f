"""The store that the service depends on: a small server over TCP, one line in, one line out."""

from __future__ import annotations

import json
import zlib

import trio

from loadtool.target.pace import Pacer

LONGEST_LINE = 4096


class Lines:
    """Lines of bytes, without their end, over a stream; both ends of a store connection use it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = bytearray()

    async def read(self) -> bytes | None:
        """The next line; None at the end of the stream. Raises ValueError for an endless line."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
            data = await self.stream.receive_some()
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    async def write(self, line: bytes) -> None:
        await self.stream.send_all(line + b"\n")


def answer(line: bytes) -> bytes:
    """What the store says to a request: `OK …` or `ERR …`."""
    match line.split():
        case [b"PING"]:
            return b"OK pong"
        case [b"GET", b"product", key]:
            # A shop without a database: stock and price follow from the key.
            digest = zlib.crc32(key)
            row = {"stock": digest % 100, "price_cents": 99 + digest % 10_000}
            return b"OK " + json.dumps(row).encode()
        case [b"RESERVE", b"order", _] | [b"PUT", b"order", _]:
            return b"OK"
        case _:
            return b"ERR unknown request"


async def serve_store(stream: trio.abc.Stream, pacer: Pacer, store_time_s: float) -> None:
    """Answers the requests of one connection, each after `store_time_s`, until its client closes it."""
    lines = Lines(stream)
    async with stream:
        try:
            while (line := await lines.read()) is not None:
                await pacer.sleep(store_time_s)
                await lines.write(answer(line))
        except (trio.BrokenResourceError, ValueError):
            return  # the client is gone, or is none of ours
