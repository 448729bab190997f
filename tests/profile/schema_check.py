"""As much of JSON Schema as the profile's schema uses; a keyword that is not among it is an error."""

from __future__ import annotations

import re
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}
ANNOTATIONS = {"$schema", "title", "description", "examples", "default"}
KEYWORDS = {
    "type",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "items",
    "minItems",
    "minProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "const",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
}


def flaws(schema: Any, value: Any, path: str = "") -> list[str]:
    """Where the value does not fit the schema."""
    if isinstance(schema, bool):
        return [] if schema else [f"{path}: nothing may be here"]
    unknown = set(schema) - KEYWORDS - ANNOTATIONS
    assert not unknown, f"the check does not know {unknown}"
    found = []
    if schema.keys() & {"properties", "patternProperties", "additionalProperties"}:
        found += _properties(schema, value, path)
    for keyword in schema.keys() & _CHECKS.keys():
        found += _CHECKS[keyword](schema, value, path)
    return found


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and not (isinstance(value, bool) and kind in ("number", "integer"))


def _type(schema: Any, value: Any, path: str) -> list[str]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return (
        [] if any(_is(value, kind) for kind in kinds) else [f"{path}: {value!r} is no {' or '.join(kinds)}"]
    )


def _properties(schema: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    found = []
    for key, child in value.items():
        matched = [s for k, s in schema.get("properties", {}).items() if k == key]
        matched += [s for p, s in schema.get("patternProperties", {}).items() if re.search(p, key)]
        for sub in matched or [schema.get("additionalProperties", True)]:
            found += flaws(sub, child, f"{path}.{key}")
    return found


def _required(schema: Any, value: Any, path: str) -> list[str]:
    missing = [key for key in schema["required"] if key not in value] if isinstance(value, dict) else []
    return [f"{path}: {key} is missing" for key in missing]


def _items(schema: Any, value: Any, path: str) -> list[str]:
    children = enumerate(value) if isinstance(value, list) else ()
    return [flaw for i, child in children for flaw in flaws(schema["items"], child, f"{path}[{i}]")]


def _fitting(schemas: list[Any], value: Any) -> int:
    return sum(not flaws(schema, value) for schema in schemas)


def _if(schema: Any, value: Any, path: str) -> list[str]:
    return flaws(schema["then"], value, path) if not flaws(schema["if"], value) else []


def _numbers(schema: Any, value: Any, path: str) -> list[str]:
    if not _is(value, "number"):
        return []
    fits = (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
    )
    return [] if fits else [f"{path}: {value} is out of range"]


def _pattern(pattern: str, value: Any, path: str) -> list[str]:
    return [f"{path}: {value!r}"] if isinstance(value, str) and not re.search(pattern, value) else []


_CHECKS: dict[str, Any] = {
    "type": _type,
    "required": _required,
    "items": _items,
    "if": _if,
    "minimum": _numbers,
    "maximum": _numbers,
    "exclusiveMinimum": _numbers,
    "minProperties": lambda s, v, p: (
        [f"{p}: too few"] if isinstance(v, dict) and len(v) < s["minProperties"] else []
    ),
    "minItems": lambda s, v, p: [f"{p}: too few"] if isinstance(v, list) and len(v) < s["minItems"] else [],
    "anyOf": lambda s, v, p: [] if _fitting(s["anyOf"], v) else [f"{p}: {v!r} fits nothing"],
    "oneOf": lambda s, v, p: [] if _fitting(s["oneOf"], v) == 1 else [f"{p}: {v!r} does not fit exactly one"],
    "allOf": lambda s, v, p: [flaw for sub in s["allOf"] for flaw in flaws(sub, v, p)],
    "not": lambda s, v, p: [f"{p}: {v!r} must not fit"] if not flaws(s["not"], v) else [],
    "const": lambda s, v, p: [] if _same(v, s["const"]) else [f"{p}: {v!r} is not {s['const']!r}"],
    "enum": lambda s, v, p: [] if any(_same(v, e) for e in s["enum"]) else [f"{p}: {v!r}"],
    "pattern": lambda s, v, p: _pattern(s["pattern"], v, p),
}


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
