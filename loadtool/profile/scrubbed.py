"""Recorded requests as they may be written to a file: without what looks like a secret.

In a query, a form or a JSON body the values of fields are masked whose names say so (token=, password=). A
header that looks like one is left out, since a masked one would be of no use to anybody, and so is a body of
any other kind, in which nobody can tell.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from loadtool.profile.recording import Recorded
from loadtool.profile.secrets import MASK, is_secret_header, masked_header

_SECRET: Final = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|(?:api|access|private)[-_]?key|jwt|credential|signature"
    r"|sess(?:ion)?id|samlresponse"
    r"|(?:^|[-_.\[])(?:key|auth|authorization|assertion|sig|session|sid|code|otp|pass|pin)(?:\[\w*\]|\])?$",
    re.IGNORECASE,
)
# A form as clients write it: neither JSON that was cut off, nor a lone text that ends in base64's padding.
_NAME = r"(?:[\w.*+~!$'()\[\]-]|%[0-9A-Fa-f]{2})+"
_VALUE = r"[^\s\"<>{}\\&]*"
_FORM: Final = re.compile(rf"{_NAME}=(?!=*$){_VALUE}(?:&(?:{_NAME}(?:={_VALUE})?)?)*", re.ASCII)
_IN_PATH: Final = re.compile(r";([^;/=]+)=([^;/]+)")  # as in /cart;jsessionid=1
_ENDS_A_PAIR: Final = re.compile(r"[&;?#]")


class Scrubbed(NamedTuple):
    """A request fit to be written, and what it took: `headers` are the names of those left out."""

    request: Recorded
    masked: bool
    headers: tuple[str, ...]
    body_left_out: bool


def scrubbed(it: Recorded) -> Scrubbed:
    target = masked(it.target)
    kept = tuple((name, masked(value)) for name, value in it.headers if not _is_secret(name, value))
    left_out = tuple(name for name, value in it.headers if _is_secret(name, value))
    body = masked_body(it.body) if it.body else it.body
    request = Recorded(it.method, target, kept, body)
    changed = target != it.target or (body is not None and body != it.body)
    changed = changed or len({*kept} - {*it.headers}) > 0
    return Scrubbed(request, changed, left_out, body is None and it.body is not None)


def masked(target: str) -> str:
    """The path and query with the values of parameters masked whose names say that they are secrets."""
    path, mark, query = target.partition("?")
    path = _IN_PATH.sub(lambda m: f";{m[1]}={MASK}" if _SECRET.search(unquote_plus(m[1])) else m[0], path)
    return f"{path}?{_masked_pairs(query)}" if mark else path


def masked_body(body: str) -> str | None:
    """The body, which is JSON or a form, with secret fields masked; None if it is neither."""
    try:
        plain = json.loads(body, object_pairs_hook=_Pairs)
        clean, changed = _without_secrets(plain)
    except (ValueError, RecursionError):
        return _masked_pairs(body) if _FORM.fullmatch(body) else None
    if not isinstance(plain, list):
        return None  # a lone text may be anything
    # Escapes may stand for what UTF-8 has no bytes for.
    return json.dumps(clean, ensure_ascii=body.isascii() or "\\u" in body) if changed else body


def _is_secret(name: str, value: str) -> bool:
    return is_secret_header(name) or bool(_SECRET.search(name)) or masked_header(value) != MASK


def _masked_pairs(query: str) -> str:
    pairs = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        secret = _SECRET.search(unquote_plus(name)) or _hides(unquote_plus(value))
        pairs.append(f"{name}={MASK}" if equals and value and secret else pair)
    return "&".join(pairs)


def _hides(value: str) -> bool:
    """Whether a text that is a value has a secret in it: as JSON, as a URL, or as one more pair."""
    if value[:1] in ("{", "["):
        try:
            return _without_secrets(json.loads(value, object_pairs_hook=_Pairs))[1]
        except (ValueError, RecursionError):
            pass
    pairs = (pair.partition("=") for pair in _ENDS_A_PAIR.split(value))
    return any(equals and inner and _SECRET.search(unquote_plus(name)) for name, equals, inner in pairs)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object whose keys may be there twice."""


def _without_secrets(value: Any) -> tuple[Any, bool]:
    """The value with secret fields masked, and whether there were any."""
    if isinstance(value, _Pairs):
        changed, fields = False, dict[str, Any]()
        for name, inner in value:
            empty = inner is None or isinstance(inner, bool) or inner == ""
            secret = _SECRET.search(name) is not None and not empty
            fields[name], inside = (MASK, True) if secret else _without_secrets(inner)
            changed = changed or inside
        return fields, changed
    if isinstance(value, list):
        items = [_without_secrets(item) for item in value]
        return [item for item, _ in items], any(inside for _, inside in items)
    if isinstance(value, str) and _hides(value):
        return MASK, True
    return value, False
