"""The final report for a terminal: the verdict first, then what it rests on, in 80 columns or more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from loadtool.measure.result import Figures, Result, SloFigure
from loadtool.report import digest, faults, figures, gauges, overload, slos, steady
from loadtool.report.folding import folded, glued
from loadtool.report.grid import INDENT, Column, heading, listed, pairs, printed, table
from loadtool.report.pictures import gauge_pictures, probe_pictures, timeline
from loadtool.report.text import clean, clip

LEAST_WIDTH: Final = 60
REQUEST_CELLS: Final = 40  # of a request among the slowest: ten lines are enough
MOST_FAULTS: Final = 100  # rows of their table: what comes after it is to be found, too

STYLES: Final = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "invalid": "bold magenta",
    "interrupted": "bold yellow",
}

_FIGURES: Final = (
    Column("offered", drop=5),
    Column("ok"),
    Column("shed"),
    Column("errors"),
    Column("p50"),
    Column("p90", drop=9),
    Column("p99"),
    Column("max", drop=8),
    Column("goodput", drop=3),
)


def render(result: Result, *, width: int = 80, color: bool = False) -> str:
    """The report as text, in lines of at most `width` cells (at least 60)."""
    width = max(width, LEAST_WIDTH)
    return printed(_parts(result, width), width=width, color=color)


def _parts(result: Result, width: int) -> Iterator[RenderableType]:
    inner = width - INDENT
    yield from _verdict(result, width)
    sections = (
        ("Over time", timeline(result, inner)),
        ("SLOs", _slos(result, inner)),
        ("Phases", _phases(result, inner)),
        ("Requests", _requests(result, inner)),
        ("Errors", _errors(result, inner)),
        ("Slowest", _slowest(result, inner)),
        ("Overload", _overload(result, inner)),
        ("Clients", _clients(result, inner)),
        ("Faults", _faults(result, inner)),
        ("Steady state", _steady(result, inner)),
        ("Probes", _probes(result, inner)),
        ("Gauges", _gauges(result, inner)),
        ("Generator", [pairs(digest.health(result))]),
    )
    for title, body in sections:
        if not body:
            continue
        yield Text()
        yield heading(title, width)
        yield from (Padding(part, (0, 0, 0, INDENT)) for part in body)
    if digest.unbounded(result):
        yield Text()
        yield Text(figures.FOOTNOTE, style="dim")


def _verdict(result: Result, width: int) -> Iterator[RenderableType]:
    style = STYLES.get(result.verdict, "bold")
    symbol = digest.SYMBOLS.get(result.verdict, " ")
    yield Text("━" * width, style=style)
    headline = Text.assemble(
        (clean(result.verdict.upper()), style),
        "  ",
        (clean(digest.name(result)), "bold"),
        f": {_prose(digest.headline(result))}",
    )
    yield listed(Text(symbol, style=style), headline, width)
    for spike, sentence in overload.sentences(result):
        word = (clean(spike.verdict), STYLES.get(overload.LIKE.get(spike.verdict, ""), "bold"))
        yield listed(Text(" "), Text.assemble(_prose(sentence), word), width)
    for reason in digest.reasons(result):
        yield listed(Text("  ·", style=style), Text(_prose(reason)), width)
    yield Text("━" * width, style=style)
    counted = f"{digest.conservation(result)}, in {figures.seconds(result.elapsed_s)}"
    yield folded(Text(_prose(counted)), width)
    where = (
        f"target {digest.target(result)} · profile {result.profile_file} · seed {result.seed}"
        f" · good within {figures.duration(result.good_within_ms)}"
    )
    yield folded(Text(_prose(where), style="dim"), width)


def _prose(text: str) -> str:
    """What may be broken into lines anywhere but between a number and its unit."""
    return glued(clean(text))


def _clients(result: Result, width: int) -> list[RenderableType]:
    told = digest.clients(result)
    return [folded(Text(_prose(told)), width)] if told else []


def _overload(result: Result, width: int) -> list[RenderableType]:
    if result.overload is None:
        why = result.no_overload
        return [Text(f"not judged: {clean(why)}", style="dim")] if why else []
    columns = (
        Column(""),
        Column("", text=True),
        Column("measured"),
        Column("default", left=True, drop=1),
        Column("", text=True),
    )
    parts: list[RenderableType] = []
    for spike in result.overload.spikes:
        rows = []
        for row in overload.rows(spike):
            style = "" if row.met is None else STYLES["pass" if row.met else "fail"]
            rows.append(
                (
                    Text(row.mark, style=style),
                    row.label,
                    Text(row.value, style=style or "bold"),
                    row.default,
                    Text(clean(row.remark), style="dim"),
                )
            )
        if len(result.overload.spikes) > 1:
            parts += [Text()] * bool(parts) + [Text(clean(spike.name), style="bold")]
        parts.append(table(columns, rows, width))
        parts += [Text(clean(note), style="dim") for note in spike.notes]
    return parts


def status(slo: SloFigure) -> Text:
    """`✓ pass`: never by colour alone."""
    return Text(
        f"{digest.SYMBOLS.get(slo.status, ' ')} {clean(slo.status)}", style=STYLES.get(slo.status, "")
    )


def _slos(result: Result, width: int) -> list[RenderableType]:
    if not result.slos:
        return []
    rows = []
    for s in result.slos:
        text = Text(clean(s.text))
        if s.note:
            text.append(f"\n{clean(s.note)}", style="dim")
        value = Text(slos.value(s), style=STYLES["fail"] if s.status == "fail" else "bold")
        rows.append((status(s), text, value, slos.interval(s), figures.count(s.samples)))
    columns = (
        Column("", left=True),
        Column("objective", text=True),
        Column("measured"),
        Column("95% interval", drop=2),
        Column("samples", drop=1),
    )
    return [table(columns, rows, width)]


def _row(name: str, of: Figures) -> list[Text | str]:
    errors = sum(of.errors.values())
    q = of.latency_ms
    p99 = digest.quantile(of, q.p99)
    return [
        Text(clean(name), style="bold"),
        figures.rate(of.offered_per_s),
        figures.count(of.ok),
        Text(figures.count(of.shed), style="yellow" if of.shed else "dim"),
        Text(figures.count(errors), style="red" if errors else "dim"),
        digest.quantile(of, q.p50),
        digest.quantile(of, q.p90),
        Text(p99, style="red" if p99 == figures.INFINITE else ""),
        figures.duration(q.max),
        figures.rate(of.goodput_per_s),
    ]


def _phases(result: Result, width: int) -> list[RenderableType]:
    if not result.phases:
        return []
    rows = [_row(p.name, p) for p in result.phases]
    if len(rows) > 1:
        rows.append(_row("all", result.totals))
    return [table((Column("", text=True), *_FIGURES), rows, width)]


def _requests(result: Result, width: int) -> list[RenderableType]:
    if len(result.requests) < 2:
        return []
    return [table((Column("", text=True), *_FIGURES), [_row(r.name, r) for r in result.requests], width)]


def _errors(result: Result, width: int) -> list[RenderableType]:
    rows = []
    for e in digest.errors(result):
        example = Text(clean(e.detail))
        where = f"{e.request} at {figures.seconds(e.due_s)}" if e.due_s is not None else e.request
        if where:
            example.append(f"\n{clean(where)}", style="dim")
        rows.append((Text(clean(e.kind), style="red"), figures.count(e.n), figures.share(e.of_all), example))
    if not rows:
        return []
    columns = (Column("kind", text=True), Column("count"), Column("of all"), Column("for example", text=True))
    return [table(columns, rows, width)]


def _slowest(result: Result, width: int) -> list[RenderableType]:
    """The arrivals that took longest, by the ids under which the target's traces have them."""
    rows = [
        (
            Text(figures.duration(s.ms), style="bold"),
            Text(clean(s.trace), no_wrap=True),
            figures.seconds(s.due_s),
            Text(clean(s.outcome), style="" if s.outcome == "ok" else "red"),
            Text(clip(s.request, REQUEST_CELLS)),
        )
        for s in result.slowest
    ]
    columns = (
        Column("took"),
        Column("trace", left=True),
        Column("due at", drop=1),
        Column("outcome", left=True, drop=2),
        Column("request", text=True),
    )
    return [table(columns, rows, width)] if rows else []


