"""Readers of addresses: URLs, HOST:PORT, hosts. Syntax only; nothing is looked up.

Each returns the text it was given, or raises ValueError with "got X, want …", without any password in it.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from typing import Final
from urllib.parse import SplitResult, urlsplit

from loadtool.errors import got
from loadtool.profile import readers

DEMO: Final = "demo"  # `target: demo`, the embedded service
DEMO_STORE: Final = "demo.store"  # `upstream: demo.store`, what the embedded service depends on
TARGET: Final = "target"  # `upstream: target`: the load goes through this proxy
UNIX: Final = "unix:"  # `target: unix:/run/app.sock`, a service that listens on a unix-domain socket
LONGEST_SOCKET: Final = 103 if sys.platform == "darwin" else 107  # bytes of the socket's path

# More than a URL's grammar allows: a password with a slash in it must not be shown either.
_USERINFO = re.compile(r"//.*@", re.DOTALL)
_ESCAPES: Final = "write / ? # @ in a password as %2F %3F %23 %40"
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def without_userinfo(url: str) -> str:
    """The URL with *** for user and password, if it has any."""
    return _USERINFO.sub("//***@", url)


def target(value: object) -> str:
    """`demo`, the base URL of the service, or unix:/PATH."""
    if value == DEMO:
        return DEMO
    if isinstance(value, str) and value.startswith(UNIX):
        return _unix(value)
    return _url(value, "demo or a URL such as http://127.0.0.1:8080")


def _unix(value: str) -> str:
    """A unix-domain socket by its path; unix:///PATH, as other tools write it, will do."""
    path = re.sub(r"^//(?=/)", "", value.removeprefix(UNIX))
    want = "the absolute path of a socket, as unix:/run/app.sock"
    if not path.startswith("/") or path.startswith("//") or path.endswith("/") or not path.isprintable():
        raise ValueError(got(value, want))
    if len(path.encode()) > LONGEST_SOCKET:
        raise ValueError(got(value, f"{want}, of at most {LONGEST_SOCKET} bytes"))
    return UNIX + path


def socket_path(target_url: str) -> str | None:
    """The path of a target that is a unix-domain socket; None for any other."""
    return target_url.removeprefix(UNIX) if target_url.startswith(UNIX) else None


def http_url(value: object) -> str:
    return _url(value, "a URL such as http://127.0.0.1:8474")


def proxy_url(value: object) -> str:
    """URL of an HTTP proxy; plain HTTP is spoken with the proxy itself."""
    want = "the URL of an HTTP proxy such as http://127.0.0.1:3128"
    url = _url(value, want)
    parts = urlsplit(url)
    for problem, found in {
        "the proxy itself is spoken to in plain HTTP": parts.scheme != "http",
        "a proxy has no path": parts.path not in ("", "/"),
    }.items():
        if found:
            raise ValueError(f"{got(without_userinfo(url), want)}: {problem}")
    return url


def _url(value: object, want: str) -> str:
    if not isinstance(value, str):
        raise ValueError(got(value, want))
    shown = without_userinfo(value)
    if not value.isprintable() or " " in value:
        raise ValueError(got(shown, f"{want}, without spaces or control characters"))
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as e:
        problem = "the port goes from 1 to 65535" if "port" in str(e).lower() else "the host is not valid"
        raise ValueError(f"{got(shown, want)}: {_ESCAPES if '@' in value else problem}") from None
    for problem, found in _url_problems(parts, port).items():
        if found:
            hint = f"; {_ESCAPES}" if "@" in value else ""
            raise ValueError(f"{got(shown, want)}: {problem}{hint}")
    return value


def _url_problems(parts: SplitResult, port: int | None) -> dict[str, bool]:
    return {
        "the scheme is http or https": parts.scheme not in ("http", "https"),
        "the host is missing": not parts.hostname,
        "the host is not valid": bool(parts.hostname) and not is_host(parts.hostname or ""),
        "the port goes from 1 to 65535": port == 0,
        "a query belongs to a request": bool(parts.query),
        "a fragment is never sent": bool(parts.fragment),
    }


def is_host(host: str) -> bool:
    """Whether this is a host name or an IP address by its looks."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return True
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return False
    labels = ascii_host.removesuffix(".").split(".")
    if labels[-1].isdigit() and len(labels) > 1:
        return False  # an IPv4 address gone wrong, such as 127.0.0.256
    return len(ascii_host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def host(value: object) -> str:
    """A host name or an IP address, without a port."""
    if not isinstance(value, str) or not is_host(value):
        raise ValueError(got(value, "a host such as api.example.com or 10.1.2.3, without scheme and port"))
    return value


def ip(value: object) -> str:
    """An IP address that connections may leave from."""
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast:
        raise ValueError(got(value, "an IP address of this machine, such as 10.0.0.5"))
    return str(address)


def split_host_port(value: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT" or "[IPV6]:PORT". Raises ValueError."""
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([0-9]{1,5})", value)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"not HOST:PORT: {value}")
    name = match[1] if match[1] is not None else match[2]
    if not is_host(name) or (match[1] is not None and ":" not in name):
        raise ValueError(f"not HOST:PORT: {value}")
    return name, int(match[3])


def upstream(value: object) -> str:
    """HOST:PORT as the Toxiproxy server sees it, or `target`, or `demo.store`."""
    if value in (TARGET, DEMO_STORE):
        return str(value)
    want = "HOST:PORT such as 127.0.0.1:5432, or target, or demo.store"
    return _host_port(value, want, least=1)


def address(value: object) -> str:
    """HOST:PORT as this machine sees it."""
    return _host_port(value, "HOST:PORT such as 127.0.0.1:5432", least=1)


def page(value: object) -> str:
    """A path of the target, or a URL; either may have a query."""
    want = "a path such as /health, or a URL such as http://127.0.0.1:8080/health"
    if not isinstance(value, str) or not re.match(r"/|(?i:https?://)", value):
        raise ValueError(got(without_userinfo(value) if isinstance(value, str) else value, want))
    if "{{" in value or "{%" in value:
        raise ValueError(got(without_userinfo(value), f"{want}: this is no template"))
    if value.startswith("/"):
        return readers.path(value)
    if "#" in value or " " in value or not value.isprintable():
        shown = without_userinfo(value)
        raise ValueError(got(shown, f"{want}, without spaces, control characters and #…"))
    _url(value.partition("?")[0], want)
    return value


def listen(value: object) -> str:
    """HOST:PORT as the Toxiproxy server sees it; port 0 is any free one."""
    return _host_port(value, "HOST:PORT such as 127.0.0.1:15432", least=0)


def _host_port(value: object, want: str, *, least: int) -> str:
    if not isinstance(value, str):
        raise ValueError(got(value, want))
    try:
        _, port = split_host_port(value)
    except ValueError:
        raise ValueError(got(without_userinfo(value), want)) from None
    if port < least:
        raise ValueError(got(value, want))
    return value
