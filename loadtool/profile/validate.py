"""A draft's data into models, piece by piece, so that one mistake hides no other."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loadtool.errors import got
from loadtool.profile import keys, rules, toxics
from loadtool.profile.draft import Draft, get
from loadtool.profile.gauge import Gauge
from loadtool.profile.model import (
    Check,
    DataSource,
    Fault,
    Model,
    Objective,
    Phase,
    Profile,
    Proxy,
    Replay,
    Request,
)
from loadtool.profile.naming import give_names
from loadtool.profile.yaml_tree import Path

M = TypeVar("M", bound=Model)


@dataclass(slots=True)
class Pieces:
    """The parts of a profile that are right in themselves, by index or name; and the whole, if it is."""

    requests: dict[int, Request] = field(default_factory=dict)
    phases: dict[int, Phase] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    checks: dict[int, Check] = field(default_factory=dict)
    gauges: dict[int, Gauge] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    data: dict[str, DataSource] = field(default_factory=dict)
    objectives: dict[Path, Objective] = field(default_factory=dict)  # SLOs that are mappings, by place
    replay: Replay | None = None
    whole: Profile | None = None


_LISTS: Final[dict[str, type[Model]]] = {
    "requests": Request,
    "phases": Phase,
    "faults": Fault,
    "steady_state": Check,
    "probes": Gauge,
}
_MAPPINGS: Final[dict[str, type[Model]]] = {"proxies": Proxy, "data": DataSource}


def validate(draft: Draft, stem: str) -> Pieces:
    """Models of everything in the draft that is right; mistakes go to the draft.

    `stem` names a profile that does not name itself.
    """
    data = {k: v for k, v in copy.deepcopy(draft.data).items() if not k.startswith("x-")}
    for path, item in list(_modelled(data)):
        _drop_unknown(draft, path, item)
        _drop_blank(draft, path, item)
    give_names(draft, data, stem)
    rules.check(draft, data)
    pieces = Pieces()
    found: dict[str, Any] = {
        "requests": pieces.requests, "phases": pieces.phases, "faults": pieces.faults,
        "proxies": pieces.proxies, "data": pieces.data, "steady_state": pieces.checks,
        "probes": pieces.gauges,
    }  # fmt: skip
    for section, model in _LISTS.items():
        for i, item in enumerate(_items(data, section)):
            if section == "faults" and isinstance(item, dict):
                item = _with_attributes(draft, (section, i), item)
            if (piece := _piece(draft, model, item, (section, i))) is not None:
                found[section][i] = piece
        if _items(data, section):
            data[section] = list(found[section].values())
    _objectives(draft, data, pieces)
    for section, model in _MAPPINGS.items():
        if isinstance(data.get(section), dict):
            for name, item in data[section].items():
                if (piece := _piece(draft, model, item, (section, name))) is not None:
                    found[section][name] = piece
            data[section] = found[section]
    pieces.whole = _piece(draft, Profile, data, ())
    _complete(draft, data, pieces)
    return pieces


def _complete(draft: Draft, data: Mapping[str, Any], pieces: Pieces) -> None:
    """Say what is missing of that which a replay alone may leave out."""
    if pieces.whole is not None:
        pieces.replay = pieces.whole.replay
    if "replay" in data:
        return
    missing: list[Path] = [(key,) for key in ("requests", "phases") if key not in data]
    missing += [("phases", i, "rate") for i, phase in pieces.phases.items() if phase.rate is None]
    for path in missing:
        pieces.whole = None
        if path not in draft.reported and not _unbuilt_beside(draft, path):
            draft.report(path, f"missing, such as {keys.example_at(path)}")


def _objectives(draft: Draft, data: dict[str, Any], pieces: Pieces) -> None:
    """SLOs that are mappings become texts; those that are wrong are left out, since that has been said."""
    listed = data.get("slos")
    items = {("slos", i): item for i, item in enumerate(_items(data, "slos"))}
    found: list[Any] = []
    for path, item in items.items() if isinstance(listed, list) else [(("slos",), listed)]:
        if not isinstance(item, dict):
            found.append(item)
        elif (objective := _piece(draft, Objective, item, path)) is not None:
            pieces.objectives[path] = objective
            found.append(str(objective))
    if any(isinstance(item, dict) for item in (*items.values(), listed)):
        data["slos"] = found


def _items(data: Mapping[str, Any], section: str) -> list[Any]:
    items = data.get(section)
    return items if isinstance(items, list) else []


def _modelled(data: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every mapping that a model describes."""
    if isinstance(data, dict) and keys.model_at(path) is not None:
        yield path, data
    if len(path) >= max(len(pattern) for pattern, _ in keys.MODELS):
        return
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, child in children:
        yield from _modelled(child, (*path, key))


