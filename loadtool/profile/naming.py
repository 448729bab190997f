"""What requests, checks and probes are called: the judge, SLOs and reports know them by it, so it is shown.

What a name has from a variable that is a secret elsewhere in the profile is masked in it, once and for all.
Its own letters stay, even where they are some secret's by chance: they stand in the profile as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loadtool.profile import keys
from loadtool.profile.draft import Draft
from loadtool.profile.model import METHODS
from loadtool.profile.overrides import item_name
from loadtool.profile.secrets import Secrets, userinfo_span
from loadtool.profile.slo import parse_slo
from loadtool.profile.yaml_tree import Path


def give_names(draft: Draft, data: dict[str, Any], stem: str) -> None:
    """Name all in `data` that has no name, mask the names, and have SLOs speak of requests by them.

    `stem` names a profile that does not name itself.
    """
    hidden = Secrets.of(draft.secrets)
    data["name"] = _shown(draft, ("name",), data.get("name", stem), hidden)
    called: dict[str, str] = {}
    owners: dict[str, str | None] = {}
    for path, request in _items(data, "requests"):
        safe = {key: _shown(draft, (*path, key), request.get(key), hidden) for key in ("name", *METHODS)}
        given, name = item_name(request), item_name(safe)
        # Without a method it is a mistake anyway, and so is a name that is no text.
        _name(request, given, name or f"request {path[1]}", owners)
        if given is not None:
            called[given] = str(request["name"])
    for section, keys_of, kind in (
        ("steady_state", ("name", "get", "tcp"), "check"), ("probes", ("name", "value"), "probe")
    ):  # fmt: skip
        owners = {}
        for path, item in _items(data, section):
            key = next((key for key in keys_of if isinstance(item.get(key), str)), None)
            shown = _shown(draft, (*path, key), item[key], hidden) if key is not None else f"{kind} {path[1]}"
            _name(item, item[key] if key is not None else None, str(shown), owners)
    for profile in (draft.data, data):
        _rename(profile, called)


def _name(item: dict[str, Any], given: str | None, shown: str, owners: dict[str, str | None]) -> None:
    """Name an item. Names that were others before they were masked stay so, by a number.

    `owners`: by name, what was given for it.
    """
    if not isinstance(item.get("name", ""), str):
        return
    name, number = shown, 1
    while owners.setdefault(name, given) != given:
        number += 1
        name = f"{shown} ({number})"
    item["name"] = name if item.get("name") != "" else ""


def _shown(draft: Draft, path: Path, value: Any, hidden: Secrets) -> Any:
    if not isinstance(value, str):
        return value
    if keys.fits_any(path, keys.URLS) and userinfo_span(value):
        return hidden.mask(draft.masked.get(path, value))
    pieces = draft.shown.get(path)
    if pieces is None:
        return value
    return "".join(hidden.mask(text) if is_variable else text for text, is_variable in pieces)


def _rename(data: dict[str, Any], called: Mapping[str, str]) -> None:
    """SLOs may speak of a request by the name that it has in the profile's own words."""
    slos = data.get("slos")
    if isinstance(slos, list):
        data["slos"] = [_renamed(slo, called) for slo in slos]
    elif slos is not None:
        data["slos"] = _renamed(slos, called)


def _renamed(slo: Any, called: Mapping[str, str]) -> Any:
    if isinstance(slo, dict):
        return {key: _renamed(text, called) if key == "slo" else text for key, text in slo.items()}
    if not isinstance(slo, str):
        return slo
    try:
        parsed = parse_slo(slo)
    except ValueError:
        return slo  # a mistake, which is said elsewhere
    name = parsed.request and called.get(parsed.request, parsed.request)
    return slo if name == parsed.request else str(replace(parsed, request=name))


def _items(data: Mapping[str, Any], section: str) -> list[tuple[Path, dict[str, Any]]]:
    items = data.get(section)
    listed = items if isinstance(items, list) else []
    return [((section, i), item) for i, item in enumerate(listed) if isinstance(item, dict)]
