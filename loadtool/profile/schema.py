"""The JSON Schema of profiles as they are written, for editors: completion, hover, mistakes as one types.

Looser than `load.py` where `${NAME}` may stand for any value, and in the range of numbers that are text;
stricter in that null, which an editor can't tell from a value that was forgotten, stands for sections alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from loadtool.profile import fields, model, toxics
from loadtool.profile.demo import Demo
from loadtool.profile.descriptions import DESCRIPTIONS
from loadtool.profile.gauge import Gauge
from loadtool.profile.keys import SECTIONS

Schema = dict[str, Any]
_REFERENCE: Final[Schema] = {"type": "string", "pattern": r"\$\{"}  # its value is not known here
_NULL: Final[Schema] = {"type": "null"}
_OPTIONAL: Final[dict[str, frozenset[str]]] = {  # which the loader fills in
    "Profile": frozenset({"name"}),
    "Request": frozenset({"name"}),
    "Check": frozenset({"name"}),
    "Gauge": frozenset({"name"}),
}


def json_schema() -> Schema:
    """The schema, as plain data."""
    schema = _object(model.Profile)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "loadtool profile",
        "description": "What loadtool spike runs: traffic, schedule, faults and objectives.",
        **schema,
        "patternProperties": {"^x-": {"description": "Ignored: a place for YAML anchors."}},
    }


def _object(m: type[model.Model]) -> Schema:
    """The schema of a mapping."""
    fields = {info.alias or name: info for name, info in m.model_fields.items()}
    optional = _OPTIONAL.get(m.__name__, frozenset())
    schema: Schema = {
        "type": "object",
        "properties": {key: _property(m, key, fields[key]) for key in DESCRIPTIONS[m.__name__]},
        "required": [key for key, info in fields.items() if info.is_required() and key not in optional],
        "additionalProperties": False,
    }
    if m in _SHAPES:
        schema = _SHAPES[m](schema)
    return {k: v for k, v in schema.items() if v != []}


def _property(m: type[model.Model], key: str, info: FieldInfo) -> Schema:
    help_ = DESCRIPTIONS[m.__name__][key]
    name = next(name for name, i in m.model_fields.items() if i is info)
    adapter: TypeAdapter[Any] = TypeAdapter(get_type_hints(m, include_extras=True)[name])
    schema = _plain(_inline(adapter.json_schema()))
    if (nested := _NESTED.get((m.__name__, key))) is not None:
        schema = nested()
    schema = _or_reference(schema)
    if key in SECTIONS:
        schema = _or_null(schema)
    schema = {"description": help_.text, **schema, "examples": [help_.example]}
    if info.default is not None and not info.is_required():
        default = adapter.dump_python(info.default, mode="json", by_alias=True)
        if default != [] and not isinstance(default, dict):
            schema["default"] = default
    return schema


def _inline(schema: Schema) -> Schema:
    return {k: v for k, v in schema.items() if k != "$defs"}


def _plain(schema: Schema) -> Schema:
    """Without titles and without null, which is how an absent key is modelled, not written."""
    schema = {k: v for k, v in schema.items() if k not in ("title", "default")}
    choices = [_plain(s) for s in schema.get("anyOf", ()) if s != {"type": "null"}]
    if not choices:
        return schema
    return choices[0] if len(choices) == 1 else {**schema, "anyOf": choices}


def _or_reference(schema: Schema) -> Schema:
    """The schema, or text with a reference to the environment, where text would not do already."""
    if not schema or schema == {"type": "string"} or schema.get("type") == "object":
        return schema
    kinds = schema.get("type")
    if isinstance(kinds, list) and "string" in kinds:
        return schema
    if schema.get("type") == "array":
        return {**schema, "items": _or_reference(schema["items"])}
    choices = [_or_reference(s) if s.get("type") == "array" else s for s in schema.get("anyOf", [schema])]
    return {"anyOf": [*choices, _REFERENCE]}


def _or_null(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], _NULL]}
    return {**schema, "type": [schema["type"], "null"]}


def _items(m: type[model.Model]) -> Schema:
    return {"type": "array", "minItems": 1, "items": _object(m)}


def _named(m: type[model.Model], alone: Schema | None = None) -> Schema:
    one = _object(m)
    return {"type": "object", "additionalProperties": {"anyOf": [one, alone]} if alone else one}


_CONNECTIONS: Final[Schema] = TypeAdapter(fields.Connections).json_schema()
_SHARE: Final[Schema] = TypeAdapter(fields.PositiveShare).json_schema()
_NESTED: Final[Mapping[tuple[str, str], Callable[[], Schema]]] = {
    ("Profile", "demo"): lambda: _object(Demo),
    ("Profile", "wait_for"): lambda: _object(model.WaitFor),
    ("Profile", "replay"): lambda: {"anyOf": [{"type": "string"}, _object(model.Replay)]},
    ("Replay", "expect"): lambda: _object(model.Expect),
    ("Profile", "requests"): lambda: _items(model.Request),
    ("Profile", "data"): lambda: _named(model.DataSource, {"type": "string"}),
    ("Profile", "phases"): lambda: _items(model.Phase),
    ("Profile", "arrivals"): lambda: _arrivals(),
    ("Phase", "arrivals"): lambda: _arrivals(),
    ("Arrivals", "burst"): lambda: _object(model.Burst),
    ("Profile", "client"): lambda: _object(model.Client),
    ("Client", "connections"): lambda: {"anyOf": [_CONNECTIONS, _object(model.Connections)]},
    ("Client", "tls"): lambda: _object(model.Tls),
    ("Client", "retries"): lambda: {"anyOf": [{"enum": list(model.POLICIES)}, _object(model.Retries)]},
    ("Retries", "budget"): lambda: {"anyOf": [{"enum": ["none"]}, _SHARE, _object(model.Budget)]},
    ("Client", "throttle"): lambda: {"anyOf": [{"enum": list(model.THROTTLES)}, _object(model.Throttle)]},
    ("Profile", "proxies"): lambda: _named(model.Proxy),
    ("Profile", "faults"): lambda: {"type": "array", "items": _object(model.Fault)},
    ("Profile", "steady_state"): lambda: {"type": "array", "items": _object(model.Check)},
    ("Profile", "probes"): lambda: {"type": "array", "items": _object(Gauge)},
    ("Profile", "slos"): lambda: _objectives(),
    ("Profile", "validity"): lambda: _object(model.Validity),
    ("Request", "expect"): lambda: _object(model.Expect),
}


def _arrivals() -> Schema:
    return {"anyOf": [{"enum": list(model.PROCESSES)}, _object(model.Arrivals)]}


def _objectives() -> Schema:
    """Texts and mappings, one or many."""
    one = [{"type": "string", "pattern": "[<>]"}, _object(model.Objective)]
    return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}


def _one_of(*names: str) -> Schema:
    return {"oneOf": [{"required": [name]} for name in names]}


def _request(schema: Schema) -> Schema:
    at_most_one_body = {"not": {"anyOf": [
        _given(a, b) for i, a in enumerate(model.BODIES) for b in model.BODIES[i + 1 :]
    ]}}  # fmt: skip
    return {**schema, "allOf": [_one_of(*model.METHODS), at_most_one_body]}


def _fault(schema: Schema) -> Schema:
    """A toxic's attributes stand beside it; which they are depends on the toxic."""
    kinds = {"anyOf": [{"required": [kind]} for kind in ("toxic", "down", "run")]}
    attributes = {
        name: {"description": _attribute_help(name), "type": ["string", "number"]}
        for name in sorted(toxics.ATTRIBUTES)
    }
    needs = [_needs("every", "for"), _needs("undo", "run"), _needs("ramp", "toxic")]
    command = {
        "if": {"required": ["run"]},
        "then": _without("proxy", "stream", "toxicity", *toxics.ATTRIBUTES),
    }
    on_a_proxy = {"if": _without("run"), "then": {"required": ["proxy"]}}
    rules = [command, on_a_proxy, *needs, *(_toxic_rule(toxic) for toxic in toxics.TOXICS)]
    properties = {**schema["properties"], **attributes}
    properties["toxic"] = {
        **{k: v for k, v in properties["toxic"].items() if k != "type"},
        **_or_reference({"enum": list(toxics.TOXICS)}),
    }
    return {**schema, "properties": properties, "allOf": [kinds, *rules]}


