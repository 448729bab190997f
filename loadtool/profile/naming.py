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
    for path, request in _items(data, "requests"):
        safe = {key: _shown(draft, (*path, key), request.get(key), hidden) for key in ("name", *METHODS)}
        given, name = item_name(request), item_name(safe)
        if given is not None and name is not None:
            called[given] = name
        # Without a method it is a mistake anyway, and so is a name that is no text.
        _name(request, name or f"request {path[1]}")
    for path, check in _items(data, "steady_state"):
        _name(check, _first(draft, path, check, ("name", "get", "tcp"), hidden) or f"check {path[1]}")
    for path, gauge in _items(data, "probes"):
        _name(gauge, _first(draft, path, gauge, ("name", "value"), hidden) or f"probe {path[1]}")
    for profile in (draft.data, data):
        _rename(profile, called)


def _name(item: dict[str, Any], name: str) -> None:
    if isinstance(item.get("name", ""), str):
        item["name"] = name if item.get("name") != "" else ""


def _first(draft: Draft, path: Path, item: Mapping[str, Any], of: tuple[str, ...], hidden: Secrets) -> str:
    """The first of these values, as it may be shown."""
    key = next((key for key in of if isinstance(item.get(key), str)), None)
    return str(_shown(draft, (*path, key), item[key], hidden)) if key is not None else ""


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
    name = called.get(parsed.request or "", parsed.request)
    return slo if name == parsed.request else str(replace(parsed, request=name))


def _items(data: Mapping[str, Any], section: str) -> list[tuple[Path, dict[str, Any]]]:
    items = data.get(section)
    listed = items if isinstance(items, list) else []
    return [((section, i), item) for i, item in enumerate(listed) if isinstance(item, dict)]
