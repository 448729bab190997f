"""The front: the proxy that the load itself goes through, on this machine's Toxiproxy or on another one's."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from loadtool.chaos.control import normal_url
from loadtool.engine.addresses import Address, resolve
from loadtool.errors import ProfileError, got
from loadtool.plan.endpoint import PORTS
from loadtool.plan.job import Endpoint
from loadtool.plan.places import mistake
from loadtool.profile.addresses import TARGET, split_host_port, without_userinfo
from loadtool.profile.load import Loaded
from loadtool.profile.model import Profile

EVERYWHERE: Final = "0.0.0.0:0"  # all addresses of a machine, the IPv6 ones too; any free port
_WILDCARDS: Final = ("", "0.0.0.0", "::")


def front_of(profile: Profile) -> str | None:
    """The name of the proxy whose upstream is the target; None if the load goes straight to that."""
    return next((name for name, proxy in profile.proxies.items() if proxy.upstream == TARGET), None)


async def listen_of(loaded: Loaded, url: str) -> str | None:
    """HOST:PORT on which the front is to listen, as the Toxiproxy at `url` sees it; None: on its loopback.

    On another machine that would be out of reach, so it is all of that one's addresses. Raises ProfileError
    if the profile wants a loopback there, SetupError if the URL's host does not resolve.
    """
    name = front_of(loaded.profile)
    if name is None:
        return None
    listen = loaded.profile.proxies[name].listen
    if not await is_elsewhere(url):
        return listen
    if listen is None:
        return EVERYWHERE
    host, port = split_host_port(listen)
    if _is_loopback(host):
        server = without_userinfo(normal_url(url))
        want = f"an address that the load can reach, such as 0.0.0.0:{port}: Toxiproxy is at {server}"
        message = f"{got(listen, want)}, and its loopback is that machine's own"
        raise ProfileError([mistake(loaded, ("proxies", name, "listen"), message)])
    return listen


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


def _is_here(address: Address) -> bool:
    """Packets to an address of this machine leave from that same address, or its loopback. None is sent."""
    with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(address.sockaddr)
        except OSError:  # no way leads there
            return False
        source = str(sock.getsockname()[0])
    return source == address.sockaddr[0] or _is_loopback(source)


def _is_loopback(host: str) -> bool:
    """By its looks: what any other name means is for the server to say."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
