"""Which keys a profile knows where, which are reserved and not built yet, and how a place is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from loadtool.profile import model
from loadtool.profile.demo import Demo
from loadtool.profile.descriptions import DESCRIPTIONS, Help
from loadtool.profile.gauge import Gauge
from loadtool.profile.readers import did_you_mean
from loadtool.profile.toxics import TOXICS
from loadtool.profile.yaml_tree import Path

ANY: Final = "*"  # any one key or index
REST: Final = "**"  # whatever follows, at least one

MODELS: Final[tuple[tuple[tuple[str, ...], type[model.Model]], ...]] = (
    ((), model.Profile),
    (("demo",), Demo),
    (("wait_for",), model.WaitFor),
    (("replay",), model.Replay),
    (("replay", "expect"), model.Expect),
    (("requests", ANY), model.Request),
    (("requests", ANY, "expect"), model.Expect),
    (("data", ANY), model.DataSource),
    (("phases", ANY), model.Phase),
    (("phases", ANY, "arrivals"), model.Arrivals),
    (("phases", ANY, "arrivals", "burst"), model.Burst),
    (("arrivals",), model.Arrivals),
    (("arrivals", "burst"), model.Burst),
    (("client",), model.Client),
    (("client", "connections"), model.Connections),
    (("client", "tls"), model.Tls),
    (("client", "retries"), model.Retries),
    (("client", "retries", "budget"), model.Budget),
    (("client", "throttle"), model.Throttle),
    (("proxies", ANY), model.Proxy),
    (("faults", ANY), model.Fault),
    (("steady_state", ANY), model.Check),
    (("probes", ANY), Gauge),
    (("slos",), model.Objective),
    (("slos", ANY), model.Objective),
    (("validity",), model.Validity),
)

NOT_BUILT: Final[frozenset[tuple[str, ...]]] = frozenset(
    {
        ("abort",),
        ("flows",),
        ("jobs",),
        ("faults", ANY, "abort"),
    }
)

# What people coming from other tools write, by model.
SYNONYMS: Final[Mapping[str, Mapping[str, str]]] = {
    "Profile": {
        "url": "target", "base_url": "target", "host": "target", "stages": "phases", "thresholds": "slos",
        "slo": "slos", "scenarios": "requests", "request": "requests", "feeder": "data", "toxics": "faults",
        "timeout": "client.timeout", "connections": "client.connections", "tls": "client.tls",
        "reconnect": "client.reconnect", "source": "client.source", "http2": "client.http2",
        "proxy": "client.proxy", "http_proxy": "client.proxy",
    },
    "Client": {
        "verify": "tls: {verify: …}", "insecure": "tls: {verify: false}", "ca": "tls: {ca: …}",
        "cert": "tls: {cert: …}", "ssl": "tls", "max_connections": "connections",
        "source_address": "source", "bind": "source", "h2": "http2", "http_proxy": "proxy",
        "transport": "transport beside client, not in it", "retry": "retries", "backoff": "retries",
        "throttling": "throttle",
    },
    "Retries": {
        "attempts": "max", "retries": "max", "count": "max", "backoff": "policy", "jitter": "policy",
        "initial": "base", "delay": "base", "max_delay": "cap", "when": "on",
    },
    "Budget": {"percent": "share", "max_tokens": "tokens", "token_ratio": "ratio"},
    "Throttle": {"K": "k"},
    "Tls": {"insecure": "verify: false", "certificate": "cert", "cafile": "ca", "keyfile": "key"},
    "Request": {
        "url": "get, post, …", "path": "get, post, …", "method": "get, post, …", "params": "query",
        "body": "json, form, raw or multipart", "data": "json, form, raw or multipart", "check": "expect",
        "assert": "expect", "auth": "headers",
    },
    "Phase": {"duration": "for", "rps": "rate", "target": "rate"},
    "Replay": {
        "path": "file", "log": "file", "rate": "speed", "factor": "scale", "body": "bodies",
        "columns": "fields", "keys": "fields",
    },
    "Arrivals": {"type": "process", "bursts": "burst", "batches": "batch", "size": "batch"},
    "Fault": {
        "duration": "for", "type": "toxic", "start": "at", "attributes": "them beside toxic", "end": "until",
        "repeat": "every", "command": "run", "exec": "run", "rollback": "undo",
    },
    "Check": {"url": "get", "http": "get", "path": "get", "expect": "status", "timeout": "within"},
    "Gauge": {"url": "get", "path": "get", "metric": "value", "field": "value", "interval": "every"},
    "DataSource": {"path": "file"},
    "Objective": {"text": "slo", "objective": "slo", "abort_after": "after", "delay": "after"},
}  # fmt: skip

# Keys that may be empty: without a value they are as if they were not there.
SECTIONS: Final = frozenset(
    {
        "allow_hosts", "client", "data", "demo", "expect", "faults", "form", "headers", "multipart", "probes",
        "proxies", "query", "replay", "setup", "slos", "steady_state", "teardown", "tls", "validity",
    }
)  # fmt: skip

# Text, whatever it looks like: an unquoted number keeps its source text there.
TEXTS: Final = (
    ("name",),
    ("headers", ANY),
    ("replay", "file"),
    ("replay", "fields", ANY),
    ("replay", "bodies", ANY),
    ("replay", "expect", "contains"),
    ("replay", "expect", "contains", ANY),
    ("replay", "expect", "matches"),
    ("replay", "expect", "matches", ANY),
    ("requests", ANY, "name"),
    ("requests", ANY, "headers", ANY),
    ("requests", ANY, "query", REST),
    ("requests", ANY, "form", REST),
    ("requests", ANY, "multipart", REST),
    ("requests", ANY, "raw"),
    ("requests", ANY, "expect", "contains"),
    ("requests", ANY, "expect", "contains", ANY),
    ("requests", ANY, "expect", "matches"),
    ("requests", ANY, "expect", "matches", ANY),
    ("setup", REST),
    ("teardown", REST),
    ("proxies", ANY, "existing"),
    ("faults", ANY, "run", REST),
    ("faults", ANY, "undo", REST),
    ("steady_state", ANY, "name"),
    ("probes", ANY, "name"),
    ("probes", ANY, "value"),
    ("client", "tls", "ca"),
    ("client", "tls", "cert"),
    ("client", "tls", "key"),
)
# What things are called: reports, the judge and SLOs find them by it.
NAMES: Final = (
    ("name",), ("requests", ANY, "name"), ("steady_state", ANY, "name"), ("probes", ANY, "name"),
)  # fmt: skip
BODIES: Final = tuple(("requests", ANY, body) for body in model.BODIES) + tuple(
    ("requests", ANY, body, REST) for body in model.BODIES
)
REPLAY_BODIES: Final = (("replay", "bodies", ANY),)  # sent as they are: no templates
PATHS: Final = tuple(("requests", ANY, method) for method in model.METHODS)
QUERIES: Final = (("requests", ANY, "query", REST),)
HEADERS: Final = (("headers", ANY), ("requests", ANY, "headers", ANY))
UNDOS: Final = (("faults", ANY, "undo"), ("faults", ANY, "undo", REST))
COMMANDS: Final = (
    ("setup",), ("setup", REST), ("teardown",), ("teardown", REST),
    ("faults", ANY, "run"), ("faults", ANY, "run", REST), *UNDOS,
)  # fmt: skip
PAGES: Final = (("steady_state", ANY, "get"), ("probes", ANY, "get"))
URLS: Final = (("target",), ("toxiproxy",), ("client", "proxy"), *PAGES)
UPLOADS: Final = tuple(("requests", ANY, "multipart", ANY, key) for key in ("file", "type", "filename"))
TEMPLATES: Final = (*PATHS, *QUERIES, *HEADERS, *BODIES)
# Text of the user's own that nothing reads back from a result: any secret in it may be masked. A value with
# a grammar, such as a rate, would be none any more, and a name would be another one.
FREE: Final = (
    *(pattern for pattern in TEXTS if pattern not in NAMES),
    *TEMPLATES, *REPLAY_BODIES, *COMMANDS, *URLS,
    ("wait_for", "get"), ("steady_state", ANY, "tcp"), ("proxies", ANY, "upstream"),
    ("data", ANY), ("data", ANY, "file"), ("replay",), ("allow_hosts", ANY),
)  # fmt: skip


def fits(path: Path, pattern: tuple[str, ...]) -> bool:
    if pattern[-1:] == (REST,):
        return len(path) >= len(pattern) and fits(path[: len(pattern) - 1], pattern[:-1])
    return len(path) == len(pattern) and all(p in (ANY, e) for e, p in zip(path, pattern, strict=True))


def fits_any(path: Path, patterns: Iterable[tuple[str, ...]]) -> bool:
    return any(fits(path, pattern) for pattern in patterns)


def is_template(path: Path) -> bool:
    """Whether the text at this place is a template."""
    return fits_any(path, TEMPLATES) and not fits_any(path, UPLOADS)


def model_at(path: Path) -> type[model.Model] | None:
    """The model of the mapping at this place; None where keys are free, or nothing belongs."""
    return next((m for pattern, m in MODELS if fits(path, pattern)), None)


def known_keys(m: type[model.Model], item: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a mapping of this model may have, as they are written."""
    keys = tuple(DESCRIPTIONS[m.__name__])
    if m is not model.Fault:
        return keys
    toxic = item.get("toxic")
    # Of a toxic that is missing or misspelled nothing is known: all attributes will do until it is mended.
    rows = [TOXICS[toxic]] if isinstance(toxic, str) and toxic in TOXICS else list(TOXICS.values())
    return (*keys, *dict.fromkeys(name for row in rows for name in row))


