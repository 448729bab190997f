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


def decoded(body: bytes, coding: str, limit: int, *, whole: bool = True) -> bytes:
    """The body without its codings, which are listed in the order in which they were applied.

    At most about `limit` bytes of it: a small body can unfold to any size. Not `whole`: it goes on after
    these bytes. Raises ValueError, with words for an example, if it can't be decoded.
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
            body, ended = decode(body, limit)
        except zlib.error as e:
            raise ValueError(f"the body is said to be {name} and is not: {e}") from e
        if whole and not ended and len(body) < limit:
            raise ValueError(
                f"the body is said to be {name} and breaks off after {len(body):,} bytes of text"
            )
        whole = whole and ended
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
        return decoded(body, coding, limit, whole=False)
    except ValueError:
        _, line, rest = body.partition(b"\r\n")
        if not line:
            raise
        return decoded(rest, coding, limit, whole=False)  # the line was the size of a chunk


# A coding takes bytes and how many to make of them, and returns those and whether its own end was there.


def _gzip(body: bytes, limit: int) -> tuple[bytes, bool]:
    """Members one after another count as one text (RFC 1952, 2.2); what else follows them is left out."""
    text = b""
    if not body:
        return text, True  # nothing, as an answer to HEAD has
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        text += member.decompress(body, limit - len(text))
        body = member.unused_data
        if len(text) >= limit or not body.startswith(_GZIP):
            return text, member.eof
    raise ValueError(f"the body is gzip in more than {MAX_MEMBERS} members, which is not undone")


def _deflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    # The standard means zlib's format; some servers send the bare stream, and browsers take both.
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(body, limit)
    except zlib.error:
        stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        text = stream.decompress(body, limit)
    return text, stream.eof or not body


def _identity(body: bytes, limit: int) -> tuple[bytes, bool]:
    return body, True


CODINGS: Final[dict[str, Callable[[bytes, int], tuple[bytes, bool]]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "identity": _identity,
}
