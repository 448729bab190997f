"""Which runs have something in a certain Toxiproxy, by whatever name or address that is reached now."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import trio

from loadtool.chaos.control import Control, ProxyState
from loadtool.chaos.journal import Change, Entry
from loadtool.errors import FaultError
from loadtool.profile.secrets import userinfo_span

_LOOK_UP_S: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}


async def located(found: Sequence[Entry], url: str | None) -> list[tuple[Entry, str]]:
    """Those that have something in the server at `url`, or all, each with the URL to ask.

    A run is known by what only it can have made, under whatever URL that shows; for the rest, such as a proxy
    that was put down, it is the address in its journal that counts, and that is asked. Raises FaultError if
    the server does not answer and none of them has its address: any of them may have something there.
    """
    if url is None:
        return [(entry, entry.url) for entry in found]
    known = []
    unanswered: FaultError | None = None
    there: Mapping[str, ProxyState] = {}
    async with Control(url) as control:
        try:
            there = await control.list() if found else {}
        except FaultError as e:
            unanswered = e  # those that are at its address are told so when they ask for their own
        for entry in found:
            if any(_shows(there, change) for change in entry.changes):
                known.append((entry, control.private_url))
            elif entry.url and await _is_same(urlsplit(entry.url), urlsplit(control.private_url)):
                known.append((entry, control.private_url if is_masked(entry.url) else entry.url))
    placed = any(change.kind != "run" for entry in found for change in entry.changes)
    if unanswered is not None and placed and not known:
        raise _not_looked_for(unanswered) from unanswered
    return known


async def see_that_it_answers(url: str) -> None:
    """Ask the server at `url` for its version. Raises FaultError if it gives none."""
    async with Control(url) as control:
        try:
            await control.version()
        except FaultError as e:
            raise _not_looked_for(e) from e


def _not_looked_for(why: FaultError) -> FaultError:
    return FaultError(
        f"{why}: start it or mend the URL; what killed runs may have left there was not looked for"
    )


def is_masked(url: str) -> bool:
    """Whether a journal's server takes a user and password, which no journal has."""
    return userinfo_span(url) is not None


def _shows(there: Mapping[str, ProxyState], change: Change) -> bool:
    """Whether a change with a name that is unique to its run is among these proxies."""
    proxy = there.get(change.proxy)
    if proxy is None:
        return False
    return change.kind == "proxy" or (change.kind == "toxic" and proxy.toxic(change.toxic) is not None)


async def _is_same(one: SplitResult, other: SplitResult) -> bool:
    if (_port(one), one.path) != (_port(other), other.path):
        return False
    return one.hostname == other.hostname or bool(await _addresses(one) & await _addresses(other))


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)


async def _addresses(parts: SplitResult) -> set[str]:
    """The IP addresses of a URL's host; none if nobody knows them, or not in time."""
    found: set[str] = set()
    with trio.move_on_after(_LOOK_UP_S):
        try:
            known = await trio.socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # no such host, or none that could be one
            return found
        found.update(str(address[0]) for *_, address in known)
    return found
