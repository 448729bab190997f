"""Content-Encoding: the body that `expect` is to see (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

MAX_CODINGS: Final = 3  # each may unfold to any size, and take its time for it
MAX_MEMBERS: Final = 16  # of gzip: what follows one is copied
_GZIP: Final = b"\x1f\x8b"  # how a member begins
_NAME_LENGTH: Final = 20  # characters of an unknown coding's name that are shown
_ODD: Final = 4  # what can be read has no more than one character in so many that can't be printed


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """The body without its codings, which are listed in the order in which they were applied.

    At most about `limit` bytes of it: a small body can unfold to any size. Raises ValueError, with words for
    an example, if it can't be decoded.
    """
    names = [part.strip().lower() for part in coding.split(",") if part.strip()]
    if len(names) > MAX_CODINGS:
        raise ValueError(f"the body is coded {len(names)} times over, which is not undone")
    for name in reversed(names):
        decode = CODINGS.get(name)
        if decode is None:
            known = ", ".join(CODINGS)
            name = name[:_NAME_LENGTH]
            raise ValueError(f"the body is coded as {name}, which is not decoded; accept one of {known}")
        try:
            body = decode(body, limit)
        except zlib.error as e:
            raise ValueError(f"the body is said to be {name} and is not: {e}") from e
    return body


def quotable(body: bytes, coding: str, limit: int) -> str:
    """The beginning of a body as text on one line, for an example, or what it is if it is none.

    `body`: its first bytes as they came. Of them, at most about `limit` bytes are decoded.
    """
    kind = "binary"
    if coding and body:
        try:
            body = _begun(body, coding, limit)
        except ValueError:
            kind = coding[:_NAME_LENGTH]
    text = " ".join(body[:limit].decode("utf-8", "replace").split())
    odd = sum(c == "\ufffd" or not c.isprintable() for c in text)
    return f"{kind} data" if odd * _ODD > len(text) else text


def _begun(body: bytes, coding: str, limit: int) -> bytes:
    try:
        return decoded(body, coding, limit)
    except ValueError:
        _, line, rest = body.partition(b"\r\n")
        if not line:
            raise
        return decoded(rest, coding, limit)  # the line was the size of a chunk


def _gzip(body: bytes, limit: int) -> bytes:
    """Members one after another count as one text (RFC 1952, 2.2); what else follows them is left out."""
    text = b""
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        text += member.decompress(body, limit - len(text))
        body = member.unused_data
        if len(text) >= limit or not body.startswith(_GZIP):
            return text
    raise ValueError(f"the body is gzip in more than {MAX_MEMBERS} members, which is not undone")


def _deflate(body: bytes, limit: int) -> bytes:
    # The standard means zlib's format; some servers send the bare stream, and browsers take both.
    try:
        return zlib.decompressobj().decompress(body, limit)
    except zlib.error:
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(body, limit)


def _identity(body: bytes, limit: int) -> bytes:
    return body


CODINGS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "identity": _identity,
}
