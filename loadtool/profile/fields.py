"""The kinds of value that a profile's fields have: how each is read, dumped, and described to editors."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from loadtool import units
from loadtool.profile import addresses, moment, readers
from loadtool.profile import text_patterns as texts


def one_or_many(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


_STRING: Final[dict[str, Any]] = {"type": "string"}
_TEXT: Final[dict[str, Any]] = {
    "type": ["string", "number", "boolean"]
}  # unquoted numbers are kept as written
_FIELD: Final[dict[str, Any]] = {"type": ["string", "number", "boolean", "null"]}
_STATUS: Final[dict[str, Any]] = texts.whole(200, 599)
_SHED: Final[dict[str, Any]] = texts.whole(400, 599)
_DURATION: Final[dict[str, Any]] = {"type": "string", "pattern": texts.POSITIVE_DURATION}
_RATE: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": texts.RATE}, {"type": "number", "minimum": 0}]
}
_POSITIVE_RATE: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": texts.POSITIVE_RATE}, {"type": "number", "exclusiveMinimum": 0}]
}
_SHARE: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "pattern": texts.SHARE}, {"type": "number", "minimum": 0, "maximum": 1}]
}
_POSITIVE_SHARE: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string", "pattern": texts.POSITIVE_SHARE},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    ]
}

Name = Annotated[
    str,
    BeforeValidator(
        readers.pattern(readers.NAME_PATTERN, "a name of letters, digits, _ and -, such as spike-1")
    ),
    WithJsonSchema({"type": "string", "pattern": texts.NAME}),
]
Text = Annotated[str, BeforeValidator(readers.text), WithJsonSchema(_TEXT)]
Line = Annotated[str, BeforeValidator(readers.line), WithJsonSchema(_TEXT)]
Path = Annotated[str, BeforeValidator(readers.path), WithJsonSchema(_STRING)]
Rate = Annotated[
    float, BeforeValidator(units.parse_rate), PlainSerializer(units.format_rate), WithJsonSchema(_RATE)
]
PositiveRate = Annotated[
    float,
    BeforeValidator(lambda value: units.positive_rate(units.parse_rate(value))),
    PlainSerializer(units.format_rate),
    WithJsonSchema(_POSITIVE_RATE),
]
DialRate = Annotated[
    float,
    BeforeValidator(readers.dial_rate),
    PlainSerializer(units.format_rate),
    WithJsonSchema(
        {"anyOf": [_POSITIVE_RATE["anyOf"][0], {"type": "number", "minimum": readers.LEAST_DIAL_RATE}]}
    ),
]
PositiveDuration = Annotated[
    int,
    BeforeValidator(lambda value: units.positive_duration(units.parse_duration(value))),
    PlainSerializer(units.format_duration),
    WithJsonSchema(_DURATION),
]
Share = Annotated[
    float, BeforeValidator(units.parse_share), PlainSerializer(units.format_share), WithJsonSchema(_SHARE)
]
PositiveShare = Annotated[
    float,
    BeforeValidator(readers.positive_share),
    PlainSerializer(units.format_share),
    WithJsonSchema(_POSITIVE_SHARE),
]
Weight = Annotated[
    float,
    BeforeValidator(readers.weight),
    PlainSerializer(lambda w: int(w) if w == int(w) else w),
    WithJsonSchema(texts.number(exclusiveMinimum=0)),
]
Factor = Annotated[
    float,
    BeforeValidator(readers.factor),
    PlainSerializer(lambda f: int(f) if f == int(f) else f),
    WithJsonSchema(texts.number(minimum=0.0001, maximum=10000)),
]
Connections = Annotated[
    int,
    BeforeValidator(
        readers.whole(1, readers.MOST_CONNECTIONS, f"a whole number from 1 to {readers.MOST_CONNECTIONS}")
    ),
    WithJsonSchema(texts.whole(1, readers.MOST_CONNECTIONS)),
]
Batch = Annotated[
    int,
    BeforeValidator(readers.whole(1, 10_000, "a whole number from 1 to 10,000, such as 50")),
    WithJsonSchema(texts.whole(1, 10_000)),
]
Attempts = Annotated[
    int,
    BeforeValidator(
        readers.whole(1, readers.MOST_RETRIES, f"a whole number from 1 to {readers.MOST_RETRIES}")
    ),
    WithJsonSchema(texts.whole(1, readers.MOST_RETRIES)),
]
Tokens = Annotated[
    int,
    BeforeValidator(readers.whole(1, 1000, "a whole number of tokens from 1 to 1000")),
    WithJsonSchema(texts.whole(1, 1000)),
]
TokenRatio = Annotated[
    float,
    BeforeValidator(readers.number(0.001, 1000.0, "tokens for each success, such as 0.1")),
    WithJsonSchema(texts.number(minimum=0.001, maximum=1000)),
]
Multiple = Annotated[
    float,
    BeforeValidator(readers.number(1.0, 1000.0, "a number from 1 up, such as 2")),
    WithJsonSchema(texts.number(minimum=1, maximum=1000)),
]
Outcome = Annotated[str, BeforeValidator(readers.one_of(*readers.RETRIABLE))]
Retriable = Annotated[
    tuple[Outcome, ...],
    BeforeValidator(readers.as_list),
    one_or_many({"enum": list(readers.RETRIABLE)}),
]
Seed = Annotated[
    int,
    BeforeValidator(
        readers.whole(0, readers.MOST_SEED, f"a whole number from 0 to {readers.MOST_SEED}, such as 42")
    ),
    WithJsonSchema(texts.whole(0, readers.MOST_SEED)),
]
Flag = Annotated[bool, BeforeValidator(readers.flag), WithJsonSchema(texts.flag())]
Status = Annotated[int, BeforeValidator(readers.whole(200, 599, "a status from 200 to 599"))]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(readers.as_list), one_or_many(_STATUS)]
Shed = Annotated[int, BeforeValidator(readers.whole(400, 599, "a status from 400 to 599, such as 429"))]
Sheds = Annotated[tuple[Shed, ...], BeforeValidator(readers.as_list), one_or_many(_SHED)]
Sought = Annotated[str, BeforeValidator(readers.sought)]
Contains = Annotated[tuple[Sought, ...], BeforeValidator(readers.as_list), one_or_many(_TEXT)]
Regex = Annotated[str, BeforeValidator(readers.regex)]
Matches = Annotated[tuple[Regex, ...], BeforeValidator(readers.as_list), one_or_many(_TEXT)]
Headers = Annotated[
    dict[str, Annotated[str, BeforeValidator(readers.header_value)]],
    BeforeValidator(readers.headers),
    WithJsonSchema({"type": "object", "additionalProperties": _FIELD}),
]
Fields = Annotated[
    dict[str, Annotated[str | tuple[str, ...], BeforeValidator(readers.field_value)]],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [_FIELD, {"type": "array", "items": _FIELD}]},
        }
    ),
]
LogFields = Annotated[
    dict[str, Line],
    BeforeValidator(readers.log_fields),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {key: _TEXT for key in readers.LOG_FIELDS},
            "additionalProperties": False,
        }
    ),
]
Parts = Annotated[
    dict[str, Annotated[str | dict[str, str], BeforeValidator(readers.part)]],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    _FIELD,
                    {
                        "type": "object",
                        "properties": {"file": _STRING, "type": _STRING, "filename": _STRING},
                        "required": ["file"],
                        "additionalProperties": False,
                    },
                ]
            },
        }
    ),
]
Json = Annotated[Any, BeforeValidator(readers.json_value), WithJsonSchema({})]
_COMMAND: Final[dict[str, Any]] = {"anyOf": [_STRING, {"type": "array", "items": _TEXT, "minItems": 1}]}
Command = Annotated[str | tuple[str, ...], BeforeValidator(readers.command), WithJsonSchema(_COMMAND)]
Commands = Annotated[
    tuple[Annotated[str | tuple[str, ...], BeforeValidator(readers.command)], ...],
    BeforeValidator(readers.as_list),
    WithJsonSchema(
        {
            "anyOf": [
                _STRING,
                {"type": "array", "items": {"anyOf": [_TEXT, _COMMAND["anyOf"][1]]}},
            ]
        }
    ),
]
Slos = Annotated[
    tuple[Annotated[str, BeforeValidator(readers.some_text)], ...],
    BeforeValidator(readers.as_list),
    one_or_many({"type": "string", "pattern": "[<>]"}),
]
HttpUrl = Annotated[
    str,
    BeforeValidator(addresses.http_url),
    WithJsonSchema({"type": "string", "pattern": f"^{texts.HTTP}[sS]?://"}),
]
ProxyUrl = Annotated[
    str,
    BeforeValidator(addresses.proxy_url),
    WithJsonSchema({"type": "string", "pattern": f"^{texts.HTTP}://"}),
]
Target = Annotated[
    str,
    BeforeValidator(addresses.target),
    WithJsonSchema(
        {"anyOf": [{"const": "demo"}, {"type": "string", "pattern": f"^{texts.HTTP}[sS]?://|^unix:/"}]}
    ),
]
Upstream = Annotated[
    str,
    BeforeValidator(addresses.upstream),
    WithJsonSchema(
        {"anyOf": [{"enum": ["target", "demo.store"]}, {"type": "string", "pattern": ":[0-9]+$"}]}
    ),
]
Listen = Annotated[
    str, BeforeValidator(addresses.listen), WithJsonSchema({"type": "string", "pattern": ":[0-9]+$"})
]
Hosts = Annotated[
    tuple[Annotated[str, BeforeValidator(addresses.host)], ...],
    BeforeValidator(readers.as_list),
    one_or_many(_STRING),
]
_MOMENT: Final[dict[str, Any]] = {"anyOf": [_STRING, {"const": 0}]}
At = Annotated[
    tuple[Annotated[str, BeforeValidator(moment.canonical)], ...],
    BeforeValidator(readers.as_list),
    PlainSerializer(lambda moments: moments[0] if len(moments) == 1 else list(moments)),
    WithJsonSchema({"anyOf": [*_MOMENT["anyOf"], {"type": "array", "items": _MOMENT, "minItems": 1}]}),
]
Until = Annotated[str, BeforeValidator(moment.canonical_until), WithJsonSchema(_MOMENT)]
Page = Annotated[
    str,
    BeforeValidator(addresses.page),
    WithJsonSchema({"type": "string", "pattern": f"^/|^{texts.HTTP}[sS]?://"}),
]
Address = Annotated[
    str, BeforeValidator(addresses.address), WithJsonSchema({"type": "string", "pattern": ":[0-9]+$"})
]
Moments = Annotated[
    tuple[Annotated[str, BeforeValidator(moment.canonical)], ...],
    BeforeValidator(readers.as_list),
    WithJsonSchema(
        {"anyOf": [_STRING, {"const": 0}, {"type": "array", "items": {"anyOf": [_STRING, {"const": 0}]}}]}
    ),
]
Sources = Annotated[
    tuple[Annotated[str, BeforeValidator(addresses.ip)], ...],
    BeforeValidator(readers.as_list),
    one_or_many(_STRING),
]
