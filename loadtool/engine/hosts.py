"""Which hosts may be loaded: loopback and private addresses freely, any other only by name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from loadtool.engine.addresses import Address, resolve
from loadtool.errors import SetupError, UsageError
from loadtool.plan.job import Endpoint, ProxySpec


async def check_host(host: str, port: int, allowed: Iterable[str], *, what: str = "target") -> Sequence[str]:
    """The IP addresses of `host` as text; a unix-domain socket has none, and lies on this machine.

    Raises UsageError if one of them is neither loopback nor private and the host is not in `allowed`, and
    SetupError if the name does not resolve. `what` the host is to the run, for the message.
    """
    if host.startswith("/"):
        return []
    addresses = await resolve(host, port)
    check_addresses(host, addresses, allowed, what=what)
    return [_ip(address) for address in addresses]


def check_addresses(
    host: str, addresses: Iterable[Address], allowed: Iterable[str], *, what: str = "target"
) -> None:
    """The same for addresses of `host` that are known. Raises UsageError."""
    for address in addresses:
        if not may_load(host, address, allowed):
            raise UsageError(
                f"{what} {host} is the public address {_ip(address)}: "
                f"name it in allow_hosts: [{host}] or with --allow-host {host} if you may load it"
            )


def may_load(host: str, address: Address, allowed: Iterable[str]) -> bool:
    """Whether this address of `host` is loopback or private, or it or the host is in `allowed`."""
    if address.family == socket.AF_UNIX or _named(host, allowed):
        return True
    text = _ip(address)
    ip = ipaddress.ip_address(text)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_private or ip.is_link_local or text in allowed


class Guard:
    """Decides about the addresses that look-ups find while a run lasts, and keeps what to tell of it."""

    def __init__(self, host: str, allowed: Iterable[str], *, what: str = "target") -> None:
        self.warnings: list[str] = []  # not yet told, one an address
        self._host = host
        self._allowed = tuple(allowed)
        self._what = what
        self._refused: set[str] = set()

    def may_load(self, address: Address) -> bool:
        if may_load(self._host, address, self._allowed):
            return True
        host, text = self._host, _ip(address)
        if text not in self._refused:
            self._refused.add(text)
            self.warnings.append(
                f"{self._what} {host} has come to mean the public address {text}, where nothing was sent: "
                f"name it in allow_hosts: [{host}] or with --allow-host {host} if you may load it"
            )
        return False


async def check_behind(
    host: str, port: int, allowed: Iterable[str], *, what: str = "target"
) -> Sequence[str]:
    """The same for a host behind an HTTP proxy, whose name may mean something to that proxy alone.

    What it means can't be checked then, so it must be in `allowed`. Raises UsageError.
    """
    try:
        return await check_host(host, port, allowed, what=what)
    except SetupError as e:
        if _named(host, allowed):
            return []
        raise UsageError(
            f"{what} {host} has no address here, so only the proxy knows whether it is public: "
            f"name it in allow_hosts: [{host}] or with --allow-host {host} if you may load it"
        ) from e


async def check_target(
    endpoint: Endpoint, proxy: ProxySpec | None, allowed: Sequence[str], what: str = "target"
) -> Sequence[str]:
    """Check all that the load reaches; the addresses that its connections go to. Raises as `check_host`."""
    if proxy is None:
        return await check_host(endpoint.host, endpoint.port, allowed, what=what)
    near = await check_host(proxy.host, proxy.port, allowed, what="client.proxy")
    await check_behind(endpoint.host, endpoint.port, allowed, what=what)
    return near


def _ip(address: Address) -> str:
    """The IP address as text, without a zone."""
    return str(address.sockaddr[0]).partition("%")[0]


def _named(host: str, allowed: Iterable[str]) -> bool:
    return host.lower() in {name.lower() for name in allowed}
