"""Profiles from a log: its traffic mix with measured rates, and a replay of it, both as texts to edit.

What looks like a secret in a query (token=, password=, key=) is masked in all that comes from here.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from loadtool.profile import environment
from loadtool.profile.recording import Recording
from loadtool.profile.request_names import OTHER
from loadtool.profile.secrets import MASK
from loadtool.units import SECOND, format_duration, format_rate

MOST_REQUESTS: Final = 20  # of the mix; what is rarer is left out of it, and told
MOST_PATHS: Final = 500  # rows of a request's feeder, drawn evenly from its lines
_SECRET: Final = re.compile(
    r"passw|pwd|secret|token|api[-_]?key|jwt|credential|signature"
    r"|(?:^|[-_.\[])(?:key|auth|authorization|sig|session|sessionid|sid|code|otp|pass|pin)\]?$",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


def masked(target: str) -> str:
    """The path and query with the values of parameters masked whose names say that they are secrets."""
    path, mark, query = target.partition("?")
    if not mark:
        return target
    pairs = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        pairs.append(f"{name}={MASK}" if equals and value and _SECRET.search(name) else pair)
    return f"{path}?{'&'.join(pairs)}"


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests/s of a log over bins of `bin_s`: the middle one of those that had any, so that it is never 0,
    and the highest with when it began.
    """

    bin_s: int
    median: float
    peak: float
    peak_at_s: int


@dataclass(slots=True)
class Kind:
    """A request of the mix: its paths with queries, masked; up to `MOST_PATHS` of them."""

    name: str
    method: str
    requests: int
    paths: list[str] = field(default_factory=list)
    feeder: str = ""  # that it draws its path from, if there are several


@dataclass(frozen=True, slots=True)
class Imported:
    """What a log says."""

    recording: Recording
    rates: Rates
    kinds: tuple[Kind, ...]
    masked: int  # different requests with a secret in their query

    @property
    def left_out(self) -> int:
        """Requests that are of no kind of the mix."""
        return len(self.recording) - sum(kind.requests for kind in self.kinds)


