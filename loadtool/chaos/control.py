"""Control: one running Toxiproxy, real or embedded, and everything that loadtool asks of it.

toxiproxy-python does what it does well: making proxies and toxics, and asking for the version. This module
owns what one has to know about it. It has no timeouts, honours HTTP_PROXY, keeps host and port on a class,
maps three status codes and takes every other answer for a success: so it gets a `requests` of ours
(`client`), and each call is a thread under a deadline. It can neither update a toxic nor read one back:
those, and all that takes things out again, go over httpx.

Every method raises FaultError in words with the URL, after `deadline_s` at the latest; a user and password in
the URL are masked there, and in whatever the server answers.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import trio

from loadtool.chaos.client import Calls, RefusedError, current, install
from loadtool.errors import FaultError
from loadtool.profile.addresses import without_userinfo
from loadtool.profile.secrets import Secrets, userinfo_secrets, userinfo_span

T = TypeVar("T")

DEADLINE_S = 5.0
# What reading an answer fails with that is no JSON, or other than a Toxiproxy's, or too deep.
_NONSENSE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


class MissingError(FaultError):
    """The server has no such proxy or toxic."""


@dataclass(frozen=True, slots=True)
class ToxicState:
    """A toxic as the server shows it; attributes in Toxiproxy's units."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as the server shows it."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...]

    def toxic(self, name: str) -> ToxicState | None:
        return next((t for t in self.toxics if t.name == name), None)


def _ignore(value: Any) -> None:
    pass


