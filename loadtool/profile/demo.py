"""How the demo service behaves in a run that starts it: the profile's `demo:` key.

Its keys are the options of `loadtool target` with `_` for `-`; what is missing keeps that command's default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, WithJsonSchema

from loadtool import units
from loadtool.profile import fields
from loadtool.profile import text_patterns as texts
from loadtool.profile.base import Model
from loadtool.profile.readers import one_of, positive_share, whole

T = TypeVar("T")


def _or(word: str, read: Callable[[Any], T]) -> Callable[[object], T | str]:
    """A reader of what `read` reads, or of this word."""

    def either(value: object) -> T | str:
        if value == word:
            return word
        try:
            return read(value)
        except ValueError as e:
            raise ValueError(f"{e}, or {word}") from None

    return either


def _word_or(word: str, schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"const": word}, *schema.get("anyOf", [schema])]})


def _unless_word(write: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(lambda value: value if isinstance(value, str) else write(value))


_DURATION: Final = TypeAdapter(fields.PositiveDuration).json_schema()
_RATE: Final = TypeAdapter(fields.PositiveRate).json_schema()
_SHARE: Final = TypeAdapter(fields.PositiveShare).json_schema()
_MOST: Final = 100_000
_MOST_WAITING: Final = 10_000_000
_count = whole(1, _MOST, f"a whole number from 1 to {_MOST}")
_waiting = whole(0, _MOST_WAITING, f"a whole number from 0 to {_MOST_WAITING}")

Count = Annotated[int, BeforeValidator(_count), WithJsonSchema(texts.whole(1, _MOST))]
Length = Annotated[
    int | str,
    BeforeValidator(_or("unbounded", _waiting)),
    _word_or("unbounded", texts.whole(0, _MOST_WAITING)),
]
Connections = Annotated[
    int | str, BeforeValidator(_or("slots", _count)), _word_or("slots", texts.whole(1, _MOST))
]
Duration = Annotated[
    int,
    BeforeValidator(units.parse_duration),
    PlainSerializer(units.format_duration),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": texts.DURATION}, {"const": 0}]}),
]
Patience = Annotated[
    int | str,
    BeforeValidator(_or("none", lambda value: units.positive_duration(units.parse_duration(value)))),
    _unless_word(units.format_duration),
    _word_or("none", _DURATION),
]
Limit = Annotated[
    float | str,
    BeforeValidator(_or("none", lambda value: units.positive_rate(units.parse_rate(value)))),
    _unless_word(units.format_rate),
    _word_or("none", _RATE),
]
Opening = Annotated[
    float | str,
    BeforeValidator(_or("none", positive_share)),
    _unless_word(units.format_share),
    _word_or("none", _SHARE),
]
Status = Annotated[
    int, BeforeValidator(whole(400, 599, "a status from 400 to 599")), WithJsonSchema(texts.whole(400, 599))
]
Concurrency = Annotated[Literal["fixed", "adaptive"], BeforeValidator(one_of("fixed", "adaptive"))]
QueuePolicy = Annotated[Literal["fifo", "lifo", "codel"], BeforeValidator(one_of("fifo", "lifo", "codel"))]
ClientLeaves = Annotated[Literal["cancel", "finish"], BeforeValidator(one_of("cancel", "finish"))]


class Demo(Model):
    """Switches of the demo service. None: as `loadtool target` has it."""

    slots: Count | None = None
    service_time: Duration | None = None
    service_jitter: fields.Share | None = None
    rate_limit: Limit | None = None
    rate_burst: Count | None = None
    concurrency: Concurrency | None = None
    queue: Length | None = None
    queue_timeout: Patience | None = None
    queue_policy: QueuePolicy | None = None
    codel_target: fields.PositiveDuration | None = None
    codel_interval: fields.PositiveDuration | None = None
    shed_status: Status | None = None
    retry_after: Duration | None = None
    retry_after_jitter: Duration | None = None
    client_leaves: ClientLeaves | None = None
    store_time: Duration | None = None
    store_timeout: fields.PositiveDuration | None = None
    store_connections: Connections | None = None
    breaker: Opening | None = None
    breaker_slow: fields.PositiveDuration | None = None
    breaker_open: fields.PositiveDuration | None = None

    def options(self) -> list[str]:
        """As options of the service's command line."""
        values = self.model_dump(mode="json", exclude_none=True)
        return [text for key, value in values.items() for text in (f"--{key.replace('_', '-')}", str(value))]


# What each key is for, with an example.
HELP: Final[dict[str, tuple[str, Any]]] = {
    "slots": ("Requests worked on at the same time; 24 if left out.", 4),
    "service_time": ("Work for a request, beside its store calls; 8ms if left out.", "38ms"),
    "service_jitter": ("Share by which that varies up and down; 25% if left out.", "10%"),
    "rate_limit": ("Of requests for a slot; past it 429. none if left out.", "90/s"),
    "rate_burst": ("Requests that may come at once all the same; 20 if left out.", 20),
    "concurrency": (
        "Requests let in: fixed, as slots and queue allow; adaptive, as latency shows to be good.",
        "adaptive",
    ),
    "queue": ("Requests that may wait for a slot, or unbounded; 24 if left out.", "unbounded"),
    "queue_timeout": ("Longest wait for a slot, or none; 1s if left out.", "none"),
    "queue_policy": (
        "Who is next: fifo, the first that came; lifo, the last; codel, the first, with little patience "
        "while the queue stands.",
        "codel",
    ),
    "codel_target": ("With codel: longest wait in a queue that stands; 5ms if left out.", "5ms"),
    "codel_interval": (
        "With codel: a queue not empty for so long stands; longest wait else; 100ms if left out.",
        "100ms",
    ),
    "shed_status": (
        "Status of an answer that turns away; 444: close without an answer. 503 if left out.",
        500,
    ),
    "retry_after": ("Retry-After of such an answer, rounded up to seconds; 0: none. 1s if left out.", "2s"),
    "retry_after_jitter": ("By which that is made longer at random, at most.", "10s"),
    "client_leaves": ("What becomes of a request whose client closes: cancel or finish.", "finish"),
    "store_time": ("The store answers after so long; 2ms if left out.", "2ms"),
    "store_timeout": ("Of a store call; then 504. 1s if left out.", "1s"),
    "store_connections": ("Connections kept to the store, or slots: one for each.", 4),
    "breaker": ("Share of bad store calls at which a breaker opens, or none.", "50%"),
    "breaker_slow": ("A store call that takes longer is bad too; 500ms if left out.", "200ms"),
    "breaker_open": ("An open breaker tries the store again after so long; 2s if left out.", "500ms"),
}
