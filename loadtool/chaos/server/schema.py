"""Request bodies, read as Go's encoding/json does it: keys in any case, unknown ones ignored, null is absent,
the last of two equal keys counts, whatever follows the first value is ignored, and integers are integers.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any


class BodyError(Exception):
    """The body is not what the endpoint takes."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Object(list[tuple[str, Any]]):
    """A JSON object: its pairs in their order."""


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"invalid character {text[0]!r} looking for beginning of value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Object,
    parse_int=Number,
    parse_float=Number,
    parse_constant=_refuse_constant,
    strict=True,
)


def parse(body: bytes) -> Any:
    """The first JSON value of the body. Raises BodyError."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BodyError("EOF")
    try:
        return _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as e:
        if e.pos >= len(text) or e.msg.startswith("Unterminated"):
            raise BodyError("unexpected EOF") from None
        raise BodyError(f"invalid character {text[e.pos]!r} at position {e.pos + 1}: {e.msg}") from None
    except (ValueError, RecursionError) as e:
        raise BodyError(str(e)) from None


def _kind(value: Any) -> str:
    for type_, name in ((Number, "number"), (str, "string"), (bool, "bool"), (Object, "object")):
        if isinstance(value, type_):
            return name
    return "array"


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or isinstance(value, Number):
        return None
    # Half a surrogate pair is valid in JSON's escapes, but it is no text; Go puts U+FFFD there too.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, Number) and re.fullmatch(r"-?\d+", value):
        number = int(value)
        return number if -(2**63) <= number < 2**63 else None
    return None


def _share(value: Any) -> float | None:
    if not isinstance(value, Number):
        return None
    try:
        number: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    except OverflowError:
        return None
    return shortest32(number) if math.isfinite(number) else None


def shortest32(value: float) -> float:
    """The number with the fewest digits that a 32-bit float cannot tell from this one."""
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        if math.isclose(short, value, rel_tol=1e-6) and struct.pack("f", short) == struct.pack("f", value):
            return short
    return float(f"{value:.9g}")


def _struct(value: Any) -> Object | None:
    return value if isinstance(value, Object) else None


# What a field may be, by the type's name in the real server's messages.
_READERS = {
    "string": _text, "bool": _flag, "int": _integer, "int64": _integer, "float32": _share,
    "toxics.NoopToxic": _struct,
}  # fmt: skip


def read(value: Any, owner: str, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields that an object has, by their own names.

    `owner` and `path` ("" or "attributes.") are for messages; `fields` is name -> type. Raises BodyError.
    """
    found: dict[str, Any] = {}
    for key, item in value:
        name = next((f for f in fields if f == key or f.casefold() == key.casefold()), None)
        if name is None or item is None:
            continue
        taken = _READERS[fields[name]](item)
        if taken is None:
            kind = _kind(item)
            shown = f"number {item}" if kind == "number" and fields[name] not in ("string", "bool") else kind
            raise BodyError(
                f"json: cannot unmarshal {shown} into Go struct field {owner}.{path}{name}"
                f" of type {fields[name]}"
            )
        found[name] = taken
    return found


def read_object(value: Any, type_name: str, owner: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a whole body. Raises BodyError."""
    if value is None:
        return {}
    if not isinstance(value, Object):
        raise BodyError(f"json: cannot unmarshal {_kind(value)} into Go value of type {type_name}")
    return read(value, owner, "", fields)


def read_array(value: Any, type_name: str) -> list[Any]:
    """The items of a body that is a list. Raises BodyError."""
    if value is None:
        return []
    if not isinstance(value, list) or isinstance(value, Object):
        raise BodyError(f"json: cannot unmarshal {_kind(value)} into Go value of type {type_name}")
    return value
