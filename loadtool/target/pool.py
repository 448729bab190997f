"""The service's side of its store: a bounded pool of kept connections, and a time limit on each call."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import trio

from loadtool.target.settings import parse_address
from loadtool.target.store import Lines

StoreErrorKind = Literal["shut", "unreachable", "slow", "refused"]  # as they are counted


class StoreError(Exception):
    """A call to the store that failed; the text says how."""

    retry_after_s = 0.0  # when it is known to be worth another try


class StoreUnreachable(StoreError):
    """No connection, or it broke during the call."""


class StoreSlow(StoreError):
    """No answer within the time limit."""


class Answer(NamedTuple):
    text: bytes  # what the store said, without its OK
    took_s: float  # from the request's sending to its answer, without the wait for a connection


class _Gone(Exception):
    """The connection ended before the answer."""


Connect = Callable[[str], Awaitable[trio.abc.Stream]]


async def connect_tcp(address: str) -> trio.abc.Stream:
    """A connection to "HOST:PORT". Raises OSError."""
    return await trio.open_tcp_stream(*parse_address(address))


class StorePool:
    """At most `connections` calls at the same time, each over a connection of its own, kept for the next."""

    def __init__(
        self,
        address: str,
        *,
        connections: int,
        timeout_s: float,
        connect: Connect = connect_tcp,
    ) -> None:
        self.address = address
        self.calls = 0  # under way or waiting for a connection
        self._timeout_s = timeout_s
        self._connect = connect
        self._permits = trio.Semaphore(connections)
        self._idle: list[Lines] = []  # the last one used is the next: it is the least likely to be stale

    async def ask(self, request: bytes) -> Answer:
        """The store's answer to one line.

        Raises StoreUnreachable, StoreSlow, or StoreError if the store refused the request.
        """
        self.calls += 1
        try:
            with trio.move_on_after(self._timeout_s):
                async with self._permits:
                    return await self._exchange(request)
        finally:
            self.calls -= 1
        raise StoreSlow(f"store at {self.address} did not answer within {self._timeout_s * 1000:g} ms")

    async def rewire(self, address: str) -> None:
        """Reach the store at another address from now on. Calls under way end where they began."""
        self.address = address
        idle, self._idle = self._idle, []
        for connection in idle:
            await trio.aclose_forcefully(connection.stream)

    async def _exchange(self, request: bytes) -> Answer:
        address = self.address
        if self._idle:
            try:
                return await self._call(self._idle.pop(), address, request)
            except _Gone:
                pass  # closed while it lay idle, as it seems: once more on a new one, as browsers do
        try:
            stream = await self._connect(address)
        except OSError as e:
            raise StoreUnreachable(f"store at {address} is unreachable: {_reason(e)}") from e
        try:
            return await self._call(Lines(stream), address, request)
        except _Gone as e:
            raise StoreUnreachable(f"store at {address} closed the connection") from e

    async def _call(self, connection: Lines, address: str, request: bytes) -> Answer:
        keep = False
        try:
            start = trio.current_time()
            await connection.write(request)
            line = await connection.read()
            took = trio.current_time() - start
            keep = line is not None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
            raise _Gone from e
        except ValueError as e:
            raise StoreUnreachable(f"store at {address} sent no answer of ours: {e}") from e
        finally:
            if keep and address == self.address:
                self._idle.append(connection)
            else:
                await trio.aclose_forcefully(connection.stream)
        if line is None:
            raise _Gone
        verdict, _, text = line.partition(b" ")
        if verdict != b"OK":
            raise StoreError(f"store at {address} answered {line[:80].decode('utf-8', 'replace')}")
        return Answer(text, took)


def _reason(error: OSError) -> str:
    """The plain cause: trio wraps what several addresses said in one error."""
    cause: BaseException = error
    while isinstance(inner := cause.__cause__, BaseExceptionGroup | OSError):
        cause = inner.exceptions[0] if isinstance(inner, BaseExceptionGroup) else inner
    code = cause.errno if isinstance(cause, OSError) else None
    return os.strerror(code) if code is not None and code > 0 else str(cause)
