"""Result <-> the plain data of result.json (docs/formats.md): an exact round trip.

Infinite quantiles are None in a Result and null in the file. Keys that a newer version has added are ignored;
a newer `format` is refused.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from loadtool.errors import UsageError, got
from loadtool.measure.result import FORMAT, Result

_SHOWN_PROBLEMS = 3
_NAMED: Final = ("steady_state", "probes")  # lists of the profile that reports look up answers by
LARGEST: Final = 2**63  # that a figure can be: a seed is below it, and nanoseconds take 292 years to it
LONGEST_S: Final = LARGEST / 1_000_000_000  # the same 292 years


def dump(result: Result) -> dict[str, Any]:
    """The result as JSON's own types, `format` first."""
    raw = asdict(result)
    for entry in raw["histograms"]:
        entry["class"] = entry.pop("class_")
    plain = {key: _plain(value) for key, value in raw.items()}
    return {"format": plain.pop("format"), **plain}


def load(data: object) -> Result:
    """The result of such data. Raises UsageError if it is not one, or of a newer format."""
    if not isinstance(data, dict) or "format" not in data:
        raise UsageError("not a result: got no `format`, want a result.json that loadtool wrote")
    version = data["format"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UsageError(f"format: {got(version, f'{FORMAT}')}")
    if version > FORMAT:
        writer = data.get("loadtool")
        by = f" by loadtool {writer}" if isinstance(writer, str) else ""
        raise UsageError(f"format: got {version}, written{by}, want {FORMAT}; update loadtool to read it")
    _refuse_endless(data)
    width = data.get("slice_s", 1.0)
    if isinstance(width, int | float) and not width > 0:
        raise UsageError(f"not a result: slice_s: {got(width, 'more than 0 s')}")
    histograms = data.get("histograms")
    if isinstance(histograms, list):
        data = {**data, "histograms": [_renamed(entry) for entry in histograms]}
    try:
        result = _adapter().validate_python(data)
    except ValidationError as e:
        problems = [f"{_path(p['loc'])}: {_wanted(p['input'], p['type'], p['msg'])}" for p in e.errors()]
        more = len(problems) - _SHOWN_PROBLEMS
        shown = problems[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise UsageError(f"not a result: {'; '.join(shown)}") from None
    _refuse_odd(result)
    return result


@cache
def _adapter() -> TypeAdapter[Result]:
    return TypeAdapter(Result)


def _refuse_endless(data: dict[Any, Any]) -> None:
    """Raise UsageError for a number that no run measures: infinite, none at all, or too large (`_most`)."""
    # The profile's own numbers may be anything: they are sent, not measured.
    places: list[tuple[tuple[int | str, ...], object]] = [
        ((str(key),), value) for key, value in data.items() if key != "profile"
    ]
    while places:
        place, value = places.pop()
        if isinstance(value, dict):
            places += [((*place, str(key)), item) for key, item in value.items()]
        elif isinstance(value, list):
            places += [((*place, i), item) for i, item in enumerate(value)]
        elif isinstance(value, int | float) and not abs(value) <= _most(place):
            shown = value if isinstance(value, float) else "a whole number beyond any"
            raise UsageError(f"not a result: {_path(place)}: got {shown}, want a number that can be measured")


def _refuse_odd(result: Result) -> None:
    """Raise UsageError for what has no fixed form and is not as reports need it: names and times."""
    for key in _NAMED:
        entries = result.profile.get(key) or []
        if not isinstance(entries, list):
            raise UsageError(f"not a result: profile.{key}: {got(entries, 'a list')}")
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict) or "name" not in entry:
                raise UsageError(f"not a result: profile.{key}[{i}]: {got(entry, 'a mapping with a name')}")
    for i, example in enumerate(result.examples):
        due = example.get("due_s")
        if due is not None and not isinstance(due, int | float):
            raise UsageError(f"not a result: examples[{i}].due_s: {got(due, 'a number')}")


def _most(place: tuple[int | str, ...]) -> float:
    """How large a number may be at this place: times in seconds by their names, such as `end_s`."""
    key = next((step for step in reversed(place) if isinstance(step, str)), "")
    in_seconds = key == "t" or (key.endswith("_s") and not key.endswith("_per_s"))
    return LONGEST_S if in_seconds else LARGEST


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(
            "utf-8", "backslashreplace"
        ).decode()  # no lone surrogates: not every reader bears them
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _renamed(entry: object) -> object:
    if not isinstance(entry, dict) or "class" not in entry:
        return entry
    return {("class_" if key == "class" else key): value for key, value in entry.items()}


def _path(place: tuple[int | str, ...]) -> str:
    """slos[0].ci95[1] of ("slos", 0, "ci95", 1)."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return steps.lstrip(".").replace("class_", "class")


def _wanted(value: object, kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    return got(value, message.removeprefix("Input should be ").partition(", unable")[0])
