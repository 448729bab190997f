"""Which hosts may be loaded (design §11): loopback and private addresses freely, any other only by name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from loadtool.engine.addresses import resolve
from loadtool.errors import SetupError, UsageError
from loadtool.plan.job import Endpoint, ProxySpec


async def check_host(host: str, port: int, allowed: Iterable[str], *, what: str = "target") -> Sequence[str]:
    """The IP addresses of `host` as text; a unix-domain socket has none, and lies on this machine.

    Raises UsageError if one of them is neither loopback nor private and the host is not in `allowed`, and
    SetupError if the name does not resolve. `what` the host is to the run, for the message.
    """
    if host.startswith("/"):
        return []
    addresses = [str(a.sockaddr[0]).partition("%")[0] for a in await resolve(host, port)]
    if _named(host, allowed):
        return addresses
    for text in addresses:
        address = ipaddress.ip_address(text)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not (address.is_loopback or address.is_private or address.is_link_local) and text not in allowed:
            raise UsageError(
                f"{what} {host} is the public address {text}: "
                f"name it in allow_hosts: [{host}] or with --allow-host {host} if you may load it"
            )
    return addresses


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


async def check_target(endpoint: Endpoint, proxy: ProxySpec | None, allowed: Sequence[str]) -> Sequence[str]:
    """Check all that the load reaches; the addresses that its connections go to. Raises as `check_host`."""
    if proxy is None:
        return await check_host(endpoint.host, endpoint.port, allowed)
    near = await check_host(proxy.host, proxy.port, allowed, what="client.proxy")
    await check_behind(endpoint.host, endpoint.port, allowed)
    return near


def _named(host: str, allowed: Iterable[str]) -> bool:
    return host.lower() in {name.lower() for name in allowed}
