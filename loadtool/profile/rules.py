"""What ties the keys of one mapping together: exactly one method, at most one body, one way to do harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtool import units
from loadtool.errors import got
from loadtool.profile import keys, toxics
from loadtool.profile.addresses import DEMO, UNIX
from loadtool.profile.draft import Draft
from loadtool.profile.model import BODIES, METHODS
from loadtool.profile.readers import NAME_PATTERN, header_flaws
from loadtool.profile.secrets import Secrets
from loadtool.profile.template_names import NAMES
from loadtool.profile.yaml_tree import Path


def check(draft: Draft, data: Mapping[str, Any]) -> None:
    """Report what is wrong between keys, in data that may be wrong in other ways."""
    for section, rule in RULES.items():
        items = data.get(section)
        children = (
            items.items() if isinstance(items, dict) else enumerate(items if isinstance(items, list) else ())
        )
        for key, item in children:
            path = (section, key)
            if isinstance(item, dict) and not any(
                p[:2] == path and keys.fits_any(p, keys.NOT_BUILT) for p in draft.reported
            ):
                rule(draft, path, item)
    for name in data["data"] if isinstance(data.get("data"), dict) else ():
        _data_name(draft, name)
    _headers(draft, ("headers",), data.get("headers"))
    _client(draft, data)
    for key in UNREPLAYED if "replay" in data else ():
        if key in data:
            draft.report((key,), "a replay has its own; leave this out")
    replay = data.get("replay")
    if isinstance(replay, dict) and replay.get("fields") and replay.get("format", "combined") == "combined":
        message = "belongs to format: json and format: csv; lines of combined name nothing"
        draft.report(("replay", "fields"), message)
    if "demo" in data and data.get("target") != DEMO and not draft.waits_within(("target",)):
        draft.report(("demo",), "the switches of the embedded service need target: demo; leave this out")
    wait_for = data.get("wait_for")
    if isinstance(wait_for, dict) and re.search(r"\{[{%#]", str(wait_for.get("get"))):
        draft.report(("wait_for", "get"), got(wait_for["get"], "a plain path: this is no template"))


def _client(draft: Draft, data: Mapping[str, Any]) -> None:
    """What only one transport can do, and what does not go together."""
    client, target = data.get("client"), str(data.get("target"))
    if not isinstance(client, dict):
        return
    _retries(draft, client.get("retries"))
    if client.get("trace") in (True, "true"):
        _own_traces(draft, data)
    http2 = client.get("http2") in (True, "true")
    wanted = [key for key, on in (("http2", http2), ("proxy", "proxy" in client)) if on]
    if data.get("transport", "http1") == "http1":
        for key in wanted:
            draft.report(("client", key), f"needs transport: httpx; http1 knows no {_CLIENT[key]}")
        return
    if "proxy" in client and target.startswith(UNIX):
        draft.report(("client", "proxy"), "a proxy can't reach a unix-domain socket; leave it out")
    elif http2 and "proxy" in client and target.startswith("http:"):
        message = "a proxy forwards plain HTTP as HTTP/1.1; want an https target, or no proxy"
        draft.report(("client", "http2"), message)


def _own_traces(draft: Draft, data: Mapping[str, Any]) -> None:
    """A header of the profile's own would be the second one, and lead to other traces than the report."""
    requests = data.get("requests")
    items = enumerate(requests) if isinstance(requests, list) else ()
    places: list[tuple[Path, Any]] = [(("headers",), data.get("headers"))]
    places += [(("requests", i, "headers"), r.get("headers")) for i, r in items if isinstance(r, dict)]
    for path, headers in places:
        for name in headers if isinstance(headers, dict) else ():
            if str(name).lower() == "traceparent":
                draft.report(
                    (*path, name), "set by loadtool with client: {trace: true}; leave one of the two out"
                )


def _retries(draft: Draft, item: Any) -> None:
    if not isinstance(item, dict):
        return
    path: Path = ("client", "retries")
    base, cap = (_duration(item.get(key), default) for key, default in _BACKOFF.items())
    if base is not None and cap is not None and cap < base:
        want = f"at least `base`, {units.format_duration(base)}"
        key = "cap" if "cap" in item else "base"
        shown = item.get(key)
        draft.report((*path, key), got(shown, want if key == "cap" else "at most `cap`, 2s"))
    budget = item.get("budget")
    if not isinstance(budget, dict):
        return
    path = (*path, "budget")
    if "share" in budget and "tokens" in budget:
        draft.report((*path, "tokens"), "only one of share and tokens")
    elif "share" not in budget and "tokens" not in budget:
        draft.report(path, "missing: share, such as 10%, or tokens, such as 10")
    elif "tokens" in budget and "min" in budget:
        draft.report((*path, "min"), "belongs to share, not to tokens")
    elif "share" in budget and "ratio" in budget:
        draft.report((*path, "ratio"), "belongs to tokens, not to share")


_BACKOFF: Final = {"base": 100 * units.MILLISECOND, "cap": 2 * units.SECOND}  # the defaults


def _duration(text: Any, default: int) -> int | None:
    """None if it is none: the model will say so."""
    try:
        return default if text is None else units.parse_duration(text)
    except ValueError:
        return None


_CLIENT: Final = {"http2": "HTTP/2", "proxy": "HTTP proxies"}


def _headers(draft: Draft, path: Path, headers: Any) -> None:
    """Bad names are taken out, so that values are looked at all the same."""
    if isinstance(headers, dict):
        for name, message in header_flaws(headers):
            draft.report((*path, name), message)
            del headers[name]