def _faults(result: Result, width: int) -> list[RenderableType]:
    every, rows = faults.rows(result), []
    for f in every[:MOST_FAULTS]:
        what = Text(clean(f.text))
        for problem in f.problems:
            what.append(f"\n{clean(problem)}", style="red")
        for remark in f.remarks:
            what.append(f"\n{clean(remark)}", style="dim")
        style = "bold red" if f.removal.isupper() else "green"
        rows.append(
            (
                Text(clean(f.name), style="bold"),
                what,
                f.planned,
                f.actual,
                Text(f.removal, style=style),
            )
        )
    if not rows:
        return []
    columns = (
        Column("", text=True),
        Column("what", text=True),
        Column("planned", drop=1),
        Column("actual"),
        Column("afterwards", left=True),
    )
    left = len(every) - len(rows)
    more = [Text(f"and {figures.count(left)} more", style="dim")] if left else []
    return [table(columns, rows, width), *more, *_outputs(result)]


def _outputs(result: Result) -> Iterator[RenderableType]:
    """What the commands among the faults wrote."""
    for output in faults.outputs(result):
        yield Text(f"\n{clean(output.title)}{output.more}:", style="dim")
        for line in output.lines:
            yield Padding(Text(clean(line)), (0, 0, 0, 2))


def _steady(result: Result, width: int) -> list[RenderableType]:
    marks = {True: ("✓ ", "green"), False: ("✗ ", "bold red"), None: ("", "dim")}
    rows = [
        (
            Text(clean(s.name), style="bold"),
            Text(clean(s.during)),
            Text(f"{marks[s.well][0]}{clean(s.afterwards)}", style=marks[s.well][1]),
        )
        for s in steady.rows(result)
    ]
    columns = (Column("", text=True), Column("during the run", text=True), Column("afterwards", text=True))
    return [table(columns, rows, width)] if rows else []


