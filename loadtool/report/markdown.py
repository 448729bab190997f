"""A summary in GitHub-flavoured markdown: for pull requests, merge requests and GitHub's summary page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

from loadtool.measure.result import Figures, Result
from loadtool.report import digest, faults, figures, gauges, overload, slos, steady
from loadtool.report.text import clean, defuse

MOST_ROWS: Final = 100  # of a table: GitHub takes 1 MiB of summary a step

_ICONS: Final = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "invalid": "⚠️", "interrupted": "⏹️"}
_MARKS: Final = {"✓": "✅", "!": "⚠️"}
# What markdown and GitHub give a meaning to. A backslash does not stop GitHub from turning a name into a
# mention, a number into an issue or an address into a link, since that is done to the finished text; an empty
# comment between the characters does.
_SPECIAL: Final = {
    **{c: f"\\{c}" for c in "\\`*_[]|~$"},
    **{c: f"{c}<!-- -->" for c in "@#"},
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_INLINE: Final = re.compile(r"[\\`*_\[\]|~$@#&<>]")
_LINK: Final = re.compile(r"(?<=\w)(?=://)|(?<=www)(?=\.)|(?<=:)(?=\w+:)")
_LIST: Final = re.compile(r"^([-+](?=\s|$)|\d+(?=[.)](?:\s|$))|=+$)")  # would begin a list or rule a heading
_HEADER: Final = ("", "offered", "ok", "shed", "errors", "p50", "p90", "p99", "max", "goodput")


def render(result: Result) -> str:
    """The summary as markdown text."""
    parts = [*_headline(result), *_overload(result), *_slos(result)]
    parts += [*_figures("Phases", [(p.name, p) for p in result.phases])]
    if len(result.requests) > 1:
        parts += _figures("Requests", [(r.name, r) for r in result.requests])
    parts += [*_errors(result), *_slowest(result)]
    parts += [*_faults(result), *_steady(result), *_probes(result), *_gauges(result)]
    parts += _generator(result)
    if digest.unbounded(result):
        parts.append(f"<sub>{figures.FOOTNOTE}</sub>")
    return "\n\n".join(parts) + "\n"


def escape(value: object) -> str:
    """Text that markdown shows as it is, on one line."""
    text = _LINK.sub("\0", clean(value))  # `clean` leaves no NUL: it marks the places
    text = _INLINE.sub(lambda m: _SPECIAL[m[0]], text)
    return _LIST.sub(r"\1<!-- -->", text).replace("\0", "<!-- -->")


def _headline(result: Result) -> list[str]:
    icon = _ICONS.get(result.verdict, "")
    verdict = escape(result.verdict or "not judged")
    parts = [f"## {icon} {escape(digest.name(result))}: {verdict}", escape(digest.headline(result))]
    for spike, sentence in overload.sentences(result):
        parts.append(f"{escape(sentence)}**{escape(spike.verdict)}**")
    reasons = digest.reasons(result)
    if reasons:
        parts.append("\n".join(f"- {escape(r)}" for r in reasons))
    facts = (
        f"{digest.conservation(result)}, in {figures.seconds(result.elapsed_s)}",
        *([told] if (told := digest.clients(result)) else []),
        f"target {digest.target(result)}",
        f"seed {result.seed}",
        f"good within {figures.duration(result.good_within_ms)}",
    )
    parts.append(" · ".join(escape(f) for f in facts))
    return parts


def _overload(result: Result) -> list[str]:
    if result.overload is None:
        return [f"<sub>overload not judged: {escape(result.no_overload)}</sub>"] if result.no_overload else []
    parts = []
    for spike in result.overload.spikes:
        title = f"Overload: {escape(spike.name)}" if len(result.overload.spikes) > 1 else "Overload"
        rows = [
            (
                _MARKS.get(row.mark, ""),
                escape(row.label),
                f"**{escape(row.value)}**",
                escape(row.default),
                escape(row.remark),
            )
            for row in overload.rows(spike)
        ]
        parts += _table(title, ("", "figure", "measured", "default", ""), rows, left=2, last_left=2)
        parts += [f"<sub>{escape(note)}</sub>" for note in spike.notes]
    return parts


def _slos(result: Result) -> list[str]:
    rows = []
    for s in result.slos:
        text = escape(s.text) if not s.note else f"{escape(s.text)}<br><sub>{escape(s.note)}</sub>"
        interval = slos.interval(s)
        rows.append(
            (
                f"{_ICONS.get(s.status, '')} {escape(s.status)}",
                text,
                f"**{escape(slos.value(s))}**",
                escape(interval),
                figures.count(s.samples),
            )
        )
    return _table("SLOs", ("", "objective", "measured", "95% interval", "samples"), rows, left=2)


def _figures(title: str, named: Sequence[tuple[str, Figures]]) -> list[str]:
    rows = [
        (
            escape(name),
            figures.rate(f.offered_per_s),
            figures.count(f.ok),
            figures.count(f.shed),
            figures.count(sum(f.errors.values())),
            digest.quantile(f, f.latency_ms.p50),
            digest.quantile(f, f.latency_ms.p90),
            digest.quantile(f, f.latency_ms.p99),
            figures.duration(f.latency_ms.max),
            figures.rate(f.goodput_per_s),
        )
        for name, f in named
    ]
    return _table(title, _HEADER, rows, left=1)


def _errors(result: Result) -> list[str]:
    rows = [
        (escape(e.kind), figures.count(e.n), figures.share(e.of_all), escape(e.request), escape(e.detail))
        for e in digest.errors(result)
    ]
    return _table("Errors", ("kind", "count", "of all", "for example", "detail"), rows, left=1, last_left=2)


def _slowest(result: Result) -> list[str]:
    rows = [
        (
            escape(s.request),
            f"`{s.trace}`" if s.trace.isalnum() else escape(s.trace),
            escape(s.outcome),
            figures.seconds(s.due_s),
            figures.duration(s.ms),
        )
        for s in result.slowest
    ]
    return _table("Slowest", ("request", "trace", "outcome", "due at", "took"), rows, left=3)


def _faults(result: Result) -> list[str]:
    rows = [
        (
            escape(f.name),
            escape(f.text),
            escape(f.planned),
            escape(f.actual),
            "<br>".join(map(escape, (f.removal, *f.problems, *f.remarks))),
        )
        for f in faults.rows(result)
    ]
    table = _table("Faults", ("", "what", "planned", "actual", "afterwards"), rows, left=5)
    return [*table, *map(_output, faults.outputs(result))]


def _output(output: faults.Output) -> str:
    """What a command wrote, as it stands: nothing in it means anything to markdown, or to a CI runner."""
    text = "\n".join(html.escape(clean(line)) or "&nbsp;" for line in output.lines)
    title = html.escape(clean(f"{output.title}{output.more}"))
    return defuse(f"<details><summary>{title}</summary>\n<pre>\n{text}\n</pre>\n</details>")


def _steady(result: Result) -> list[str]:
    marks = {True: "✅ ", False: "❌ ", None: ""}
    rows = [
        (escape(s.name), escape(s.during), f"{marks[s.well]}{escape(s.afterwards)}")
        for s in steady.rows(result)
    ]
    return _table("Steady state", ("", "during the run", "afterwards"), rows, left=3)


def _probes(result: Result) -> list[str]:
    rows = [
        (
            escape(p.name),
            "outside faults" if p.fault is None else f"during {escape(p.fault)}",
            figures.duration(p.median),
            figures.between(figures.duration(p.least), figures.duration(p.most)),
            figures.count(p.n),
            figures.count(p.failed),
        )
        for p in digest.probes(result)
        if p.n or p.fault is None
    ]
    return _table("Probes", ("", "when", "median", "from – to", "probes", "failed"), rows, left=2)


def _gauges(result: Result) -> list[str]:
    rows = [
        (escape(g.name), *g.told, figures.count(g.n), figures.count(g.failed)) for g in gauges.rows(result)
    ]
    header = ("", "median", "from – to", "most at", "after", "read", "failed")
    return _table("Gauges", header, rows, left=1)


def _generator(result: Result) -> list[str]:
    lines = "\n".join(f"- {escape(label)}: {escape(text)}" for label, text in digest.health(result))
    return [f"<details><summary>Generator</summary>\n\n{lines}\n\n</details>"]


def _table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, last_left: int = 0
) -> list[str]:
    """A heading and a table of cells that are escaped already; nothing if there are no rows."""
    if not rows:
        return []
    text = [i < left or i >= len(header) - last_left for i in range(len(header))]
    lines = [_line(header), _line(":--" if t else "--:" for t in text), *(_line(r) for r in rows[:MOST_ROWS])]
    parts = [f"### {title}", "\n".join(lines)]
    if len(rows) > MOST_ROWS:
        parts.append(f"and {figures.count(len(rows) - MOST_ROWS)} more")
    return parts


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
