"""Secrets: what must not be seen in a report, a file or a terminal, in whatever form it turns up."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, quote_plus, unquote

MASK: Final = "***"
# Shorter values are masked where they stand, and not looked for elsewhere: they occur in everything.
SHORTEST_SOUGHT: Final = 3
_SECRET_HEADER = re.compile(
    r"authorization|cookie|token|secret|passw|api[-_]?key|access[-_]?key|credential|session|signature|"
    r"^x-auth|^auth$|jwt",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(
    r"passw(?:or)?d$|passphrase$|secret$|token$|(?:api|access|private|secret)[-_]?key$|credentials?$",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"((?:Bearer|Basic|Token|Digest|ApiKey|Negotiate)\s+)(.+)", re.IGNORECASE | re.DOTALL)
_URL_SAFE = str.maketrans("+/", "-_")
# What a text keeps where it becomes a path and query; plan/template.py, which workers load, has it too.
URI_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"
_USERINFO = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)@")


def is_secret_header(name: str) -> bool:
    """Whether the value of a header of this name is a secret, whatever it is."""
    return _SECRET_HEADER.search(name) is not None


def is_secret_key(name: str) -> bool:
    """Whether the value of a field of this name in a query or body is a secret."""
    return _SECRET_KEY.search(name) is not None


def masked_header(value: str) -> str:
    """The value of a secret header with its scheme left: "Bearer ***"."""
    match = _SCHEME.fullmatch(value)
    return f"{match[1]}{MASK}" if match else MASK


def header_secrets(value: str) -> tuple[str, ...]:
    """What is secret in the value of a secret header: nothing if it is masked already."""
    if value == masked_header(value):
        return ()
    match = _SCHEME.fullmatch(value)
    parts = [match[2], value] if match else [value]
    for pair in value.split(";"):  # a cookie
        _, equals, inner = pair.partition("=")
        if equals and len(inner.strip()) >= 8:
            parts.append(inner.strip())
    return tuple(parts)


def userinfo_span(url: str) -> tuple[int, int] | None:
    """Where user and password stand in a URL."""
    match = _USERINFO.match(url)
    return match.span(1) if match else None


def userinfo_secrets(userinfo: str) -> tuple[str, ...]:
    """What is secret in a URL's userinfo: it as a whole, its password, and the header that it becomes."""
    user, colon, password = userinfo.partition(":")
    plain = f"{unquote(user)}:{unquote(password)}"
    basic = base64.b64encode(plain.encode()).decode()
    return (userinfo, password if colon else user, unquote(password if colon else user), plain, basic)


def _forms(value: str) -> Iterable[str]:
    """The value as it may turn up: as it is, percent-encoded, in JSON, in markup, in base64, as bytes."""
    yield value
    yield value.strip()
    for encoded in (quote(value, safe=""), quote(value), quote(value, safe=URI_SAFE), quote_plus(value)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), encoded)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield html.escape(value)
    yield value.encode().decode("latin-1")  # as a head of HTTP is shown
    if len(value) >= 6:
        for encoded in (base64.b64encode(value.encode()).decode(), *_within_base64(value.encode())):
            yield encoded
            yield encoded.translate(_URL_SAFE).rstrip("=")


def _within_base64(value: bytes) -> Iterable[str]:
    """What stands for these bytes wherever they begin in longer ones, such as in `user:password`.

    Base64 has four characters for three bytes; those that also hang on a neighbour are left out.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value).decode()
        first = (0, 2, 3)[before]
        last = (before + len(value)) * 4 // 3
        yield encoded[first:last]


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


@dataclass(frozen=True, slots=True)
class Secrets:
    """Texts to mask: every form of every secret, longest first."""

    values: tuple[str, ...] = field(default=(), repr=False)
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = re.compile("|".join(map(re.escape, self.values))) if self.values else None
        object.__setattr__(self, "_pattern", pattern)  # frozen, but this follows from `values`

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Secrets:
        """The secrets with all their forms; those shorter than three characters are left out."""
        sought = {secret for secret in secrets if len(secret.strip()) >= SHORTEST_SOUGHT}
        forms = {form for secret in sought for form in _forms(secret) if len(form) >= SHORTEST_SOUGHT}
        return cls(_longest_first(forms))

    def __or__(self, other: Secrets) -> Secrets:
        """Both. To mask with one after the other could leave a part of a longer secret."""
        return Secrets(_longest_first({*self.values, *other.values}))

    def mask(self, text: str) -> str:
        """The text with every secret in it replaced by ***."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def mask_header(self, name: str, value: str) -> str:
        """The value of a header, sent or received, fit to be shown: of Authorization and the like, none."""
        return masked_header(value) if is_secret_header(name) else self.mask(value)


def environment_secrets(environment: Mapping[str, str]) -> Secrets:
    """The values of variables whose names say that they are secrets, such as PGPASSWORD and GITHUB_TOKEN."""
    return Secrets.of(value for name, value in environment.items() if is_secret_key(name) and len(value) >= 6)
