"""Toxiproxy's HTTP API: which request does what, and how it is answered."""

from __future__ import annotations

import ipaddress
import json
import logging
import posixpath
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from loadtool.chaos.server import VERSION, metrics
from loadtool.chaos.server.collection import ApiError, Collection, Populated
from loadtool.chaos.server.http import Answer, Request

log = logging.getLogger("loadtool.toxiproxy")

_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"

Handler = Callable[["Api", Request, str, str], Awaitable[Answer]]


def to_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def to_error(error: ApiError) -> Answer:
    answer = to_json({"error": error.message, "status": error.status}, error.status)
    return Answer(answer.status, _PLAIN, answer.body + b"\n")


def plain(status: int, text: str) -> Answer:
    return Answer(status, _PLAIN, f"{text}\n".encode())


class Api:
    """Answers one request at a time or many at once; `host` is the one that the API was told to listen on."""

    def __init__(self, collection: Collection, host: str, *, proxy_metrics: bool = False) -> None:
        self.collection = collection
        self.proxy_metrics = proxy_metrics
        self._hosts = _Hosts(host)

    async def answer(self, request: Request) -> Answer:
        if not self._hosts.allow(request.header("host")):
            return plain(403, "Host header not allowed: use the address that the API is bound to")
        path = _path(request.target)
        clean = _clean(path)
        if clean != path:
            return Answer(301, "", b"", {"Location": quote(clean)})
        for pattern, handlers in _ROUTES:
            match = pattern.fullmatch(path)
            if match is None or (path == "/metrics" and not self.proxy_metrics):
                continue
            handler = handlers.get(request.method) or handlers.get("*")
            if handler is None:
                return Answer(405, "", b"")
            if request.header("user-agent").startswith("Mozilla/"):
                return plain(403, "User agent not allowed")
            names = [*match.groups(), "", ""]
            try:
                return await handler(self, request, names[0], names[1])
            except ApiError as e:
                return to_error(e)
            except Exception as e:
                # A mistake of ours must not take the proxies down with it.
                log.exception("%s %s", request.method, request.target)
                return to_error(ApiError(f"internal error: {e!r}", 500))
        return plain(404, "404 page not found")

    # Handlers: (request, proxy's name, toxic's name)

    async def version(self, request: Request, _: str, __: str) -> Answer:
        return Answer(200, "application/json;charset=utf-8", b'{"version": "%s"}\n' % VERSION.encode())

    async def proxies(self, request: Request, _: str, __: str) -> Answer:
        proxies = self.collection.proxies
        return to_json({name: proxies[name].as_json() for name in sorted(proxies)})

    async def create(self, request: Request, _: str, __: str) -> Answer:
        return to_json((await self.collection.create(request.body)).as_json(), 201)

    async def populate(self, request: Request, _: str, __: str) -> Answer:
        done: Populated = await self.collection.populate(request.body)
        value: dict[str, Any] = {"proxies": [p.as_json() for p in done.proxies] or None}
        if done.error is None:
            return to_json(value, 201)
        return to_json({"error": done.error.message, "status": done.error.status} | value, done.error.status)

    async def proxy(self, request: Request, name: str, _: str) -> Answer:
        return to_json(self.collection.get(name).as_json())

    async def update(self, request: Request, name: str, _: str) -> Answer:
        return to_json((await self.collection.update(name, request.body)).as_json())

    async def delete(self, request: Request, name: str, _: str) -> Answer:
        self.collection.delete(name)
        return Answer(204, "", b"")

    async def reset(self, request: Request, _: str, __: str) -> Answer:
        await self.collection.reset()
        return Answer(204, "", b"")

    async def toxics(self, request: Request, name: str, _: str) -> Answer:
        return to_json([t.as_json() for t in self.collection.get(name).listed_toxics()])

    async def add_toxic(self, request: Request, name: str, _: str) -> Answer:
        return to_json(self.collection.add_toxic(name, request.body).as_json())

    async def toxic(self, request: Request, name: str, toxic: str) -> Answer:
        return to_json(self.collection.toxic(name, toxic).as_json())

    async def update_toxic(self, request: Request, name: str, toxic: str) -> Answer:
        return to_json(self.collection.update_toxic(name, toxic, request.body).as_json())

    async def remove_toxic(self, request: Request, name: str, toxic: str) -> Answer:
        self.collection.remove_toxic(name, toxic)
        return Answer(204, "", b"")

    async def metrics(self, request: Request, _: str, __: str) -> Answer:
        proxies = self.collection.proxies
        rows = ((p.name, p.listen, p.upstream, p.traffic) for _, p in sorted(proxies.items()))
        return Answer(200, metrics.CONTENT_TYPE, metrics.text(rows).encode())


_PROXY = "/proxies/([^/]+)"
_TOXICS = f"{_PROXY}/toxics"
_TOXIC = f"{_TOXICS}/([^/]+)"

# Path, method ("*": any), handler.
_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("/version", "GET", Api.version),
    ("/proxies", "GET", Api.proxies),
    ("/proxies", "POST", Api.create),
    ("/populate", "POST", Api.populate),
    ("/reset", "POST", Api.reset),
    (_PROXY, "GET", Api.proxy),
    (_PROXY, "POST", Api.update),
    (_PROXY, "PATCH", Api.update),
    (_PROXY, "DELETE", Api.delete),
    (_TOXICS, "GET", Api.toxics),
    (_TOXICS, "POST", Api.add_toxic),
    (_TOXIC, "GET", Api.toxic),
    (_TOXIC, "POST", Api.update_toxic),
    (_TOXIC, "PATCH", Api.update_toxic),
    (_TOXIC, "DELETE", Api.remove_toxic),
    ("/metrics", "*", Api.metrics),
)
_ROUTES = tuple(
    (re.compile(path), {method: handler for p, method, handler in _TABLE if p == path})
    for path in dict.fromkeys(p for p, _, _ in _TABLE)
)


def _path(target: str) -> str:
    """The decoded path of a request's target, which may be a whole URL."""
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    return unquote(target.partition("?")[0])


def _clean(path: str) -> str:
    """The path without `//`, `.` and `..`, as Go's router redirects to it."""
    clean = "/" + posixpath.normpath(path).lstrip("/")
    return clean + "/" if path.endswith("/") and clean != "/" else clean


class _Hosts:
    """Which Host headers are ours. A page in a browser can make a name of its own resolve to us (DNS
    rebinding), but it cannot make the browser send another Host than that name.
    """

    def __init__(self, bound: str) -> None:
        self._bound = bound.lower().strip("[]")
        ip = _ip(self._bound)
        self._wildcard = not self._bound or (ip is not None and ip.is_unspecified)

    def allow(self, header: str) -> bool:
        try:
            host = urlsplit(f"//{header}").hostname
        except ValueError:
            return False
        if host is None:
            return False
        if host == self._bound or host == "localhost" or host.endswith(".localhost"):
            return True
        ip = _ip(host)
        if ip is not None:
            return ip.is_loopback or self._wildcard
        # Bound to all addresses: a name without a dot, such as a container's, is no name of the public DNS.
        return self._wildcard and ("." not in host or host == socket.gethostname().lower())


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