def _needs(key: str, other: str) -> Schema:
    return {"if": {"required": [key]}, "then": {"required": [other]}}


def _without(*keys: str) -> Schema:
    return {"properties": {key: _NULL if key in SECTIONS else False for key in sorted(keys)}}


def _given(*keys: str) -> Schema:
    empty = {key: {"not": _NULL} for key in keys if key in SECTIONS}
    return {"required": [*keys], **({"properties": empty} if empty else {})}


def _attribute_help(name: str) -> str:
    return "; ".join(
        f"{toxic}: {row[name].description}" for toxic, row in toxics.TOXICS.items() if name in row
    )


def _attribute(attribute: toxics.Attribute) -> Schema:
    text = {"type": "string", "pattern": attribute.unit.pattern}
    bare = [{"type": "integer", "minimum": attribute.least}] if attribute.unit is toxics.BYTES else []
    zero = [{"const": 0}] if attribute.least == 0 and not bare else []
    return {"anyOf": [text, *bare, *zero, _REFERENCE]}


def _toxic_rule(toxic: str) -> Schema:
    row = toxics.TOXICS[toxic]
    foreign = [*toxics.ATTRIBUTES - set(row), *(() if toxic in toxics.RAMPED else ("ramp",))]
    then: Schema = {
        "required": [name for name, attribute in row.items() if attribute.required],
        "properties": {
            **{name: _attribute(attribute) for name, attribute in row.items()},
            **_without(*foreign)["properties"],
        },
    }
    return {"if": {"properties": {"toxic": {"const": toxic}}, "required": ["toxic"]}, "then": then}


def _profile(schema: Schema) -> Schema:
    """With a replay, phases have neither rates nor requests; else both are needed."""
    rated = {"properties": {"phases": {"items": {"required": ["rate"]}}}}
    unrated = {"phases": {"items": _without("rate", "ramp", "double_every", "arrivals")}}
    without = {"properties": {**_without("requests", "data", "arrivals")["properties"], **unrated}}
    rules = [
        {"if": _given("replay"), "then": without},
        {"if": _without("replay"), "then": {"required": ["requests", "phases"], **rated}},
    ]
    return {**schema, "allOf": rules}


_SHAPES: Final[Mapping[type[model.Model], Callable[[Schema], Schema]]] = {
    model.Profile: _profile,
    model.Request: _request,
    model.Proxy: lambda schema: {**schema, **_one_of("upstream", "existing")},
    model.Fault: _fault,
    # Lines of the format `combined`, which is the default, name nothing.
    model.Replay: lambda schema: {
        **schema,
        "if": {"required": ["fields"], "properties": {"fields": {"minProperties": 1}}},
        "then": {"required": ["format"], "properties": {"format": {"not": {"const": "combined"}}}},
    },
    model.Check: lambda schema: {**schema, **_one_of("get", "tcp")},
    model.Budget: lambda schema: {
        **schema,
        **_one_of("share", "tokens"),
        "allOf": [_needs("min", "share"), _needs("ratio", "tokens")],
    },
}
