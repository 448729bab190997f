"""Endpoint of a target: where to dial, and what to call it there."""

from __future__ import annotations

import base64
import ipaddress
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import idna

from loadtool.errors import UsageError, got
from loadtool.plan.job import Endpoint, ProxySpec
from loadtool.profile.addresses import socket_path, without_userinfo

PORTS: Final = {"http": 80, "https": 443}
_WANT: Final = "a URL such as http://127.0.0.1:8080"
_PATH: Final = "/:@!$&'()*+,;=-._~%"  # RFC 3986: what a path may hold as it is


def endpoint_of(target_url: str) -> Endpoint:
    """The endpoint of an http or https URL, or of unix:/PATH. Raises UsageError, with no password in it."""
    if (path := socket_path(target_url)) is not None:
        return Endpoint("http", path, 0, "localhost", "localhost")
    shown = without_userinfo(target_url)
    try:
        parts = urlsplit(target_url.strip())
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError as e:
        raise UsageError(f"target: {got(shown, _WANT)}: {e}") from None
    problems = {
        "the scheme is http or https": parts.scheme not in PORTS,
        "the host is missing": not host,
        "port 0 can't be dialled": port == 0,
        "a query belongs to a request": bool(parts.query),
        "a fragment is never sent": bool(parts.fragment),
    }
    for problem, found in problems.items():
        if found:
            raise UsageError(f"target: {got(shown, _WANT)}: {problem}")
    default = PORTS[parts.scheme]
    # A zone (fe80::1%eth0) means something here alone: it is dialled, and not sent (RFC 6874, §1).
    name = host.partition("%")[0]
    bracketed = f"[{name}]" if ":" in name else name
    return Endpoint(
        scheme=parts.scheme,
        host=host,
        port=port or default,
        authority=bracketed if port in (None, default) else f"{bracketed}:{port}",
        server_name=name.rstrip("."),
        base_path=quote(parts.path.rstrip("/"), safe=_PATH),
        authorization=_basic(parts.username, parts.password),
    )


def proxy_of(url: str) -> ProxySpec:
    """The HTTP proxy of a checked URL."""
    parts = urlsplit(url)
    return ProxySpec(
        host=_host(parts.hostname or ""),
        port=parts.port or PORTS["http"],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _host(host: str) -> str:
    """The host in ASCII, as DNS and certificates have it. Raises ValueError."""
    address, percent, zone = host.partition("%")
    try:
        return str(ipaddress.ip_address(address)) + percent + zone.removeprefix("25")
    except ValueError:
        if ":" in host or percent:
            raise ValueError("the host is not valid") from None
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("the host is not valid") from None


def _basic(user: str | None, password: str | None) -> str:
    """The Authorization header of a URL's userinfo (RFC 7617), empty without."""
    if user is None and password is None:
        return ""
    credentials = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"
