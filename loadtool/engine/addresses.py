"""The addresses of the target: which one the next connection goes to.

All addresses of a name take turns. One that refuses is left alone for a while as long as another works, so
that `localhost` that resolves to ::1 first costs one refusal and not one per connection. A name is looked up
again every now and then, as its addresses change in a long run.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from loadtool.errors import SetupError

AVOID_NS: Final = 10_000_000_000
LOOKUP_EVERY_S: Final = 30.0


@dataclass(slots=True)
class Address:
    family: int
    sockaddr: Any
    avoid_until: int = 0

    def __str__(self) -> str:
        if self.family == socket.AF_UNIX:
            return f"unix:{self.sockaddr}"
        if self.family == socket.AF_INET6:
            return f"[{self.sockaddr[0]}]:{self.sockaddr[1]}"
        return f"{self.sockaddr[0]}:{self.sockaddr[1]}"


class Addresses:
    """A ring of addresses. Never empty."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._ring = list(addresses)
        self._next = 0

    def __iter__(self) -> Iterator[Address]:
        return iter(self._ring)

    def __len__(self) -> int:
        return len(self._ring)

    def pick(self, now_ns: int, tried: list[Address]) -> Address | None:
        """The next address that this dial has not tried, good ones first. None: no more.

        When none of them is good, what was refused before tells none from another: all are good again. Else
        the first that works after an outage would have the whole load while the others are left alone.
        """
        address = self._good(now_ns, tried)
        if address is None:
            for other in self._ring:
                if other not in tried:
                    other.avoid_until = 0
            address = self._good(now_ns, tried)
        return address

    def _good(self, now_ns: int, tried: list[Address]) -> Address | None:
        """The next address that is neither tried nor left alone."""
        ring = self._ring
        n = len(ring)
        for i in range(n):
            address = ring[(self._next + i) % n]
            if address.avoid_until <= now_ns and address not in tried:
                self._next = (self._next + i + 1) % n
                return address
        return None

    def failed(self, address: Address, now_ns: int) -> None:
        """Leave it alone for a while."""
        address.avoid_until = now_ns + AVOID_NS

    def replace(self, others: Addresses) -> None:
        """Take over what a later look-up found; what is known of an address that remains, remains."""
        known = {(a.family, a.sockaddr): a for a in self._ring}
        self._ring = [known.get((a.family, a.sockaddr), a) for a in others]
        self._next = 0


async def resolve(host: str, port: int) -> Addresses:
    """All addresses of `host`, in the resolver's order. Raises SetupError if there are none.

    A path is the address of a unix-domain socket.
    """
    if host.startswith("/"):
        return Addresses([Address(socket.AF_UNIX, host)])
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as e:
        raise SetupError(f"cannot resolve {host}: {e.strerror or e}") from e
    except UnicodeError as e:
        raise SetupError(f"cannot resolve {host}: {e}") from e
    addresses = dict.fromkeys((int(family), sockaddr) for family, _, _, _, sockaddr in found)
    if not addresses:
        raise SetupError(f"cannot resolve {host}: no address")
    return Addresses([Address(family, sockaddr) for family, sockaddr in addresses])


def is_name(host: str) -> bool:
    """Whether this is a name, which a resolver may answer differently next time."""
    if host.startswith("/"):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return False
    return True


async def keep_resolved(
    addresses: Addresses,
    host: str,
    port: int,
    took: Callable[[int], None],
    may_load: Callable[[Address], bool],
    every_s: float = LOOKUP_EVERY_S,
) -> None:
    """Look the name up again and again, until cancelled; `took` is told how long each look-up took, in ns.

    An address that `may_load` refuses is left out. A look-up that fails, or finds no other, changes nothing:
    as in a resolver's cache, the last answer is as good as any.
    """
    while True:
        await trio.sleep(every_s)
        began = trio.current_time()
        try:
            found = await resolve(host, port)
        except SetupError:
            continue
        took(int((trio.current_time() - began) * 1e9))
        if allowed := [address for address in found if may_load(address)]:
            addresses.replace(Addresses(allowed))
