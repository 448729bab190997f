"""The front: the proxy that the load itself goes through, on this machine's Toxiproxy or on another one's."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from loadtool.chaos.control import normal_url
from loadtool.engine.addresses import Address, resolve
from loadtool.engine.hosts import check_host
from loadtool.errors import ProfileError, SetupError, got
from loadtool.plan.endpoint import PORTS
from loadtool.plan.job import Endpoint
from loadtool.plan.places import mistake
from loadtool.profile.addresses import DEMO_STORE, TARGET, split_host_port, without_userinfo
from loadtool.profile.load import Loaded
from loadtool.profile.model import Profile

EVERYWHERE: Final = "0.0.0.0:0"  # all addresses of a machine, the IPv6 ones too; any free port
_WORDS: Final = (TARGET, DEMO_STORE)
_WILDCARDS: Final = ("", "0.0.0.0", "::")


def front_of(profile: Profile) -> str | None:
    """The name of the proxy whose upstream is the target; None if the load goes straight to that."""
    return next((name for name, proxy in profile.proxies.items() if proxy.upstream == TARGET), None)


async def listen_of(loaded: Loaded, url: str) -> str | None:
    """HOST:PORT on which the front is to listen, as the Toxiproxy at `url` sees it; None: on its loopback.

    On another machine that would be out of reach, so it is all of that one's addresses. Raises ProfileError
    if the profile wants a loopback there, or a proxy there before the demo service, which listens on the
    loopback here; SetupError if the URL's host does not resolve.
    """
    name, before_demo = front_of(loaded.profile), _before_demo(loaded.profile)
    if name is None and before_demo is None:
        return None
    listen = loaded.profile.proxies[name].listen if name is not None else None
    if not await is_elsewhere(url):
        return listen
    server = without_userinfo(normal_url(url))
    if before_demo is not None:
        message = (
            f"the demo service is within reach of this machine alone, and Toxiproxy is at {server}; leave "
            "toxiproxy: and --toxiproxy out, so that the run brings one"
        )
        raise ProfileError([mistake(loaded, ("proxies", before_demo, "upstream"), message)])
    if name is None or listen is None:
        return EVERYWHERE
    host, port = split_host_port(listen)
    if _is_loopback(host):
        want = f"an address that the load can reach, such as 0.0.0.0:{port}: Toxiproxy is at {server}"
        message = f"{got(listen, want)}, and its loopback is that machine's own"
        raise ProfileError([mistake(loaded, ("proxies", name, "listen"), message)])
    return listen


def _before_demo(profile: Profile) -> str | None:
    """The name of a proxy before the embedded demo service or its store, if there is one."""
    if profile.target != "demo":
        return None
    return next((n for n, proxy in profile.proxies.items() if proxy.upstream in (TARGET, DEMO_STORE)), None)


async def is_elsewhere(url: str) -> bool:
    """Whether no address of this URL's host is one of this machine. Raises SetupError if it has none."""
    parts = urlsplit(normal_url(url))
    addresses = await resolve(parts.hostname or "", parts.port or PORTS[parts.scheme])
    return not any(map(_is_here, addresses))


def dialled_host(listen: str | None, url: str) -> str:
    """The host at which the load reaches a proxy that listens there, on the Toxiproxy at `url`."""
    host = (listen or EVERYWHERE).rpartition(":")[0].strip("[]")
    return (urlsplit(normal_url(url)).hostname or "") if host in _WILDCARDS else host


def behind(endpoint: Endpoint, listen: str, url: str) -> Endpoint:
    """The endpoint reached through a proxy of the Toxiproxy at `url`; Host and SNI stay the target's."""
    return replace(endpoint, host=dialled_host(listen, url), port=int(listen.rpartition(":")[2]))


async def check_leads(profile: Profile, endpoint: Endpoint, allowed: Sequence[str]) -> None:
    """See that the load is not led to a public host that nobody named, by a proxy on which the target is.

    Raises UsageError. A name that does not resolve here, such as one of a container network, is left to the
    Toxiproxy that knows it.
    """
    at = [(endpoint.host, endpoint.port)]
    rest = {n: p for n, p in profile.proxies.items() if p.listen and p.upstream not in (None, *_WORDS)}
    while at:
        place = at.pop()
        for name in [name for name, proxy in rest.items() if _listens(str(proxy.listen), *place)]:
            host, port = split_host_port(str(rest.pop(name).upstream))
            at.append((host, port))  # where another proxy may listen
            with suppress(SetupError):
                await check_host(host, port, allowed, what=f"proxies.{name}.upstream:")


def _listens(listen: str, host: str, port: int) -> bool:
    """Whether who dials this host and port may well reach what listens there."""
    own, own_port = split_host_port(listen)
    same = own in _WILDCARDS or own.lower() == host.lower() or (_is_loopback(own) and _is_loopback(host))
    return same and own_port == port


def _is_here(address: Address) -> bool:
    """Packets to an address of this machine leave from that same address, or its loopback. None is sent."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
            sock.connect(address.sockaddr)
            source = str(sock.getsockname()[0])
    except OSError:  # no way leads there, or this kernel knows no such addresses
        return False
    return source == address.sockaddr[0] or _is_loopback(source)


def _is_loopback(host: str) -> bool:
    """By its looks: what any other name means is for the server to say."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
