"""Message: one request as it leaves, apart from what the transport adds."""

from __future__ import annotations


class Message:
    """One request, not to be changed. Neither NamedTuple nor dataclass: one is made per templated arrival.

    Without Host, Content-Length, User-Agent and Accept, which the transport adds where `headers` lack them.
    """

    __slots__ = ("body", "headers", "method", "target")

    def __init__(self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.method = method  # in capitals
        self.target = target  # path and query, for the request line, ASCII; without the endpoint's base path
        self.headers = headers  # no control characters; one character a byte: encode as latin-1
        self.body = body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Message{self._key()!r}"

    def _key(self) -> tuple[object, ...]:
        return self.method, self.target, self.headers, self.body
