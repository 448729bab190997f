"""What differs between the profiles of runs: paths of keys and their values, as results hold them (masked).

Only what makes another load, other faults or other figures of it counts. What is under test (`target`), the
draws (`seed`), what is made of the figures (`slos`, `validity`) and how the run began do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from loadtool.errors import SHOWN_LENGTH
from loadtool.measure.result import Result
from loadtool.profile.draft import get, put, texts
from loadtool.profile.load import Loaded
from loadtool.profile.model import Profile
from loadtool.profile.secrets import MASK
from loadtool.profile.slo import good_within
from loadtool.units import MILLISECOND

# Keys at the top of a profile that may differ between runs that are compared.
FREE: Final = frozenset(
    {"name", "target", "seed", "good_within", "slos", "validity", "allow_hosts", "toxiproxy", "wait_for",
     "setup", "teardown", "steady_state", "probes", "demo"}
)  # fmt: skip
MOST: Final = 12
_ABSENT: Final = object()
_STAND_INS: Final = {"name": "any", "target": "demo"}  # for what no profile can do without


@dataclass(frozen=True, slots=True)
class Changed:
    """A key, and its value on either side as JSON; empty if it is not there."""

    path: str
    baseline: str
    candidate: str

    def __str__(self) -> str:
        return f"{self.path}: {self.baseline or 'absent'} and {self.candidate or 'absent'}"


def changed_keys(results: Sequence[Result]) -> list[Changed]:
    """How each result differs from the first, every path once, in the profile's order."""
    first, *rest = results
    found: dict[str, Changed] = {}
    for other in rest:
        for change in changed(first, other.profile, other.good_within_ms):
            found.setdefault(change.path, change)
    every = list(found.values())
    if len(every) <= MOST:
        return every
    return [*every[: MOST - 1], Changed(f"and {len(every) - MOST + 1} more keys", "…", "…")]


def planned_changes(first: Result, loaded: Loaded) -> Iterator[Changed]:
    """How a run of this profile would differ from the first, as far as that is known before its `setup:`.

    What a variable is part of, setup may yet set, and what it prints may be a secret, masked wherever it
    stands. So an item (a request, a header, a fault) with a variable or a mask in it is taken as it was.
    """
    planned = json.loads(json.dumps(loaded.normalised()))
    good_within_ms = good_within(loaded.profile, loaded.slos) / MILLISECOND
    if loaded.unsettled:
        masked = {path for path, text in texts(first.profile) if MASK in text}
        for item in {path[:2] for path in loaded.unsettled | masked}:
            was = get(first.profile, item)
            if was is not None and get(planned, item) is not None:
                put(planned, item, was)
        if any(path[0] in ("good_within", "slos") for path in loaded.unsettled):
            good_within_ms = first.good_within_ms
    yield from changed(first, planned, good_within_ms)


def changed(first: Result, profile: dict[str, Any], good_within_ms: float) -> Iterator[Changed]:
    """How a run differs from the first: of this profile, and with this for good.

    What counted as good may follow from an SLO, so it is compared as it was.
    """
    yield from changes(first.profile, profile)
    if first.good_within_ms != good_within_ms:
        yield Changed("good_within", f"{first.good_within_ms:g} ms", f"{good_within_ms:g} ms")


def changes(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Changed]:
    """What differs between two profiles and counts.

    What one of them leaves out is what it has by default, as with a result of an older version, which did not
    have the key.
    """
    sides = [{key: value for key, value in profile.items() if key not in FREE} for profile in (first, second)]
    whole = [_with_defaults(side) for side in sides]
    a, b = sides if None in whole else [side or {} for side in whole]
    for key in dict.fromkeys((*a, *b)):
        yield from _changes(key, a.get(key, _ABSENT), b.get(key, _ABSENT))


def _with_defaults(profile: dict[str, Any]) -> dict[str, Any] | None:
    """None if this version does not take it: another one wrote it, or a value in it is masked."""
    try:
        whole = Profile.model_validate({**profile, **_STAND_INS})
    except ValidationError:
        return None
    dump = whole.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in dump.items() if key not in FREE}


def _changes(path: str, a: Any, b: Any) -> Iterator[Changed]:
    if a == b and type(a) is type(b):
        return
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            yield from _changes(f"{path}.{key}", a.get(key, _ABSENT), b.get(key, _ABSENT))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _changes(f"{path}[{_called(x, y) or index}]", x, y)
    elif isinstance(a, int | float) and isinstance(b, int | float) and a == b:
        return  # 5 and 5.0
    else:
        yield Changed(path, _shown(a), _shown(b))


def _called(a: Any, b: Any) -> str:
    """The name of an item that both sides have under the same."""
    name = a.get("name") if isinstance(a, dict) else None
    return name if isinstance(name, str) and isinstance(b, dict) and b.get("name") == name else ""


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
