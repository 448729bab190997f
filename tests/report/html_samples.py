"""A result with whole distributions, and a reader of pages that we did not write for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from report_samples import passed

from loadtool.measure.histogram import Histogram
from loadtool.measure.outcome import H_OK, H_SERVICE, OK, OUTCOMES, SHED
from loadtool.measure.population import CellKey, Population, to_entries
from loadtool.measure.result import Result

INJECTIONS = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    'a" onmouseover="alert(1)',
    "%{x} %{customdata}",
    "line\u2028separator\u2029s",
    '<a href="javascript:alert(1)">click</a>',
)
EVERY_INJECTION = " ".join(reversed(INJECTIONS))
VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})


def histogram(*values: tuple[float, int]) -> Histogram:
    """Counts of response times given in ms."""
    made = Histogram()
    for ms, count in values:
        made.record(round(ms * 1000), count)
    return made


def measured() -> Result:
    """`passed`, with what a run holds besides: each answer of a slice took its p50, but one its p99.

    In every phase arrivals took 1, 2, … 1000 ms, service half of that, and ten timed out.
    """
    r = passed()
    r.totals.latency_ms.max = 920.0
    for s in r.series:
        assert s.p50 is not None
        s.hdr = histogram((s.p50, s.ok - 1), (s.p50 * 4, 1)).encode()
    cells = {}
    for p in r.phases:
        counts = [0] * len(OUTCOMES)
        counts[OK], counts[SHED], counts[OUTCOMES.index("timeout")] = 1000, 5, 10
        values = {
            H_OK: histogram(*((ms, 1) for ms in range(1, 1001))),
            H_SERVICE: histogram(*((ms / 2, 1) for ms in range(1, 1001))),
        }
        cells[CellKey(p.name, (), "browse")] = Population(1015, 900, 1015, counts, values, seconds=10.0)
    r.cells, r.histograms = to_entries(cells)
    return r


def renamed(name: str) -> Result:
    """`measured`, in which whatever a profile or a target chooses is `name`."""
    r = measured()
    r.profile = {"name": name, "target": name, "requests": [{"name": name, "get": "/"}], name: name}
    r.profile_file = name
    r.reasons = [name]
    r.requests[0].name = name
    old = {p.name: f"{i} {name}" for i, p in enumerate(r.phases)}
    for p in r.phases:
        p.name = old[p.name]
    for cell in r.cells:
        cell.phase, cell.request = old[cell.phase], name
    for entry in r.histograms:
        entry.phase, entry.request = old[entry.phase], name
    for s in r.slos:
        s.text, s.note = f"p99 < 1s for {name!r}", name
    for f in r.faults:
        f.name = f.text = f.proxy = f.remark = f.output = name
    for probe in r.probes:
        probe.name = probe.detail = name
        probe.ok = probe.t > 10
    r.examples = [{"kind": "timeout", "request": name, "due_s": 1.0, "detail": name}]
    r.engine.toxiproxy = name
    r.totals.attempts += 5
    return r


@dataclass
class Page(HTMLParser):
    """What a page says: tables by caption, texts by id, elements, and the data of its charts."""

    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    said: str = ""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables, self.elements, self.texts, self.scripts, self.said = {}, [], {}, [], ""
        self._open: list[tuple[str, str]] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(source)
        self.close()
        assert self._open == []

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag in VOID:
            return
        self._open.append((tag, found.get("id") or ""))
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "script":
            self.scripts.append("")
        elif tag == "small" and any(t in ("td", "th") for t, _ in self._open):
            self._rows[-1][-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1][0] == tag, f"</{tag}> closes {self._open[-1][0]}"
        self._open.pop()
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        tags = [t for t, _ in self._open]
        if "script" in tags:
            self.scripts[-1] += data
            return
        if "style" in tags:
            return
        self.said += data
        if "caption" in tags:
            self._caption += data
        elif "td" in tags or "th" in tags:
            self._rows[-1][-1] += data
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data
