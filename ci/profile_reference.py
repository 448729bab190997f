"""Writes docs/profile.md: the reference of profiles, from the JSON Schema that editors use."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtool.profile.keys import flow
from loadtool.profile.schema import json_schema
from loadtool.profile.template_names import FUNCTIONS, VARIABLES
from loadtool.profile.toxics import ATTRIBUTES

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "profile.md"
Schema = Mapping[str, Any]

# Of the functions, how each is called; a test of the page holds that none is missing.
CALLS: Final = {
    "randint": "`randint(1, 5)`",
    "uniform": "`uniform(0, 1)`",
    "choice": '`choice(["a", "b"])`',
    "uuid": "`uuid()`",
    "random_string": "`random_string(8)`",
    "base64": "`base64(x)`",
    "urlencode": "`urlencode(x)`",
    "arrival": "`arrival` (its number)",
}

HEAD: Final = """\
# Profiles: every key

<!-- Written by ci/profile-reference. Change loadtool/profile/descriptions.py, not this page. -->

```yaml
name: checkout-10x
target: http://127.0.0.1:8080
headers:
  Authorization: Bearer ${TOKEN:-none}
requests:
  - {name: browse, weight: 8, get: "/products/{{ randint(1, 500) }}"}
  - name: checkout
    weight: 2
    post: /checkout
    json: {quantity: "{{ randint(1, 5) }}"}
    expect: {status: [200, 201]}
phases:
  - {name: warmup,   rate: 20/s,  for: 5s}
  - {name: baseline, rate: 50/s,  for: 24s}
  - {name: spike,    rate: 500/s, for: 15s, ramp: 1s}
  - {name: recovery, rate: 50/s,  for: 30s}
client: {timeout: 2s}
slos:
  - p95 < 250ms during baseline
  - error rate < 1%
```

A profile is YAML 1.2. `loadtool plan` answers all of its mistakes at once, with file, line and remedy; an
unknown key is one. `loadtool schema` prints the JSON Schema, with which editors complete keys and explain
them: the first line of a profile names it, `# yaml-language-server: $schema=./profile.schema.json`. Keys at
the top that begin with `x-` are ignored, a place for YAML anchors.

**Values.** Rates: `50/s`, `30/m`, `5000 rpm`, `1_000/s`; a bare number is per second. Durations: `250ms`,
`1m30s`, `2h`. Sizes: `64KB`. Shares: `10%`.

**Environment.** `${NAME}` anywhere in a value, `${NAME:-default}`, and `$$` for a dollar. An unset one is a
mistake, and so is a brace in a default. What came from the environment into a header, a body, a query or a
URL's user and password is masked in every file and on every screen.

**Templates.** Paths, queries, headers and bodies may hold Jinja2 templates, drawn anew for each arrival:
CALLS
and the columns of CSV or JSONL rows (`data: {row: carts.csv}` makes `row.cart`). Put a value with `{{ }}` in
quotes. In a JSON body a lone expression keeps its type: `"{{ randint(1, 5) }}"` is a number.

**Override** any value for one run with `--set phases.spike.rate=800/s`, `--set requests.browse.weight=3` or
`--set slos[0]="p95 < 1s"`; list items go by name or by number. `--set client.deadline=null` takes a
key away: null is as if it were not there, in a profile too, but for names and other text, which it is then.
`--scale 2` doubles every rate.

