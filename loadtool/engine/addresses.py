"""The addresses of the target: which one the next connection goes to.

All addresses of a name take turns. One that refuses is left alone for a while as long as another works, so
that `localhost` that resolves to ::1 first costs one refusal and not one per connection.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import trio

from loadtool.errors import SetupError

AVOID_NS = 10_000_000_000


@dataclass(slots=True)
class Address:
    family: int
    sockaddr: Any
    avoid_until: int = 0

    def __str__(self) -> str:
        if self.family == socket.AF_INET6:
            return f"[{self.sockaddr[0]}]:{self.sockaddr[1]}"
        return f"{self.sockaddr[0]}:{self.sockaddr[1]}"


class Addresses:
    """A ring of addresses. Never empty."""

    def __init__(self, addresses: list[Address]) -> None:
        self._ring = addresses
        self._next = 0

    def __iter__(self) -> Iterator[Address]:
        return iter(self._ring)

    def __len__(self) -> int:
        return len(self._ring)

    def pick(self, now_ns: int, tried: list[Address]) -> Address | None:
        """The next address that this dial has not tried, good ones first. None: no more."""
        ring = self._ring
        n = len(ring)
        fallback = None
        for i in range(n):
            address = ring[(self._next + i) % n]
            if address in tried:
                continue
            if address.avoid_until <= now_ns:
                self._next = (self._next + i + 1) % n
                return address
            if fallback is None:
                fallback = address
        return fallback

    def failed(self, address: Address, now_ns: int) -> None:
        """Leave it alone for a while."""
        address.avoid_until = now_ns + AVOID_NS


async def resolve(host: str, port: int) -> Addresses:
    """All addresses of `host`, in the resolver's order. Raises SetupError if there are none."""
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        raise SetupError(f"cannot resolve {host}: {e.strerror or e}") from e
    addresses: list[Address] = []
    for family, _, _, _, sockaddr in found:
        address = Address(int(family), sockaddr)
        if address not in addresses:
            addresses.append(address)
    if not addresses:
        raise SetupError(f"cannot resolve {host}: no address")
    return Addresses(addresses)