class Control:
    """A Toxiproxy. `origin` says in words where it came from, for the report.

    `url` has *** for user and password, `private_url` has them as they are and is never shown.
    Use as a context manager: `async with Control(url) as control`.
    """

    def __init__(
        self, url: str, *, origin: str = "", owned: bool = False, deadline_s: float = DEADLINE_S
    ) -> None:
        """`owned`: it ends with this process. Raises FaultError if `url` cannot be a Toxiproxy's."""
        self.private_url = normal_url(url)
        self.url = without_userinfo(self.private_url)
        span = userinfo_span(self.private_url)
        self._secrets = Secrets.of(userinfo_secrets(self.private_url[slice(*span)]) if span else ())
        self.owned = owned
        self.origin = origin or f"at {self.url}"
        self.deadline_s = deadline_s
        # What the proxies of one that is owned have lacked since this was last asked, as the system calls it.
        self.lacked: Callable[[], Sequence[str]] = tuple
        # How one that is owned has ended, in words; "" while it runs.
        self.ended: Callable[[], str] = str
        self._given_up: set[Calls] = set()
        self._http = httpx.AsyncClient(
            base_url=self.private_url,
            trust_env=False,
            timeout=deadline_s,
            # Loading the system's certificates takes 20 ms, and plain HTTP is the rule.
            verify=self.url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            await self._http.aclose()

    # Asking

    async def version(self) -> str:
        """The server's version; "git" if it was built from source without one."""

        def ask() -> str:
            from toxiproxy.api import APIConsumer

            return _version(APIConsumer.get("/version"))

        return await self._in_thread("ask for the version", ask)

    async def list(self) -> dict[str, ProxyState]:
        """All proxies by name."""
        return await self._ask(
            "list the proxies", "GET", "/proxies", read=lambda v: {n: _proxy(p) for n, p in v.items()}
        )

    async def get_proxy(self, name: str) -> ProxyState:
        """Raises MissingError if there is none of that name."""
        return await self._ask(f"read proxy {name}", "GET", _path(name), read=_proxy)

    # Changing

    async def create_proxy(self, name: str, upstream: str, listen: str = "127.0.0.1:0") -> str:
        """Make a proxy, enabled. Returns where it listens, as HOST:PORT."""

        def create() -> str:
            from toxiproxy import Toxiproxy
            from toxiproxy.exceptions import ProxyExists

            try:
                return _address(Toxiproxy().create(upstream=upstream, name=name, listen=listen).listen)
            except ProxyExists:
                raise RefusedError(409, '{"error": "proxy already exists"}') from None

        return await self._in_thread(f"create proxy {name} ({listen} to {upstream})", create)

    async def add_toxic(
        self,
        proxy: str,
        name: str,
        type_: str,
        attributes: Mapping[str, int],
        *,
        stream: str = "downstream",
        toxicity: float = 1.0,
    ) -> None:
        """Add a toxic; `attributes` are in Toxiproxy's units, `toxicity` a share of connections."""

        def add() -> None:
            from toxiproxy import Proxy

            handle = Proxy(name=quote(proxy, safe=""), upstream="", enabled=True, listen="")
            handle.add_toxic(
                name=name, type=type_, stream=stream, toxicity=toxicity, attributes=dict(attributes)
            )

        await self._in_thread(f"add toxic {name} to proxy {proxy}", add)

    async def update_toxic(self, proxy: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change attributes of a toxic in place; no connection drops. Raises MissingError if it is gone."""
        body = {"attributes": dict(attributes)}
        await self._ask(
            f"update toxic {name} of proxy {proxy}", "PATCH", _path(proxy, name), body, read=_ignore
        )

    async def remove_toxic(self, proxy: str, name: str) -> None:
        """Raises MissingError if it is gone already."""
        await self._ask(f"remove toxic {name} from proxy {proxy}", "DELETE", _path(proxy, name), read=_ignore)

    async def set_enabled(self, proxy: str, enabled: bool) -> None:
        """Disabling closes the proxy's listener and all its connections."""
        what = f"{'enable' if enabled else 'disable'} proxy {proxy}"
        # POST, not PATCH: it does the same, and servers before 2.6 know nothing else.
        await self._ask(what, "POST", _path(proxy), {"enabled": enabled}, read=_ignore)

    async def delete_proxy(self, name: str) -> None:
        """Raises MissingError if it is gone already."""
        await self._ask(f"delete proxy {name}", "DELETE", _path(name), read=_ignore)

    async def settled(self) -> None:
        """Wait for calls that were given up and may still arrive at the server; they end by themselves."""
        while True:
            self._given_up = {c for c in self._given_up if c.under_way}
            if not self._given_up:
                return
            await trio.sleep(0.01)

    # How

    async def _ask(
        self, what: str, method: str, path: str, body: object = None, *, read: Callable[[Any], T]
    ) -> T:
        """Ask over httpx; `read` turns the answer's JSON into the result, or fails if it can't."""
        with trio.move_on_after(self.deadline_s):
            try:
                answer = await self._http.request(method, path, json=body)
                if method == "PATCH" and answer.status_code == 405:  # a server before 2.6
                    answer = await self._http.request("POST", path, json=body)
            except httpx.TimeoutException:
                raise self._silent(what) from None
            except (httpx.HTTPError, httpx.InvalidURL) as e:
                raise self._unreachable(what, e) from None
            if answer.status_code >= 300:
                raise self._refused(what, answer.status_code, _text(answer.content))
            try:
                return read(json.loads(_text(answer.content)) if answer.content else None)
            except _NONSENSE:
                raise self._strange(what) from None
        raise self._silent(what)

    async def _in_thread(self, what: str, call: Callable[[], T]) -> T:
        import requests

        calls = Calls(self.private_url, self.deadline_s)

        def run() -> T:
            install()
            current.set(calls)  # of this call alone: trio runs each thread in a copy of the context
            calls.under_way = True
            try:
                return call()
            finally:
                calls.under_way = False

        with trio.move_on_after(self.deadline_s):
            try:
                return await trio.to_thread.run_sync(run, abandon_on_cancel=True)
            except RefusedError as e:
                raise self._refused(what, e.status, e.text) from None
            except _NONSENSE:
                raise self._strange(what) from None
            except requests.Timeout:
                raise self._silent(what) from None
            except requests.RequestException as e:
                raise self._unreachable(what, e) from None
            finally:
                calls.close()
                self._given_up.add(calls)
        raise self._silent(what)

    def _refused(self, what: str, status: int, text: str) -> FaultError:
        text = self._secrets.mask(text)  # some servers repeat what they refuse
        try:
            reason = json.loads(text)["error"]
        except _NONSENSE:
            reason = " ".join(text.split())[:200] or "no reason given"
        kind = MissingError if status == 404 else FaultError
        return kind(f"cannot {what}: Toxiproxy {self.url} says {status}, {reason}")

    def _strange(self, what: str) -> FaultError:
        return FaultError(f"cannot {what}: {self.url} does not answer as a Toxiproxy does")

    def _silent(self, what: str) -> FaultError:
        return FaultError(f"cannot {what}: Toxiproxy {self.url} did not answer within {self.deadline_s:g} s")

    def _unreachable(self, what: str, error: Exception) -> FaultError:
        reason = self._secrets.mask(_root(error))
        return FaultError(f"cannot {what}: no Toxiproxy answers at {self.url} ({reason})")


def normal_url(text: str) -> str:
    """`http://HOST:PORT` of a URL, or of a bare HOST:PORT. Raises FaultError."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        shown = without_userinfo(text)
        raise FaultError(f"toxiproxy: got {shown!r}, want a URL such as http://127.0.0.1:8474")
    return url.rstrip("/")


def _path(proxy: str, toxic: str | None = None) -> str:
    path = f"/proxies/{quote(proxy, safe='')}"
    return path if toxic is None else f"{path}/toxics/{quote(toxic, safe='')}"


def _text(content: bytes) -> str:
    """JSON is UTF-8, whatever charset an answer says that it has."""
    return content.decode("utf-8", "replace")


def _proxy(value: Any) -> ProxyState:
    return ProxyState(
        _string(value["name"]), _string(value["listen"]), value["upstream"], value["enabled"],
        tuple(
            ToxicState(_string(t["name"]), t["type"], t["stream"], t["toxicity"], t["attributes"])
            for t in value["toxics"]
        ),
    )  # fmt: skip


def _string(value: Any) -> str:
    """Raises TypeError if it is none."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _address(value: Any) -> str:
    """HOST:PORT, where HOST may be nothing. Raises TypeError or ValueError if it is none."""
    match = re.fullmatch(r".*:([0-9]{1,5})", _string(value))
    if match is None or not 0 < int(match[1]) < 65536:
        raise ValueError(value)
    return match[0]


def _version(answer: Any) -> str:
    """Servers before 2.5 answer with bare text. Raises ValueError if it is none of both."""
    try:
        text = answer.json()["version"]
    except _NONSENSE:
        text = answer.text.strip()
    if not re.fullmatch(r"v?[\w.+-]{1,40}", text):
        raise ValueError(text)
    return str(text)


def _root(error: BaseException) -> str:
    """The innermost reason, such as "Connection refused"."""
    while True:
        if isinstance(error, BaseExceptionGroup):  # one for each address that was tried
            error = error.exceptions[0]
        elif (inner := error.__cause__ or error.__context__) is not None:
            error = inner
        else:
            break
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
