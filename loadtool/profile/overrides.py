"""`--set phases.spike.rate=800/s`: values of the command line over those of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from loadtool.errors import Mistake
from loadtool.profile.draft import Draft, get, put
from loadtool.profile.keys import show_path
from loadtool.profile.model import METHODS
from loadtool.profile.readers import did_you_mean
from loadtool.profile.yaml_tree import Path, read_scalar_or_tree

EXAMPLE = "--set phases.spike.rate=800/s"


def apply_override(draft: Draft, text: str) -> None:
    """Set one PATH=VALUE in the draft. The value is read as YAML; list items go by index or by `name`."""
    key, equals, value = text.partition("=")
    key = key.strip()
    place = f"--set {key}"

    def refuse(message: str) -> None:
        draft.mistakes.append(Mistake(place, None, "", message))

    if not equals or not key:
        refuse(f"want a path and a value, such as {EXAMPLE}")
        return
    tree = read_scalar_or_tree(value)
    if tree.flaws:
        for flaw in tree.flaws:
            refuse(flaw.message)
        return
    try:
        path = _reach(draft, key, place)
    except LookupError as e:
        refuse(str(e.args[0]))
        return
    set_value(draft, path, tree.data, place)
    draft.sources.update({path + p: source for p, source in tree.sources.items()})


def set_value(draft: Draft, path: Path, value: Any, place: str) -> None:
    """Set the value at a place whose surroundings exist; from now on `place` is where it stands."""
    for table in (draft.lines, draft.sources, draft.places):
        for p in [p for p in table if p[: len(path)] == path]:
            del table[p]
    draft.places[path] = place
    node: Any = draft.data
    for element in path[:-1]:
        node = node[element]
    node[path[-1]] = value


def _reach(draft: Draft, key: str, place: str) -> Path:
    """The path that a dotted key means; mappings on the way to it are made. Raises LookupError."""
    rest: str | None = re.sub(r"\[(\d+)\]", r".\1", key)
    node: Any = draft.data
    path: Path = ()
    while True:
        assert rest is not None
        element, rest = _step(node, rest, path)
        path = (*path, element)
        if rest is None:
            return path
        child = get(draft.data, path)
        if path[:1] == ("data",) and len(path) == 2 and isinstance(child, str):
            child = {"file": child}  # a feeder's file alone
            put(draft.data, path, child)
        if child is None:
            child = {}
            set_value(draft, path, child, place)
        if not isinstance(child, dict | list):
            raise LookupError(f"{show_path(path)} is a single value, with nothing below it")
        node = child


def _step(node: Any, rest: str, path: Path) -> tuple[str | int, str | None]:
    """The next element of a dotted key, and what is left of it. Raises LookupError."""
    options: dict[str, str | int] = {}
    if isinstance(node, dict):
        options = {key: key for key in node}
    else:
        options = {name: i for i, item in enumerate(node) if (name := item_name(item))}
    for option in sorted(options, key=len, reverse=True):  # names may have dots in them
        if rest == option:
            return options[option], None
        if rest.startswith(f"{option}."):
            return options[option], rest[len(option) + 1 :]
    head, dot, tail = rest.partition(".")
    left = tail if dot else None
    if not head or left == "":
        raise LookupError(f"want a path and a value, such as {EXAMPLE}")
    if isinstance(node, dict):
        return head, left
    if head.isascii() and head.isdigit() and len(head) < 9:
        if int(head) < len(node):
            return int(head), left
        raise LookupError(f"{show_path(path)} has {len(node)} item{'s' * (len(node) != 1)}, counted from 0")
    hint = did_you_mean(head, options) or (f"; there are {', '.join(options)}" if options else "")
    raise LookupError(f"{show_path(path)} has no item named {head}{hint}")


def item_name(item: Any) -> str | None:
    """What an item of a list goes by: its `name`, or for a request without one method and path."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("name"), str):
        return str(item["name"])
    return next((f"{m.upper()} {item[m]}" for m in METHODS if isinstance(item.get(m), str)), None)


def apply_overrides(draft: Draft, overrides: Sequence[str], target: str | None, seed: int | None) -> None:
    """All of the command line, in order; `--target` and `--seed` last."""
    for text in overrides:
        apply_override(draft, text)
    if target is not None:
        set_value(draft, ("target",), target, "--target")
    if seed is not None:
        set_value(draft, ("seed",), seed, "--seed")