def unknown_key(path: Path, m: type[model.Model], item: Mapping[str, Any]) -> str:
    """What to say of a key that its model does not know."""
    key = str(path[-1])
    if fits_any(path, NOT_BUILT):
        return "not built yet"
    if (instead := SYNONYMS.get(m.__name__, {}).get(key)) is not None:
        return f"unknown key, write {instead}"
    known = known_keys(m, item)
    if (name := key.partition(":")[0]) in known and name != key:  # as YAML reads it within braces
        return f"unknown key, want a space after the colon: {name}: {key[len(name) + 1 :]}"
    return "unknown key" + (did_you_mean(key, known) or f", want one of {', '.join(known)}")


def help_at(path: Path) -> Help | None:
    """What the key at this place is for; for an item of a list or mapping, with an example of an item."""
    if not path:
        return None
    if not isinstance(path[-1], int) and (m := model_at(path[:-1])) is not None:
        return DESCRIPTIONS[m.__name__].get(str(path[-1]))
    if (whole := help_at(path[:-1])) is None:
        return None
    match whole.example:
        case list() as items:
            return Help(whole.text, items[0])
        case dict() as items:
            return Help(whole.text, next(iter(items.values())))
    return whole


def example_at(path: Path) -> str:
    """An example for the value at this place, as it may be written on one line of YAML, or ""."""
    row = help_at(path)
    return flow(row.example) if row is not None else ""


def flow(value: Any) -> str:
    """Plain data as YAML on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{k}: {_nested(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_nested, value)) + "]"
        case bool():
            return "true" if value else "false"
    return str(value)


def _nested(value: Any) -> str:
    """As `flow`, within a list or mapping, where more texts need quotes."""
    unsafe = isinstance(value, str) and re.search(r"""[][{},&*#!|%@`$"']|:\s""", value)
    return json.dumps(value, ensure_ascii=False) if unsafe else flow(value)


def show_path(path: Path) -> str:
    """The place as a reader would write it: `phases[2].rate`."""
    text = ""
    for element in path:
        if isinstance(element, int):
            text += f"[{element}]"
        else:
            name = element if element.isprintable() and element else repr(element)
            text += f".{name}" if text else name
    return text
