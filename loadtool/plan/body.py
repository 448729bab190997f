"""Bodies: json, form, raw and multipart, each compiled to a function of a message's rendered values."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loadtool.plan.job import RequestSpec
from loadtool.plan.template import FORM, JSON_STRING, JSON_VALUE, PLAIN, Encoding, is_template, json_of
from loadtool.plan.texts import Named, Texts

# From a message's values to its body and the Content-Type that goes with it, if any.
Body = Callable[[tuple[str, ...]], tuple[bytes, str | None]]
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)


def _none(spec: RequestSpec, texts: Texts) -> None:
    """None: nothing is to be called for each message."""


def _json(spec: RequestSpec, texts: Texts) -> Body:
    named: Named = []
    _json_parts("json", spec.body, texts, named)
    text = texts.leaves.format(named)
    return lambda values: (text.fill(values).encode(), "application/json")


def _json_parts(field: str, node: object, texts: Texts, into: Named) -> None:
    """Appends what json_of(node) would write, once its templates are rendered."""
    if isinstance(node, str) and is_template(node):
        if (typed := texts.value(field, node, JSON_VALUE)) is not None:
            into.append((field, typed))
        else:
            into += _json_text(field, node, texts)
    elif isinstance(node, Mapping):
        for number, (key, value) in enumerate(node.items()):
            inner = f"{field}.{key}"
            into.append((field, "," if number else "{"))
            into += _json_text(inner, str(key), texts)
            into.append((inner, ":"))
            _json_parts(inner, value, texts, into)
        into.append((field, "}" if node else "{}"))
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            into.append((field, "," if number else "["))
            _json_parts(f"{field}[{number}]", value, texts, into)
        into.append((field, "]" if node else "[]"))
    else:
        into.append((field, json_of(node)))


def _json_text(field: str, text: str, texts: Texts) -> Named:
    return [(field, '"'), *texts.parts(field, text, JSON_STRING), (field, '"')]


def _form(spec: RequestSpec, texts: Texts) -> Body:
    named: Named = []
    for name, value in _pairs(spec.body):
        field = f"form.{name}"
        if named:
            named.append((field, "&"))
        named += texts.parts(field, name, FORM)
        named.append((field, "="))
        named += texts.parts(field, value, FORM)
    text = texts.leaves.format(named)
    return lambda values: (text.fill(values).encode(), "application/x-www-form-urlencoded")


def _raw(spec: RequestSpec, texts: Texts) -> Body:
    text = texts.leaves.format(texts.parts("raw", str(spec.body), PLAIN))
    return lambda values: (text.fill(values).encode(), None)


def _multipart(spec: RequestSpec, texts: Texts) -> Body:
    """RFC 7578, with names escaped as browsers do (WHATWG HTML, multipart/form-data encoding algorithm)."""
    fields = []
    for name, value in _pairs(spec.body):
        field = f"multipart.{name}"
        head = [(field, 'Content-Disposition: form-data; name="'), *texts.parts(field, name, _ESCAPED)]
        head.append((field, '"\r\n\r\n'))
        fields.append(texts.leaves.format([*head, *texts.parts(field, value, PLAIN)]))
    files = []
    for file in spec.files:
        name, filename = _escape(file.field), _escape(file.filename)
        head_text = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        head_text += f"Content-Type: {file.content_type}\r\n\r\n"
        files.append(head_text.encode() + base64.b64decode(file.content_base64))
    given = _given_boundary(spec)

    def body(values: tuple[str, ...]) -> tuple[bytes, str | None]:
        parts = [*(text.fill(values).encode() for text in fields), *files]
        # Made of the content, so the same arrival has the same bytes; it can't occur in what it was made of.
        boundary = given or f"loadtool-{hashlib.blake2b(b'|'.join(parts), digest_size=16).hexdigest()}"
        line = b"--" + boundary.encode()
        return (
            b"".join([*(line + b"\r\n" + part + b"\r\n" for part in parts), line, b"--\r\n"]),
            f"multipart/form-data; boundary={boundary}",
        )

    return body


def _given_boundary(spec: RequestSpec) -> str:
    """The boundary of the request's own Content-Type; empty if it has no such header."""
    for name, value in spec.headers:
        if name.lower() == "content-type":
            if (found := _BOUNDARY.search(value)) is None or is_template(value):
                raise ValueError(
                    "its Content-Type has no boundary; leave that header out, it is set as needed"
                )
            return found[1] or found[2]
    return ""


def _escape(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


_ESCAPED: Final = Encoding.of(_escape)


def _pairs(body: object) -> list[tuple[str, str]]:
    if body is None:
        return []
    if not isinstance(body, Sequence):
        raise ValueError("want a list of [name, text]")
    return [(str(name), str(text)) for name, text in body]


# `body_kind` of a request -> how it compiles. Raises ValueError for a text that has no place there.
BODIES: Final[dict[str, Callable[[RequestSpec, Texts], Body | None]]] = {
    "none": _none,
    "json": _json,
    "form": _form,
    "raw": _raw,
    "multipart": _multipart,
}
