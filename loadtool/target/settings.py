"""Settings of the demo service, and the options by which they are given on a command line.

With the defaults the service has 24 slots and holds one for 8 ms of work plus 2 ms for each store call. For a
mix of 80 % `GET /products/…` (one store call) and 20 % `POST /checkout` (two), that is 10.4 ms a request:

    capacity = slots ÷ (service time + store calls × store time) = 24 ÷ 10.4 ms  = 2,300 requests/s
    with 200 ms more on each store call                          = 24 ÷ 250.4 ms =    96 requests/s

so 20/s leaves it idle, 200/s costs it nothing, and 200/s with a slow store is twice what it can serve: half
of that is turned away at once. A full queue of 24 is served in 24 ÷ 96/s = 250 ms, so that even then an
answer takes about 250 + 412 ms at most, and a second after the fault nothing is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from loadtool.errors import UsageError, got
from loadtool.units import (
    MILLISECOND,
    SECOND,
    format_address,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
    positive_duration,
)

QUEUE_POLICIES = ("fifo", "lifo", "codel")
CONCURRENCY = ("fixed", "adaptive")  # as slots and queue allow; or as latency shows to be good
WHEN_CLIENT_LEAVES = ("cancel", "finish")


N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the demo service behaves. Durations in ns, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one
    seed: int = 1  # of the jitter

    slots: int = 24  # requests worked on at the same time
    service_time_ns: int = 8 * MILLISECOND  # a slot is held this long, plus the store calls
    service_jitter: float = 0.25  # share by which service time varies, evenly to either side
    rate_limit: float | None = None  # requests/s for a slot, past which the rest get 429; None: any number
    rate_burst: int = 20  # requests that may come at once all the same
    concurrency: str = "fixed"  # requests let in, waiting ones included: one of CONCURRENCY
    queue: int | None = 24  # requests that may wait for a slot; None: any number
    queue_timeout_ns: int | None = 1 * SECOND  # longest wait for a slot; None: for ever
    queue_policy: str = "fifo"  # who is next, and who is turned away: one of QUEUE_POLICIES
    codel_target_ns: int = 5 * MILLISECOND  # with codel, the longest wait in a queue that stands
    codel_interval_ns: int = 100 * MILLISECOND  # it stands if not empty for so long; the longest wait else
    shed_status: int = 503  # of an answer that turns a request away; 444: none, the connection is closed
    retry_after_ns: int = 1 * SECOND  # promised then, in whole seconds; 0: no Retry-After header
    retry_after_jitter_ns: int = 0  # by which that is made longer, evenly up to so much
    client_leaves: str = "cancel"  # what becomes of a request whose client closes: one of WHEN_CLIENT_LEAVES

    store: str | None = (
        None  # HOST:PORT where the service reaches its store; None: the built-in one, directly
    )
    store_port: int = 0  # of the built-in store, on 127.0.0.1; 0: any free one
    store_time_ns: int = 2 * MILLISECOND  # the built-in store answers after so long
    store_timeout_ns: int = 1 * SECOND  # of one store call, waiting for a connection included; then 504
    store_connections: int | None = None  # kept to the store; None: one for each slot
    breaker: float | None = None  # share of bad store calls at which a breaker opens; None: no breaker
    breaker_slow_ns: int = 500 * MILLISECOND  # a store call that takes longer is bad too
    breaker_open_ns: int = 2 * SECOND  # an open breaker tries the store again after so long

    max_body_bytes: int = 1024 * 1024
    read_timeout_ns: int = 10 * SECOND  # from a request's first byte to its last; then 408
    send_timeout_ns: int = 10 * SECOND  # for a client that does not read; then its connection is closed
    idle_timeout_ns: int = 75 * SECOND  # a kept-alive connection is closed after so long without a request


@dataclass(frozen=True, slots=True)
class Option:
    """One command-line option: `--flag METAVAR`, parsed into the field of `Settings` that it sets."""

    flag: str
    field: str
    metavar: str
    parse: Callable[[str], Any]  # raises ValueError with "got X, want …"
    help: str


def _whole(low: int, high: int) -> Callable[[str], int]:
    want = f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(got(text, want)) from None
        if not low <= number <= high:
            raise ValueError(got(text, want))
        return number

    return parse


def _or_none(word: str, parse: Callable[[str], N]) -> Callable[[str], N | None]:
    def parse_or_none(text: str) -> N | None:
        if text == word:
            return None
        try:
            return parse(text)
        except ValueError as e:
            raise ValueError(f"{e}, or {word}") from None

    return parse_or_none


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(got(text, " or ".join(words)))
        return text

    return parse


def _positive(text: str) -> int:
    return positive_duration(parse_duration(text))


def _positive_rate(text: str) -> float:
    if (rate := parse_rate(text)) == 0:
        raise ValueError(got(text, "a rate above 0 such as 50/s"))
    return rate


def _positive_share(text: str) -> float:
    if (share := parse_share(text)) == 0:
        raise ValueError(got(text, "a share above 0 such as 50%"))
    return share


def _text(text: str) -> str:
    if not text:
        raise ValueError(got(text, "a host name or address"))
    return text


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT" or "[IPV6]:PORT". Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if (
        not colon
        or not host
        or (":" in host and not bracketed)
        or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536)
    ):
        raise ValueError(got(text, "an address such as 127.0.0.1:5432"))
    return host, int(port)


def _address(text: str) -> str:
    return format_address(*parse_address(text))


_PORT = _whole(0, 65535)
_COUNT = _whole(1, 100_000)

OPTIONS: tuple[Option, ...] = (
    Option("--host", "host", "HOST", _text, "address to listen on"),
    Option("--port", "port", "PORT", _PORT, "port to listen on; 0: any free one"),
    Option("--seed", "seed", "N", _whole(0, 2**63 - 1), "seed of the jitter"),
    Option("--slots", "slots", "N", _COUNT, "requests worked on at the same time"),
    Option("--service-time", "service_time_ns", "TIME", parse_duration,
           "work for a request, beside the store calls"),
    Option("--service-jitter", "service_jitter", "SHARE", parse_share, "by which that varies up and down"),
    Option("--rate-limit", "rate_limit", "RATE", _or_none("none", _positive_rate),
           "of requests for a slot; past it 429. Or: none"),
    Option("--rate-burst", "rate_burst", "N", _COUNT, "requests that may come at once all the same"),
    Option("--concurrency", "concurrency", "HOW", _one_of(*CONCURRENCY),
           "requests let in: fixed, as slots and queue allow; adaptive, as latency shows to be good"),
    Option("--queue", "queue", "N", _or_none("unbounded", _whole(0, 10_000_000)),
           "requests that may wait for a slot, or: unbounded"),
    Option("--queue-timeout", "queue_timeout_ns", "TIME", _or_none("none", _positive),
           "longest wait for a slot, or: none"),
    Option("--queue-policy", "queue_policy", "POLICY", _one_of(*QUEUE_POLICIES),
           "who is next: " + ", ".join(QUEUE_POLICIES)),
    Option("--codel-target", "codel_target_ns", "TIME", _positive,
           "with codel: longest wait in a queue that stands"),
    Option("--codel-interval", "codel_interval_ns", "TIME", _positive,
           "with codel: a queue not empty for so long stands; longest wait else"),
    Option("--shed-status", "shed_status", "STATUS", _whole(400, 599),
           "status of an answer that turns away; 444: close without an answer, as nginx does"),
    Option("--retry-after", "retry_after_ns", "TIME", parse_duration,
           "Retry-After of such an answer, rounded up to seconds; 0: none"),
    Option("--retry-after-jitter", "retry_after_jitter_ns", "TIME", parse_duration,
           "by which that is made longer at random"),
    Option("--client-leaves", "client_leaves", "WHAT", _one_of(*WHEN_CLIENT_LEAVES),
           "what becomes of a request whose client closes: cancel, finish"),
    Option("--store", "store", "HOST:PORT", _address,
           "where to reach the store, such as a proxy before it; default: the built-in one"),
    Option("--store-port", "store_port", "PORT", _PORT, "port of the built-in store; 0: any free one"),
    Option("--store-time", "store_time_ns", "TIME", parse_duration,
           "the built-in store answers after so long"),
    Option("--store-timeout", "store_timeout_ns", "TIME", _positive, "of a store call; then 504"),
    Option("--store-connections", "store_connections", "N", _or_none("slots", _COUNT),
           "connections kept to the store; default: one for each slot"),
    Option("--breaker", "breaker", "SHARE", _or_none("none", _positive_share),
           "of bad store calls at which a breaker opens, or: none"),
    Option("--breaker-slow", "breaker_slow_ns", "TIME", _positive, "a longer store call is bad too"),
    Option("--breaker-open", "breaker_open_ns", "TIME", _positive, "until it tries the store again"),
    Option("--max-body", "max_body_bytes", "SIZE", parse_size, "largest request body"),
    Option("--read-timeout", "read_timeout_ns", "TIME", _positive, "for a request to arrive whole; then 408"),
    Option("--send-timeout", "send_timeout_ns", "TIME", _positive, "for a client to read its answer"),
    Option("--idle-timeout", "idle_timeout_ns", "TIME", _positive, "of a connection without a request"),
)  # fmt: skip


def settings_from(texts: Mapping[str, str | None]) -> Settings:
    """Settings from option texts by field name; what is absent or None keeps its default.

    Raises UsageError naming the first option that is wrong.
    """
    values: dict[str, Any] = {}
    for option in OPTIONS:
        text = texts.get(option.field)
        if text is None:
            continue
        try:
            values[option.field] = option.parse(text)
        except ValueError as e:
            raise UsageError(f"{option.flag}: {e}") from None
    return Settings(**values)