def _request(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    _headers(draft, (*path, "headers"), item.get("headers"))
    methods = [m for m in METHODS if m in item]
    if not methods:
        draft.report(path, f"missing: one of {', '.join(METHODS)} with a path, such as get: /")
    for extra in methods[1:]:
        draft.report((*path, extra), f"only one method: {methods[0]} is given already")
    bodies = [b for b in BODIES if b in item]
    for extra in bodies[1:]:
        draft.report((*path, extra), f"only one body: {bodies[0]} is given already")
    if "json" in item and item["json"] is None:
        draft.report((*path, "json"), got(None, "a JSON value; for a body of null, write raw: 'null'"))


def _phase(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    for key in UNREPLAYED_PHASE if draft.data.get("replay") is not None else ():
        if key in item:
            message = "the replay says when requests leave; leave this out, or use replay: {speed, scale}"
            draft.report((*path, key), message)


def _proxy(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    if not re.fullmatch(NAME_PATTERN, str(path[-1])):
        draft.report(path, got(path[-1], "a name of letters, digits, _ and -, such as store"))
    if "upstream" in item and "existing" in item:
        draft.report((*path, "existing"), "only one of upstream and existing")
    elif "upstream" not in item and "existing" not in item:
        draft.report(path, "missing: upstream, such as 127.0.0.1:5432, or existing, a proxy of the server")
    if "existing" in item and "listen" in item:
        draft.report((*path, "listen"), "an existing proxy listens where it does; leave this out")


def _fault(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    given = [kind for kind in ("toxic", "down", "run") if _is_given(item, kind)]
    if any((*path, kind) in draft.reported for kind in ("toxic", "down", "run") if kind not in item):
        return  # it is there, with nothing after its colon
    if not given:
        one_of = f"toxic, one of {', '.join(toxics.TOXICS)}; or down: true; or run, a command"
        draft.report(path, f"missing: {one_of}")
        return
    for extra in given[1:]:
        draft.report((*path, extra), f"only one of {given[0]} and {extra}")
    for key, kinds in _BELONGS.items():
        if key in item and given[0] not in kinds:
            owner = {"run": "a command (run)", "toxic": "a toxic", "down": "a proxy"}[kinds[-1]]
            draft.report((*path, key), f"belongs to {owner}, not to {_SHOWN[given[0]]}")
    if given[0] != "run" and "proxy" not in item:
        draft.report((*path, "proxy"), f"missing, such as {keys.example_at((*path, 'proxy'))}")
    if (
        given[0] == "toxic"
        and "ramp" in item
        and isinstance(item["toxic"], str)
        and item["toxic"] in toxics.TOXICS.keys() - toxics.RAMPED.keys()
    ):
        draft.report((*path, "ramp"), f"{item['toxic']} has nothing to ramp; {', '.join(toxics.RAMPED)} have")
    _times(draft, path, item)
    _undo(draft, path, item)


def _is_given(item: Mapping[str, Any], kind: str) -> bool:
    return item.get(kind) in (True, "true") if kind == "down" else kind in item


_SHOWN: Final = {"toxic": "a toxic", "down": "down: true", "run": "a command"}
# Which kinds of fault a key belongs to.
_BELONGS: Final[Mapping[str, tuple[str, ...]]] = {
    "proxy": ("toxic", "down"),
    **{key: ("toxic",) for key in ("stream", "toxicity", "ramp", *sorted(toxics.ATTRIBUTES))},
    "undo": ("run",),
}


def _times(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    at = item.get("at")
    several = isinstance(at, list) and len(at) > 1
    if "every" in item:
        if "for" not in item:
            draft.report(path, "missing: `every` needs `for`, how long each time lasts")
        if several:
            draft.report((*path, "every"), "only one of `every` and a list of moments in `at`")
    elif "until" in item and "for" in item:
        draft.report((*path, "until"), "only one of `for` and `until`; with `every`, both")
    elif several and "for" not in item:
        draft.report(path, "missing: a list of moments in `at` needs `for`, how long each time lasts")


def _undo(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    undo = item.get("undo")
    words = undo if isinstance(undo, list) else [undo]
    secrets = Secrets.of(draft.secrets)
    if any(isinstance(word, str) and secrets.mask(word) != word for word in words):
        draft.report(
            (*path, "undo"), "holds a secret of this profile, and undo is kept on disk; leave it out"
        )


def _check(draft: Draft, path: Path, item: Mapping[str, Any]) -> None:
    if "get" in item and "tcp" in item:
        draft.report((*path, "tcp"), "only one of get and tcp")
    elif "get" not in item and "tcp" not in item:
        draft.report(path, "missing: get, such as /health, or tcp, such as 127.0.0.1:5432")
    elif "tcp" in item and "status" in item:
        draft.report((*path, "status"), "belongs to get, not to tcp")


def _data_name(draft: Draft, name: str) -> None:
    path = ("data", name)
    if not re.fullmatch(DATA_NAME_PATTERN, name):
        draft.report(path, got(name, "a name that templates can use, of letters, digits and _, such as row"))
    elif name in NAMES:
        draft.report(path, f"{name} is a name of the templates' own; take another, such as row")


UNREPLAYED: Final = ("requests", "data", "arrivals")
UNREPLAYED_PHASE: Final = ("rate", "ramp", "double_every", "arrivals")
DATA_NAME_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"
RULES: Final[Mapping[str, Callable[[Draft, Path, Mapping[str, Any]], None]]] = {
    "phases": _phase,
    "requests": _request,
    "proxies": _proxy,
    "faults": _fault,
    "steady_state": _check,
}
