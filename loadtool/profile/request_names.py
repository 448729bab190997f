"""Names for recorded requests: method and path, with what looks like an identifier written as {id}."""

from __future__ import annotations

import re
from typing import Final

OTHER: Final = "other"  # with the method before it: the requests that got no name of their own
LONGEST: Final = 100
_ID: Final = re.compile(
    r"(?:[0-9]+"
    r"|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # a UUID
    r"|(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{8,}"  # a hash, or a part of one
    r"|(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w~%-]{20,})"  # a token, or a slug with a number in it
    r"(\.[A-Za-z][A-Za-z0-9]{0,4})?"  # 4711.json
)


def request_name(method: str, target: str) -> str:
    """As "GET /products/{id}" for GET /products/4711?page=2. Queries are left out, braces encoded."""
    path = target.partition("?")[0].replace("{", "%7B").replace("}", "%7D")
    name = f"{method} {'/'.join(map(_segment, path.split('/')))}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _segment(text: str) -> str:
    if text.isalpha() or not text:
        return text
    if text.isdecimal():
        return "{id}"
    match = _ID.fullmatch(text)
    return text if match is None else f"{{id}}{match[1] or ''}"
