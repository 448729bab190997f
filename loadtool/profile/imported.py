"""Profiles from a log: its traffic mix with measured rates, and a replay of it, both as texts to edit.

What looks like a secret is masked or left out in all that comes from here (`profile/scrubbed.py`).
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
from loadtool.profile.recording import Recorded, Recording, recorded_of
from loadtool.profile.request_names import OTHER
from loadtool.profile.scrubbed import scrubbed
from loadtool.units import SECOND, format_duration, format_rate

MOST_REQUESTS: Final = 20  # of the mix; what is rarer is left out of it, and told
MOST_PATHS: Final = 500  # rows of a request's feeder, drawn evenly from its lines
BODIED: Final = ("POST", "PUT", "PATCH")
UNRECORDED: Final = "\0"  # stands for the body of a request whose own is not in the log
_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


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
    bodies: int = 0  # requests whose body is in the replay

    @property
    def bodiless(self) -> bool:
        """Whether some of its requests need a body and have none in the replay."""
        return self.method in BODIED and self.bodies < self.requests


@dataclass(frozen=True, slots=True)
class Imported:
    """What a log says."""

    recording: Recording
    rates: Rates
    kinds: tuple[Kind, ...]
    masked: int  # different requests with a secret in their query or body
    headed: bool  # whether the replay has headers of the log
    headers: tuple[str, ...]  # names of headers that are left out as they look like secrets
    headless: int  # requests that had them
    unbodied: int  # requests whose body is left out

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
        it.paths = [scrubbed(_recorded(recording, number)).request.target for number in numbers]
        if len(set(it.paths)) > 1:
            it.feeder = _feeder(it.name, taken)
    counted = Counter(recording.kinds)
    names: dict[str, str] = {}
    masked, headed, headless, unbodied = 0, False, 0, 0
    for number, requests in counted.items():
        kept = scrubbed(_recorded(recording, number))
        masked += kept.masked
        headed = headed or bool(kept.request.headers)
        headless += requests if kept.headers else 0
        unbodied += requests if kept.body_left_out else 0
        names.update((name.lower(), name) for name in kept.headers)
        at = place.get(recording.name_of[number])
        if at is not None and kept.request.body is not None:
            kinds[at].bodies += requests
    secret = tuple(name for _, name in sorted(names.items()))
    return Imported(recording, rates_of(recording), tuple(kinds), masked, headed, secret, headless, unbodied)


def _recorded(recording: Recording, number: int) -> Recorded:
    it = recorded_of(recording.texts[number])
    return it._replace(body=None) if it.body == UNRECORDED else it


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
    """The recording as a JSON log, a line each; without secrets, times to a microsecond."""
    heads: dict[int, str] = {}
    for ns, number in zip(recording.times, recording.kinds, strict=True):
        head = heads.get(number)
        if head is None:
            head = _fields(scrubbed(_recorded(recording, number)).request)
            if len(heads) < 100_000 and len(head) < 1000:
                heads[number] = head
        us = (recording.began_ns + ns) // 1000
        yield f'{{"time": {us // 1_000_000}.{us % 1_000_000:06}, {head}}}\n'


def _fields(it: Recorded) -> str:
    """What a line says of a request, as JSON without its braces."""
    row: dict[str, object] = {"method": it.method, "path": it.target}
    if it.headers:
        # A recording has them as bytes in Latin-1, a log as text.
        row["headers"] = {name: value.encode("latin-1").decode() for name, value in it.headers}
    if it.body is not None:
        row["body"] = it.body
    return json.dumps(row)[1:-1]


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
        *(["#   The log's own are in the replay alone."] if it.headed else []),
        "",
        "requests:                    # weights are counts of the log",
    ]
    feeders = []
    for kind in it.kinds:
        path = f"{{{{ {kind.feeder}.path | safe }}}}" if kind.feeder else environment.escape(kind.paths[0])
        lines.append(f"  - name: {json.dumps(environment.escape(kind.name))}")
        lines.append(f"    weight: {kind.requests}")
        lines.append(f"    {kind.method.lower()}: {json.dumps(path)}")
        if kind.method in BODIED:
            lines.append(f"    # json: {{…}}            # {_bodies(it, kind)}")
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


def _bodies(it: Imported, kind: Kind) -> str:
    """Where the bodies of a request of the mix are."""
    if kind.bodies:
        return "the log's are in the replay alone"
    return "none of the log's could be kept" if it.unbodied else "the log has no bodies"


def replay_profile(it: Imported, name: str, target: str, source: str, file: str) -> str:
    """A profile that replays the log."""
    bodiless = [kind.name for kind in it.kinds if kind.bodiless]
    lines = [
        f"# {_plain(source)} again: its requests with their gaps, {format_duration(it.recording.length_ns)}.",
        f"name: {json.dumps(environment.escape(f'{name}-replay'))}",
        f"target: {target}",
        "# headers:",
        "#   Authorization: Bearer ${TOKEN}        # from the environment; never shown, never saved",
        *(
            [f"#   The log had these, too, which look like secrets: {', '.join(it.headers)}"]
            * bool(it.headers)
        ),
        "replay:",
        f"  file: {file}",
        "  format: json",
        "  speed: 1                   # 2: in half the time",
        "  scale: 1                   # 10: each request ten times; 0.1: one in ten",
    ]
    if bodiless:
        lines += [
            f"  # bodies:                  # for requests without one in {file}, which are not sent else",
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
