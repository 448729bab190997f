"""What ties the keys of one mapping together: exactly one method, at most one body, a toxic or `down`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtool.errors import got
from loadtool.profile import keys, toxics
from loadtool.profile.draft import Draft
from loadtool.profile.model import BODIES, METHODS
from loadtool.profile.readers import NAME_PATTERN, header_flaws
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
    wait_for = data.get("wait_for")
    if isinstance(wait_for, dict) and "{{" in str(wait_for.get("get")):
        draft.report(("wait_for", "get"), got(wait_for["get"], "a plain path: this is no template"))


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
    down = item.get("down") in (True, "true")
    if "toxic" in item:
        if down:
            draft.report((*path, "down"), "only one of toxic and down")
        return
    if not down:
        draft.report(path, f"missing: toxic, one of {', '.join(toxics.TOXICS)}; or down: true")
        return
    for key in ("stream", "toxicity", *toxics.ATTRIBUTES):
        if key in item:
            draft.report((*path, key), "belongs to a toxic, not to down: true")


def _data_name(draft: Draft, name: str) -> None:
    path = ("data", name)
    if not re.fullmatch(DATA_NAME_PATTERN, name):
        draft.report(path, got(name, "a name that templates can use, of letters, digits and _, such as row"))
    elif name in NAMES:
        draft.report(path, f"{name} is a name of the templates' own; take another, such as row")


DATA_NAME_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"
RULES: Final[Mapping[str, Callable[[Draft, Path, Mapping[str, Any]], None]]] = {
    "requests": _request,
    "proxies": _proxy,
    "faults": _fault,
}