def rates_of(recording: Recording) -> Rates:
    """Over bins of 1 s, or of 10 s and 1 min for logs of over 5 min and an hour."""
    seconds = recording.length_ns // SECOND
    bin_s = 60 if seconds >= 3600 else 10 if seconds >= 300 else 1
    counts = Counter(ns // (bin_s * SECOND) for ns in recording.times)
    bins = max(1, seconds // bin_s)  # the last, if it is a part of one, would be too low
    busy = {i: n for i, n in counts.items() if i < bins}  # has the first: the log's first request is in it
    peak = min(busy, key=lambda i: (-busy[i], i))
    return Rates(bin_s, sorted(busy.values())[len(busy) // 2] / bin_s, busy[peak] / bin_s, peak * bin_s)


def read_log(recording: Recording) -> Imported:
    """The traffic mix of a recording, and what of it is secret."""
    named = [n for n in recording.names if not n.name.endswith(f" {OTHER}")][:MOST_REQUESTS]
    kinds = [Kind(n.name, n.method, n.requests) for n in named]
    place = {recording.names.index(n): i for i, n in enumerate(named)}
    seen = array("I", bytes(4 * len(kinds)))
    secret = 0
    drawn: list[list[int]] = [[] for _ in kinds]
    for kind in recording.kinds:
        at = place.get(recording.name_of[kind])
        if at is not None:
            every = max(1, kinds[at].requests // MOST_PATHS)
            if seen[at] % every == 0 and len(drawn[at]) < MOST_PATHS:
                drawn[at].append(kind)
            seen[at] += 1
    taken: set[str] = set()
    for it, numbers in zip(kinds, drawn, strict=True):
        it.paths = [masked(_target(recording, number)) for number in numbers]
        if len(set(it.paths)) > 1:
            it.feeder = _feeder(it.name, taken)
    for number in range(len(recording.texts)):
        target = _target(recording, number)
        secret += masked(target) != target
    return Imported(recording, rates_of(recording), tuple(kinds), secret)


def _target(recording: Recording, number: int) -> str:
    return recording.texts[number].partition("\n")[0].partition(" ")[2]


def _feeder(name: str, taken: set[str]) -> str:
    """A name that templates can use, and a file can have."""
    words = _NAME.sub("_", name.replace("{id}", "")).strip("_").lower()[:40].rstrip("_") or "paths"
    found = next(w for w in (words, *(f"{words}_{i}" for i in range(2, 1000))) if w not in taken)
    taken.add(found)
    return found


def feeder_file(kind: Kind) -> str:
    return f"paths/{kind.feeder}.jsonl"


def feeder_rows(kind: Kind) -> str:
    return "".join(json.dumps({"path": path}) + "\n" for path in kind.paths)


def replay_rows(recording: Recording) -> Iterator[str]:
    """The recording as a JSON log, a line each; secrets masked, times to a microsecond."""
    heads: dict[int, str] = {}
    for ns, number in zip(recording.times, recording.kinds, strict=True):
        head = heads.get(number)
        if head is None:
            method, _, target = recording.texts[number].partition("\n")[0].partition(" ")
            head = f'"method": {json.dumps(method)}, "path": {json.dumps(masked(target))}}}\n'
            if len(heads) < 100_000:
                heads[number] = head
        us = (recording.began_ns + ns) // 1000
        yield f'{{"time": {us // 1_000_000}.{us % 1_000_000:06}, {head}'


def mix_profile(it: Imported, name: str, target: str, source: str) -> str:
    """A profile with the log's mix at its middle rate, and a spike at its highest."""
    rates = it.rates
    median, peak = _rate(rates.median), _rate(rates.peak)
    times = f"    # {rates.peak / rates.median:.1f} times that" if rates.median * 1.1 < rates.peak else ""
    lines = [
        f"# The traffic of {_plain(source)}: its mix of requests, at the rates that it had.",
        "#",
        "#   loadtool plan  --profile THIS_FILE      what a run would do; sends nothing",
        "#   loadtool spike --profile THIS_FILE      the run",
        f"name: {json.dumps(environment.escape(name))}",
        f"target: {target}",
        "# headers:",
        "#   Authorization: Bearer ${TOKEN}        # from the environment; never shown, never saved",
        "",
        "requests:                    # weights are counts of the log",
    ]
    feeders = []
    for kind in it.kinds:
        path = f"{{{{ {kind.feeder}.path | safe }}}}" if kind.feeder else environment.escape(kind.paths[0])
        lines.append(f"  - name: {json.dumps(environment.escape(kind.name))}")
        lines.append(f"    weight: {kind.requests}")
        lines.append(f"    {kind.method.lower()}: {json.dumps(path)}")
        if kind.method in ("POST", "PUT", "PATCH"):
            lines.append("    # json: {…}            # the log has no bodies")
        if kind.feeder:
            feeders.append(f"  {kind.feeder}: {feeder_file(kind)}")
    lines += ["data:                        # paths as the log has them", *feeders] if feeders else []
    lines += [
        "",
        f"phases:                      # middle and highest rate of the log over {rates.bin_s} s",
        f"  - {{name: warmup,   rate: {median}, for: 10s}}",
        f"  - {{name: baseline, rate: {median}, for: 30s}}",
        f"  - {{name: peak,     rate: {peak}, for: 30s, ramp: 2s, role: spike}}{times}",
        f"  - {{name: recovery, rate: {median}, for: 30s}}",
        "",
        "client: {timeout: 5s}",
        "",
        "slos:                        # what good means, nobody but you can say",
        "  - p95 < 500ms during baseline",
        "  - error rate < 1%",
        "  - goodput retention >= 90%",
        "  - recovery < 10s",
    ]
    return "\n".join(lines) + "\n"


def replay_profile(it: Imported, name: str, target: str, source: str, file: str) -> str:
    """A profile that replays the log."""
    bodiless = [k.name for k in it.kinds if k.method in ("POST", "PUT", "PATCH")]
    lines = [
        f"# {_plain(source)} again: its requests with their gaps, {format_duration(it.recording.length_ns)}.",
        f"name: {json.dumps(environment.escape(f'{name}-replay'))}",
        f"target: {target}",
        "# headers:",
        "#   Authorization: Bearer ${TOKEN}        # from the environment; never shown, never saved",
        "replay:",
        f"  file: {file}",
        "  format: json",
        "  speed: 1                   # 2: in half the time",
        "  scale: 1                   # 10: each request ten times; 0.1: one in ten",
    ]
    if bodiless:
        lines += [
            "  # bodies:                  # the log has none; what has none here is not sent",
            *(f"  #   {json.dumps(text)}: '{{}}'" for text in bodiless),
        ]
    statuses = sorted({200, 201, 204, 301, 302, 304} | {s for s, _ in it.recording.errors if s < 500})
    lines += [
        f"  # expect: {{status: [{', '.join(map(str, statuses))}]}}    # by default 200 to 399",
        "# phases:                    # names for parts of it, so that a spike in it can be judged",
        "#   - {name: baseline, for: 5m}",
        "#   - {name: spike, for: 1m}",
        "#   - {name: recovery, for: 5m}",
        "client: {timeout: 5s}",
        "slos:",
        "  - p95 < 500ms",
        "  - error rate < 1%",
    ]
    return "\n".join(lines) + "\n"


def _rate(per_second: float) -> str:
    return format_rate(float(f"{max(per_second, 0.01):.3g}"))


def _plain(text: str) -> str:
    """Fit for a comment of one line."""
    return "".join(c if c.isprintable() else "?" for c in text)
