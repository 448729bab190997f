"""Addresses as Go's `net` package reads and writes them; its error texts, which clients show to people."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass

import trio

from loadtool.units import format_address

_NUMBER = re.compile(r"([+-]?)0*([0-9]*)")


class AddressError(Exception):
    """An address that cannot be used; the text is the one that the real server answers with."""


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved address: an IP, "" for all of this machine's, and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return format_address(self.ip, self.port)


def split(text: str) -> tuple[str, str]:
    """Host and port of `HOST:PORT`, `[IPv6]:PORT` or `:PORT`. Raises AddressError."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"address {text}: missing port in address")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise AddressError(f"address {text}: missing ']' in address")
        if not rest.startswith(":"):
            raise AddressError(f"address {text}: missing port in address")
        many = ":" in rest[1:]
    else:
        many = ":" in host
    if many:
        raise AddressError(f"address {text}: too many colons in address")
    for wrong in "[]":
        if wrong in host or wrong in port:
            raise AddressError(f"address {text}: unexpected '{wrong}' in address")
    return host, port


async def resolve(text: str) -> Address:
    """The address to listen on, IPv4 first where a name has both. Raises AddressError."""
    if not text:
        return Address("", 0)
    host, port = split(text)
    match = _NUMBER.fullmatch(port)
    if match is not None:
        sign, digits = match.groups()
        number = int(digits[:6] or 0)
        if number > 65535 or (number and sign == "-"):
            raise AddressError(f"address {port}: invalid port")
    else:
        try:
            number = socket.getservbyname(port, "tcp")
        except (OSError, ValueError):
            raise AddressError(f"lookup tcp/{port}: unknown port") from None
    if not host:
        return Address("", number)
    try:
        found = await trio.socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
    except (OSError, ValueError):  # ValueError: what no name can be, such as a label of 64 letters
        raise AddressError(f"lookup {host}: no such host") from None
    found.sort(key=lambda f: f[0] != socket.AF_INET)
    return Address(str(found[0][4][0]), number)


def listen(address: Address) -> socket.socket:
    """A non-blocking socket that listens there. Raises AddressError."""
    wildcard = address.ip in ("", "0.0.0.0", "::")
    both = wildcard and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in address.ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind((("::" if both else "0.0.0.0") if wildcard else address.ip, address.port))
        sock.listen(4096)
    except OSError as e:
        sock.close()
        reason = os.strerror(e.errno).lower() if e.errno else str(e)
        raise AddressError(f"listen tcp {address}: bind: {reason}") from None
    sock.setblocking(False)
    return sock


def bound(sock: socket.socket) -> Address:
    """Where a socket listens, with the port that it was given."""
    host, port = sock.getsockname()[:2]
    return Address(str(host), int(port))