def _drop_unknown(draft: Draft, path: Path, item: dict[str, Any]) -> None:
    model = keys.model_at(path)
    assert model is not None
    known = keys.known_keys(model, item)
    for key in [key for key in item if key not in known]:
        draft.report((*path, key), keys.unknown_key((*path, key), model, item))
        del item[key]


def _drop_blank(draft: Draft, path: Path, item: dict[str, Any]) -> None:
    """A key whose value is null is as if it were not there; nothing after the colon is a mistake as well,
    but of a section. `json: null` has a message of its own.
    """
    for key in [key for key, value in item.items() if value is None]:
        at = (*path, key)
        if draft.sources.get(at) == "" and key not in keys.SECTIONS:
            example = keys.example_at(at)
            draft.report(at, got(None, f"a value such as {example}, or no {key}"))
        if draft.sources.get(at) == "" or key != "json":
            del item[key]


def _with_attributes(draft: Draft, path: Path, item: dict[str, Any]) -> dict[str, Any]:
    """The fault with its toxic's attributes gathered, in Toxiproxy's units."""
    plain = {key: value for key, value in item.items() if key not in toxics.ATTRIBUTES}
    toxic = item.get("toxic")
    if not isinstance(toxic, str) or toxic not in toxics.TOXICS:
        return plain
    attributes, flaws = toxics.collect(toxic, item)
    for key, message in flaws:
        draft.report((*path, key), message)
    return plain | {"attributes": attributes}


def _piece(draft: Draft, model: type[M], item: Any, path: Path) -> M | None:
    try:
        return model.model_validate(item)
    except ValidationError as e:
        for error in e.errors(include_url=False):
            _report(draft, item, path, error)
        return None


def _report(draft: Draft, item: Any, base: Path, error: ErrorDetails) -> None:
    """Say in our words what pydantic found, unless it follows from something that has been said."""
    path = base + _as_written(item, error["loc"])
    if error["type"] == "missing":
        if path not in draft.reported and not _unbuilt_beside(draft, path):
            draft.report(path, f"missing, such as {keys.example_at(path)}")
        return
    if error["type"] == "too_short" and get(draft.data, path):
        return  # what was there is wrong, and has been said to be
    if path not in draft.reported:
        draft.report(path, _message(error, path))


def _as_written(item: Any, loc: tuple[int | str, ...]) -> Path:
    """pydantic's place as a place in the data: a value that stands alone for a list has no index, and one
    that stands alone for a mapping no key.
    """
    path: list[int | str] = []
    for element in loc:
        if element == "[key]" or not isinstance(item, list if isinstance(element, int) else dict):
            break
        path.append(element)
        item = get(item, (element,))
    return tuple(path)


_WANTED: Final = {
    "model_type": "a mapping", "dict_type": "a mapping", "tuple_type": "a list", "list_type": "a list",
    "too_short": "at least one item",
}  # fmt: skip


def _message(error: ErrorDetails, path: Path) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    want = _WANTED.get(error["type"], "something else")
    example = keys.example_at(path)
    value = error["input"] or None if error["type"] == "too_short" else error["input"]
    return got(value, f"{want} such as {example}" if example else want)


def _unbuilt_beside(draft: Draft, path: Path) -> bool:
    """Whether a key that is not built yet stands beside this one: what else is needed is then open."""
    return any(p[:-1] == path[:-1] and keys.fits_any(p, keys.NOT_BUILT) for p in draft.reported)