def _probes(result: Result, width: int) -> list[RenderableType]:
    rows = []
    for p in digest.probes(result):
        if p.fault is not None and not p.n:
            continue
        spread = (
            figures.between(figures.duration(p.least), figures.duration(p.most))
            if p.median is not None
            else figures.NOTHING
        )
        rows.append(
            (
                Text(clean(p.name), style="bold"),
                "outside faults" if p.fault is None else f"during {p.fault}",
                Text(figures.duration(p.median), style="bold"),
                spread,
                figures.count(p.n),
                Text(figures.count(p.failed), style="red" if p.failed else "dim"),
            )
        )
    if not rows:
        return []
    columns = (
        Column("", text=True),
        Column("", text=True),
        Column("median"),
        Column("from – to", drop=1),
        Column("probes"),
        Column("failed"),
    )
    return [table(columns, rows, width), Text(), *probe_pictures(result, width)]


def _gauges(result: Result, width: int) -> list[RenderableType]:
    rows = [
        (
            Text(clean(g.name), style="bold"),
            Text(g.told[0], style="bold"),
            *g.told[1:],
            figures.count(g.n),
            Text(figures.count(g.failed), style="red" if g.failed else "dim"),
        )
        for g in gauges.rows(result)
    ]
    if not rows:
        return []
    columns = (
        Column("", text=True),
        Column("median"),
        Column("from – to"),
        Column("most at"),
        Column("after"),
        Column("read", drop=1),
        Column("failed"),
    )
    wrong = [f"{g.name}: {g.wrong}" for g in gauges.rows(result) if g.wrong]
    told = [Text(clean(text), style="dim") for text in wrong]
    return [table(columns, rows, width), *told, Text(), *gauge_pictures(result, width)]
