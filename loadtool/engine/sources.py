"""Source addresses: which local address a connection leaves from."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

# Linux: choose the port only when connecting, so that one source address has 28,000 of them per target.
_BIND_ADDRESS_NO_PORT: Final = 24
NO_WAY: Final = "this machine has no address to reach it from (EADDRNOTAVAIL)"


class Sources:
    """Local addresses that take turns, those of each family among themselves."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """`addresses`: as text; with none, the system chooses."""
        self._any = not addresses
        self._rings: dict[int, list[str]] = {
            family: [a for a in addresses if family_of(a) == family]
            for family in (socket.AF_INET, socket.AF_INET6)
        }

    def bind(self, sock: socket.socket, family: int) -> None:
        """Bind a socket of this family to the next one. Raises OSError, also if none is of that family."""
        if self._any:
            return
        ring = self._rings.get(family)
        if ring is None:
            return
        if not ring:
            raise OSError(errno.EAFNOSUPPORT, "no source address of its family")
        source = ring.pop(0)
        ring.append(source)
        _bind(sock, source)

    def no_way(self, error: BaseException, family: int, sockaddr: Any) -> bool:
        """Whether a connect to this address failed with `error` as this machine has none to leave from.

        Linux says the same when local ports have run out. A socket for datagrams has ports of its own, and
        has to find an address to leave from just so; to connect it sends nothing. With sources of the
        profile's, which are known to be this machine's, it is the ports.
        """
        if not self._any or family not in self._rings:
            return False
        if not isinstance(error, OSError) or error.errno != errno.EADDRNOTAVAIL:
            return False
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect(sockaddr)
        except OSError as e:
            return e.errno == errno.EADDRNOTAVAIL
        return False


def _bind(sock: socket.socket, source: str) -> None:
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def source_problems(sources: Sequence[str], targets: Iterable[str]) -> list[tuple[int, str]]:
    """What is wrong with the sources, by their index: nothing can be bound to one of them, or none reaches
    any of the target's addresses (IP addresses as text; without any, that is not looked at).
    """
    problems = [(i, problem) for i, source in enumerate(sources) if (problem := _unbindable(source))]
    families = {family_of(target) for target in targets}
    if families and sources and not problems and not families & set(map(family_of, sources)):
        kind = "IPv6" if families == {socket.AF_INET6} else "IPv4"
        problems.append((0, f"the target has {kind} addresses alone, and no source is one of those"))
    return problems


def source_for(sources: Sequence[str], targets: Iterable[str]) -> str | None:
    """The first source from which one of these addresses can be reached; None: the system may choose."""
    families = set(map(family_of, targets))
    return next((source for source in sources if family_of(source) in families), None)


def _unbindable(source: str) -> str:
    """Why nothing can be bound to it; empty if something can."""
    try:
        with socket.socket(family_of(source), socket.SOCK_STREAM) as sock:
            _bind(sock, source)
    except OSError as e:
        if e.errno == errno.EADDRNOTAVAIL or isinstance(e, socket.gaierror):
            return f"{source} is no address of this machine"
        return f"{source} can't be used: {os.strerror(e.errno) if e.errno else e}"
    return ""
