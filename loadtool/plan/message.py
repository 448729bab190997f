"""Message: one request as it leaves, apart from what the transport adds."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """One request. A NamedTuple for its price: one is made per templated arrival.

    Without Host, Content-Length, User-Agent and Accept, which the transport adds where `headers` lack them.
    """

    method: str  # in capitals
    target: str  # path and query, ready for the request line, ASCII; without the endpoint's base path
    headers: tuple[tuple[str, str], ...]  # no control characters; one character a byte: encode as latin-1
    body: bytes
