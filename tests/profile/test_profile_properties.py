"""Profiles at large: every one reads back, and no text at all ends in a traceback."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from profile_samples import SMALL, load

from loadtool import units
from loadtool.errors import Mistake, ProfileError
from loadtool.profile import toxics
from loadtool.profile.load import Loaded, load_profile
from loadtool.profile.model import BODIES, METHODS, ROLES

WHOLE = (
    Path(__file__).with_name("design_sample.yaml").read_text(),
    (Path(__file__).parents[2] / "profiles" / "demo.yaml").read_text(),
    SMALL,
)

# Characters of every kind that YAML, templates, references and URLs care about; control characters but the
# usual ones cannot stand in YAML at all.
SIGNS = "aZ0 :#-{}[]%&*!|>'\"@`$\\,?=~/<.é"
texts = st.text(
    st.sampled_from(SIGNS + "☃\U0001f600") | st.characters(codec="utf-8", categories=["L", "N"]), max_size=12
)


def is_plain(text: str) -> bool:
    return "{{" not in text and "{%" not in text and "{#" not in text


plain = texts.filter(is_plain)
lines = plain.filter(lambda t: t.strip() != "" and t.isprintable())
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)
durations = st.integers(1, 1000 * units.SECOND).map(units.format_duration)
rates = st.floats(0.001, 1e6).map(units.format_rate)
latin = st.text(
    st.sampled_from(SIGNS) | st.characters(codec="latin-1", categories=["L", "N"]), max_size=12
).filter(is_plain)
headers = st.dictionaries(st.from_regex(r"X-[a-z]{1,8}", fullmatch=True), latin, max_size=3)
fields = st.dictionaries(lines, plain | st.lists(plain, min_size=1, max_size=3), max_size=3)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)
paths = st.from_regex(r"/[a-z0-9/%~.?=&-]{0,12}", fullmatch=True)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    request: dict[str, Any] = {draw(st.sampled_from(METHODS)): draw(paths | st.just("/{{ randint(1, 5) }}"))}
    request |= {"weight": draw(st.floats(0.001, 1000)), "headers": draw(headers), "query": draw(fields)}
    body = draw(st.none() | st.sampled_from(BODIES))
    values = {
        "json": json_values.filter(lambda v: v is not None),
        "form": fields,
        "raw": plain,
        "multipart": fields,
    }
    if body == "multipart":
        request[body] = draw(st.dictionaries(lines, plain, max_size=3))
    elif body is not None:
        request[body] = draw(values[body])
    request["expect"] = {
        "status": draw(st.lists(st.integers(200, 599), max_size=3)),
        "contains": draw(st.lists(plain.filter(bool), max_size=2)),
        "matches": draw(st.lists(st.sampled_from(["^a$", "[0-9]+", "a|b", r"\d{2}"]), max_size=2)),
    }
    return request


@st.composite
def phases(draw: st.DrawFn, name: str) -> dict[str, Any]:
    length = draw(st.integers(2, 1000 * units.SECOND))  # a fault of 1 ns in each has to end before the next
    phase: dict[str, Any] = {"name": name, "rate": draw(rates), "for": units.format_duration(length)}
    if draw(st.booleans()):
        phase["role"] = draw(st.sampled_from(ROLES))
    if draw(st.booleans()):
        phase["ramp"] = units.format_duration(draw(st.integers(1, length)))
    return phase


commands = lines | st.lists(lines, min_size=1, max_size=2)


@st.composite
def faults(draw: st.DrawFn, name: str, proxies: list[str], phase_names: list[str]) -> dict[str, Any]:
    fault: dict[str, Any] = {"name": name, "at": draw(st.sampled_from([*phase_names, "0s"]))}
    when = draw(st.sampled_from(["to the end", "once", "again", "until", "list"]))
    if when == "once":
        fault |= {"for": "1ns"}
    elif when == "again":  # the last phase is longer than this
        fault |= {"at": phase_names[-1], "for": "1ns", "every": units.format_duration(units.SECOND * 10)}
    elif when == "until":
        fault |= {"until": f"end of {phase_names[-1]}"}
    elif when == "list":
        fault |= {"at": list(phase_names), "for": "1ns"}
    if draw(st.booleans()):
        return {**fault, "run": draw(commands)} | ({"undo": draw(commands)} if draw(st.booleans()) else {})
    fault["proxy"] = draw(st.sampled_from(proxies))
    toxic = draw(st.none() | st.sampled_from(list(toxics.TOXICS)))
    if toxic is None:
        return {**fault, "down": True}
    if toxic in toxics.RAMPED and draw(st.booleans()):
        fault["ramp"] = "1ns"
    fault |= {"toxic": toxic, "toxicity": units.format_share(draw(st.floats(0, 1)))}
    for attribute, row in toxics.TOXICS[toxic].items():
        if row.required or draw(st.booleans()):
            most = 5 if attribute == "size_variation" else 10**6
            fault[attribute] = row.format(
                draw(st.integers(max(row.least, 6 if attribute == "average_size" else 0), most))
            )
    return fault


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    every = draw(st.lists(names, min_size=3, max_size=5, unique_by=str.lower))
    cut = draw(st.integers(1, len(every) - 2))
    phase_names, fault_names = every[:cut], every[cut:]
    proxies = draw(st.lists(names, min_size=1, max_size=2, unique=True))
    return {
        "name": draw(lines),
        "target": draw(
            st.sampled_from(["demo", "http://127.0.0.1:80/a$b", "https://[::1]", "http://u:p@h.example"])
        ),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "headers": draw(headers),
        "requests": [
            {"name": f"{i} {draw(lines)}", **draw(requests())} for i in range(draw(st.integers(1, 2)))
        ],
        "phases": [draw(phases(name)) for name in phase_names],
        "arrivals": draw(st.sampled_from(["constant", "poisson"])),
        "client": {
            "timeout": draw(durations),
            "connections": draw(st.integers(1, 10**6)),
            "keepalive": draw(st.booleans()),
        },
        "proxies": {name: {"existing": draw(lines)} for name in proxies},
        "faults": [draw(faults(name, proxies, phase_names)) for name in fault_names],
        "steady_state": [
            {"name": "health", "get": draw(st.sampled_from(["/health?a=$b", "http://h.example:1/x"]))},
            {"name": "db", "tcp": "127.0.0.1:5432", "within": draw(durations)},
        ],
        "slos": draw(st.lists(st.sampled_from(["p99 < 1s", f"p95 <= 250ms during {every[0]}"]))),
        "setup": draw(st.lists(lines | st.lists(lines, min_size=1, max_size=2), max_size=2)),
    }


@contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(profile: dict[str, Any]) -> str:
    """As a profile that keeps every dollar; in keys nothing is replaced."""
    return json.dumps(_doubled(profile), ensure_ascii=False)


def _doubled(value: Any) -> Any:
    match value:
        case str():
            return value.replace("$", "$$")
        case list():
            return [_doubled(item) for item in value]
        case dict():
            return {key: _doubled(item) for key, item in value.items()}
    return value


@given(profiles())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_profile_loads_and_reads_back(profile: dict[str, Any]) -> None:
    with directory() as d:
        loaded = load(d, written(profile))
        dump = loaded.normalised()
        again = load(d, json.dumps(dump, ensure_ascii=False))
        # Literal secrets are masked in the dump, once and for all.
        assert again.normalised() == dump
        if profile["target"] != "http://u:p@h.example":
            assert again.profile == loaded.profile
        got = loaded.profile
        assert [p.name for p in got.phases] == [p["name"] for p in profile["phases"]]
        assert [r.name for r in got.requests] == [r["name"] for r in profile["requests"]]
        for request, wrote in zip(got.requests, profile["requests"], strict=True):
            assert request.raw == wrote.get("raw")
            assert request.json_body == wrote.get("json")
            assert request.headers == wrote["headers"]


KEYS = [
    "rate", "for", "name", "get", "json", "target", "phases", "slos", "faults", "at", "x-a", "data",
    "client", "setup", "headers",
]  # fmt: skip
MARKS = [
    "{", "}", "[", "]", ":", "-", "&a", "*a", "<<:", "!!int", "'", '"', "|", ">", "%", "{{", "}}",
    "{{row.x}}", "${A}", "${A", "$$", "~", "-5", "1e999", ".nan", "0x", "?", "---", "...", "#", ",",
    "@", "`",
]  # fmt: skip
SCRAPS = st.sampled_from(
    [*KEYS, *MARKS, ": ", "- ", "\n", "\n  ", "\t", "\x00", "\u2028", "9" * 400, "---\n"]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        text = text[:at] + draw(SCRAPS | st.text(max_size=4)) + text[at + length :]
    return text


def _never_a_traceback(text: str, *, pending: bool = False) -> None:
    with directory() as d:
        (d / "carts.csv").write_text("cart\nA\n")
        file = d / "shop.yaml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        environment = {"TOKEN": "t0ken", "A": "{{ a"}
        loaded, mistakes = _load(file, environment, pending=pending)
        for mistake in mistakes:
            assert str(mistake).isprintable()
            assert str(mistake).startswith(str(file))
            assert "t0ken" not in mistake.message
        if loaded is not None:
            dump = json.dumps(loaded.normalised(), ensure_ascii=False)
            assert "t0ken" not in dump
            assert load(d, dump).normalised() == loaded.normalised()


def _load(
    file: Path, environment: dict[str, str], overrides: Sequence[str] = (), *, pending: bool = False
) -> tuple[Loaded | None, tuple[Mistake, ...]]:
    """The profile, or what is wrong with it: at least something."""
    try:
        return load_profile(file, environment=environment, overrides=overrides, pending=pending), ()
    except ProfileError as e:
        return None, e.mistakes or (Mistake("", None, "", "\0"),)


@given(mutated(), st.booleans())
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_damaged_profile_is_a_profile_or_told_to_be_none(text: str, pending: bool) -> None:
    _never_a_traceback(text, pending=pending)


@given(st.text() | st.text(alphabet="ab:-{}[]&*!|>'\"%@`#?, \n\t~<.0", max_size=40))
@example("? ?")
@example("&a [*a]")
@example("- - - -")
@example("a: !!float x")
@example("!!set {a}")
@example("'")
@example("%YAML 9.9\n--- a")
@example("%TAG ! tag:x,2000:\n--- !a b")
@example("a: !<tag:yaml.org,2002:int> x")
@example("\ufeffa: 1")
@example("a: \u2028b: 1")
@settings(max_examples=250, deadline=None)
def test_any_text_is_a_profile_or_told_to_be_none(text: str) -> None:
    _never_a_traceback(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_profile_or_told_to_be_none(content: bytes) -> None:
    with directory() as d:
        file = d / "shop.yaml"
        file.write_bytes(content)
        with pytest.raises(ProfileError) as e:  # 60 bytes are no profile
            load_profile(file, environment={})
        assert all(str(m).isprintable() for m in e.value.mistakes)


PLACES = [
    "phases", "phases.0", "phases.spike.rate", "phases[1].for", "requests.0", "requests.browse.json",
    "client", "client.timeout", "slos", "faults.slow-store.at", "faults.0.latency", "slos.0",
    "headers.Authorization", "headers", "data", "data.row", "data.row.file", "x", ".", "a.b.c",
    "proxies.store", "seed", "target", "name",
]  # fmt: skip
PATHS = st.sampled_from(PLACES)


@given(st.lists(st.tuples(PATHS, SCRAPS | texts | json_values.map(json.dumps)), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_override_is_taken_or_refused(overrides: list[tuple[str, str]]) -> None:
    with directory() as d:
        (d / "carts.csv").write_text("cart\nA\n")
        (d / "shop.yaml").write_text(WHOLE[1])
        texts = [f"{path}={value}" for path, value in overrides]
        _, mistakes = _load(d / "shop.yaml", {"A": "1"}, texts)
        assert all(str(mistake).isprintable() for mistake in mistakes)