More about [SLOs](slos.md), [arrivals and replays](arrivals.md), [faults](faults.md), [clients that try
again](clients.md) and [transports](transports.md).
"""


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="ci/profile-reference", description=__doc__)
    parser.add_argument("--print", action="store_true", help="to standard output instead of docs/profile.md")
    if parser.parse_args(words).print:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    missing = (FUNCTIONS | VARIABLES) ^ set(CALLS)
    if missing:
        raise SystemExit(f"ci/profile_reference.py: CALLS is not what templates may use: {sorted(missing)}")
    return HEAD.replace("CALLS", _filled(", ".join(CALLS.values()))) + "".join(_sections(json_schema()))


def _filled(text: str, width: int = 118) -> str:
    """The items of a list, in lines of at most so many characters."""
    lines = [""]
    for item in re.split(r"(?<=`,) |(?<=\),) ", text):
        if len(lines[-1]) + 1 + len(item) > width:
            lines.append(item)
        else:
            lines[-1] = f"{lines[-1]} {item}".strip()
    return "\n".join(lines)


def _sections(schema: Schema) -> Iterator[str]:
    """A heading and a table for each mapping; one that may stand in several places is told once."""
    places = _places(schema)
    first = {keys: _shortest(where) for keys, where in places.items()}
    waiting, told = [schema], set[str]()
    while waiting:
        mapping = waiting.pop(0)
        keys = str(mapping["properties"])
        if keys in told:
            continue
        told.add(keys)
        place = first[keys]
        yield f"\n## {f'`{place}`' if place else 'Top level'}\n\n"
        if others := [p for p in places[keys] if p not in (place, place.removesuffix("[]"))]:
            yield f"And {', '.join(f'`{p}`' for p in others)}.\n\n"
        yield "| key | default | example | meaning |\n|---|---|---|---|\n"
        needed = _needed(mapping)
        for key, value in mapping["properties"].items():
            links = dict.fromkeys(first[str(found["properties"])] for _, found in _mappings(value))
            yield _row(key, value, needed.get(key, ""), "".join(f" Keys: {_link(p)}." for p in links))
        below = [found for value in mapping["properties"].values() for _, found in _mappings(value)]
        waiting = [*below, *waiting]


def _places(schema: Schema) -> dict[str, list[str]]:
    """Of each mapping, by its keys as text, all places where it may stand, those further up first."""
    places: dict[str, list[str]] = {}
    waiting = [("", schema)]
    while waiting:
        place, mapping = waiting.pop(0)
        places.setdefault(str(mapping["properties"]), []).append(place)
        for key, value in mapping["properties"].items():
            waiting += [(_join(place, key, suffix), found) for suffix, found in _mappings(value)]
    return places


def _shortest(places: Sequence[str]) -> str:
    """The one to tell it at: the first, as a list of them if it may be one."""
    return f"{places[0]}[]" if f"{places[0]}[]" in places else places[0]


def _needed(mapping: Schema) -> dict[str, str]:
    """Which keys a mapping must have, and unless which other key it has."""
    needed = dict.fromkeys(mapping.get("required", ()), "required")
    for rule in mapping.get("allOf", ()):
        conditions = rule.get("if", {}).get("properties", {})
        absent = [key for key, value in conditions.items() if value in (False, {"type": "null"})]
        for key in rule["then"].get("required", ()) if len(absent) == 1 else ():
            needed[key] = f"required without `{absent[0]}`"
    return needed


def _join(place: str, key: str, suffix: str) -> str:
    return f"{place}.{key}{suffix}" if place else f"{key}{suffix}"


def _mappings(schema: Schema, suffix: str = "") -> Iterator[tuple[str, Schema]]:
    """The mappings whose keys have a help of their own that may stand here, each with what leads to it."""
    if all("description" in value for value in schema.get("properties", {"": {}}).values()):
        yield suffix, schema
    for choice in schema.get("anyOf", ()):
        yield from _mappings(choice, suffix)
    if isinstance(items := schema.get("items"), Mapping):
        yield from _mappings(items, f"{suffix}[]")
    if isinstance(named := schema.get("additionalProperties"), Mapping):
        yield from _mappings(named, f"{suffix}.NAME")


def _link(place: str) -> str:
    return f"[`{place}`](#{anchor(place)})"


def anchor(heading: str) -> str:
    """As GitHub and GitLab make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _row(key: str, value: Schema, needed: str, links: str) -> str:
    default = value.get("default")
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    shown = needed if default is None else f"`{flow(default)}`"
    examples = value.get("examples", ())
    example = f"`{flow(examples[0])}`" if examples else ""
    note = " Of a toxic: [faults](faults.md)." if not examples and key in ATTRIBUTES else ""
    cells = (f"`{key}`", shown, example, value["description"].rstrip(".") + "." + note + links)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main(sys.argv[1:])
