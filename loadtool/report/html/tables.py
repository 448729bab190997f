"""The tables of the page: cells with their texts, as they stand in the Result; the template escapes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtool.measure.result import Figures, PhaseFigures, Result, SloFigure
from loadtool.report import digest, faults, figures, gauges, overload, slos, steady

MOST_ROWS: Final = 1000  # of one table
_OPERATOR: Final = re.compile(r"<=|>=|<|>")
_SIGNS: Final = {"<=": "≤", ">=": "≥"}
_QUANTILES: Final = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p99_9"))


@dataclass(frozen=True, slots=True)
class Cell:
    """`tone` is the name of a verdict whose colour the text takes; what it means is in the text as well."""

    text: str
    tone: str = ""
    notes: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """`hidden` titles are read out, not shown. The first column of a table names its rows."""

    title: str
    number: bool = True
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    named_by: int = 0  # the column whose cells name the rows
    notes: tuple[str, ...] = ()

    @property
    def omitted(self) -> int:
        return max(len(self.rows) - MOST_ROWS, 0)

    @property
    def shown(self) -> tuple[tuple[Cell, ...], ...]:
        return self.rows[:MOST_ROWS]


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    tables: tuple[Table, ...]
    texts: tuple[tuple[str, tuple[str, ...]], ...] = ()  # a title and lines as some program wrote them
    remark: str = ""

    @property
    def infinite(self) -> bool:
        """Does an ∞ stand in it that wants a word?"""
        return any(c.text == figures.INFINITE for t in self.tables for row in t.shown for c in row)


def _text(title: str, *, hidden: bool = False) -> Column:
    return Column(title, number=False, hidden=hidden)


def _slos(result: Result) -> Section | None:
    columns = (
        _text("status"),
        _text("objective"),
        Column("measured"),
        Column("threshold"),
        Column("95% interval"),
        Column("samples"),
    )
    rows = tuple(
        (
            _status(s.status),
            Cell(s.text, notes=(s.note,) if s.note else ()),
            Cell(slos.value(s), s.status if s.status == "fail" else "", strong=True),
            Cell(threshold(s)),
            Cell(slos.interval(s) or "–"),
            Cell(figures.count(s.samples)),
        )
        for s in result.slos
    )
    return _section("slos", "SLOs", Table("Objectives, and what was measured", columns, rows, named_by=1))


def threshold(slo: SloFigure) -> str:
    """`< 250 ms`: with the operator of the SLO's text, which stands before any name in it."""
    found = _OPERATOR.search(slo.text)
    sign = f"{_SIGNS.get(found[0], found[0])} " if found else ""
    return f"{sign}{slos.threshold(slo)}"


def _status(status: str) -> Cell:
    return Cell(f"{digest.SYMBOLS.get(status, '')} {status}".strip(), status, strong=True)


def _overload(result: Result) -> Section | None:
    if result.overload is None:
        remark = f"Not judged: {result.no_overload}" if result.no_overload else ""
        return Section("overload", "Overload", (), remark=remark) if remark else None
    columns = (
        _text("figure"),
        Column("measured"),
        Column("default"),
        _text("kept", hidden=True),
        _text("remark", hidden=True),
    )
    tables = []
    for spike in result.overload.spikes:
        rows = tuple(
            (
                Cell(row.label),
                Cell(row.value, _kept_tone(row.met), strong=True),
                Cell(row.default or "–"),
                Cell(_kept(row.met), _kept_tone(row.met)),
                Cell(row.remark),
            )
            for row in overload.rows(spike)
        )
        several = len(result.overload.spikes) > 1
        caption = f"What {spike.name} did to the service" if several else "What the spike did to the service"
        tables.append(Table(caption, columns, rows, notes=tuple(spike.notes)))
    return Section(
        "overload",
        "Overload",
        tuple(tables),
        remark="Defaults are what experienced operators look for; SLOs alone decide the verdict.",
    )


def _kept(met: bool | None) -> str:
    return "" if met is None else "✓" if met else "! off"


def _kept_tone(met: bool | None) -> str:
    return "" if met is None else "pass" if met else "inconclusive"


_FIGURES: Final = (
    Column("offered"),
    Column("ok"),
    Column("shed"),
    Column("errors"),
    *(Column(title) for title, _ in _QUANTILES),
    Column("max"),
    Column("goodput"),
)


def _figures(of: Figures) -> tuple[Cell, ...]:
    errors = sum(of.errors.values())
    quantiles = [digest.quantile(of, getattr(of.latency_ms, field)) for _, field in _QUANTILES]
    return (
        Cell(figures.rate(of.offered_per_s)),
        Cell(figures.count(of.ok)),
        Cell(figures.count(of.shed), "inconclusive" if of.shed else "dim"),
        Cell(figures.count(errors), "fail" if errors else "dim"),
        *(Cell(q, "fail" if q == figures.INFINITE else "") for q in quantiles),
        Cell(figures.duration(of.latency_ms.max)),
        Cell(figures.rate(of.goodput_per_s)),
    )


def _phases(result: Result) -> Section | None:
    rows = [(Cell(p.name, notes=_role(p), strong=True), Cell(_span(p)), *_figures(p)) for p in result.phases]
    if len(rows) > 1:
        rows.append((Cell("all", strong=True), Cell("–"), *_figures(result.totals)))
    columns = (_text("phase"), Column("time"), *_FIGURES)
    return _section("phases", "Phases", Table("Response times and counts by phase", columns, tuple(rows)))


def _role(phase: PhaseFigures) -> tuple[str, ...]:
    return (phase.role,) if phase.role and phase.role != phase.name else ()


def _span(phase: PhaseFigures) -> str:
    return figures.between(figures.seconds(phase.start_s), figures.seconds(phase.end_s))


def _requests(result: Result) -> Section | None:
    rows = tuple((Cell(r.name, strong=True), *_figures(r)) for r in result.requests)
    columns = (_text("request"), *_FIGURES)
    return _section("requests", "Requests", Table("Response times and counts by request", columns, rows))


def _errors(result: Result) -> Section | None:
    rows = tuple(
        (
            Cell(e.kind, "fail", strong=True),
            Cell(figures.count(e.n)),
            Cell(figures.share(e.of_all)),
            Cell(e.detail, notes=_where(e)),
        )
        for e in digest.errors(result)
    )
    columns = (_text("kind"), Column("count"), Column("of all"), _text("for example"))
    return _section("errors", "Errors", Table("Errors by kind, with one example each", columns, rows))


def _slowest(result: Result) -> Section | None:
    rows = tuple(
        (
            Cell(s.request, strong=True),
            Cell(s.trace),
            Cell(s.outcome, "" if s.outcome == "ok" else "fail"),
            Cell(figures.seconds(s.due_s)),
            Cell(figures.duration(s.ms), strong=True),
        )
        for s in result.slowest
    )
    columns = (_text("request"), _text("trace"), _text("outcome"), Column("due at"), Column("took"))
    caption = "The slowest arrivals, and where to find them in the target's traces"
    return _section("slowest", "Slowest", Table(caption, columns, rows))


def _where(error: digest.ErrorRow) -> tuple[str, ...]:
    if not error.request:
        return ()
    return (
        f"{error.request} at {figures.seconds(error.due_s)}" if error.due_s is not None else error.request,
    )


def _faults(result: Result) -> Section | None:
    rows = tuple(
        (
            Cell(f.name, strong=True),
            Cell(f.text, notes=(*f.problems, *f.remarks)),
            Cell(f.planned),
            Cell(f.actual),
            Cell(f.removal, "fail" if f.removal.isupper() else "pass"),
        )
        for f in faults.rows(result)
    )
    if not rows:
        return None
    columns = (_text("fault"), _text("what"), Column("planned"), Column("actual"), _text("afterwards"))
    texts = tuple((f"{o.title}{o.more}", o.lines) for o in faults.outputs(result))
    return Section("faults", "Faults", (Table("Faults as planned and as they were", columns, rows),), texts)


def _steady(result: Result) -> Section | None:
    tones = {True: ("✓ ", "pass"), False: ("✗ ", "fail"), None: ("", "dim")}
    rows = tuple(
        (
            Cell(s.name, strong=True),
            Cell(s.during),
            Cell(f"{tones[s.well][0]}{s.afterwards}", tones[s.well][1]),
        )
        for s in steady.rows(result)
    )
    columns = (_text("check"), _text("during the run"), _text("afterwards"))
    return _section("steady", "Steady state", Table("What had to hold, and whether it did", columns, rows))


def _probes(result: Result) -> Section | None:
    rows = tuple(
        (
            Cell(p.name, strong=True),
            Cell("outside faults" if p.fault is None else f"during {p.fault}"),
            Cell(figures.duration(p.median), strong=True),
            Cell(
                figures.NOTHING
                if p.median is None
                else figures.between(figures.duration(p.least), figures.duration(p.most))
            ),
            Cell(figures.count(p.n)),
            Cell(figures.count(p.failed), "fail" if p.failed else "dim"),
        )
        for p in digest.probes(result)
        if p.n or p.fault is None
    )
    columns = (
        _text("probe"),
        _text("when"),
        Column("median"),
        Column("from – to"),
        Column("probes"),
        Column("failed"),
    )
    return _section("probing", "Probes", Table("Probes outside and during faults", columns, rows))


def _gauges(result: Result) -> Section | None:
    rows = tuple(
        (
            Cell(g.name, strong=True, notes=(g.wrong,) if g.wrong else ()),
            *(Cell(text) for text in g.told),
            Cell(figures.count(g.n)),
            Cell(figures.count(g.failed), "fail" if g.failed else "dim"),
        )
        for g in gauges.rows(result)
    )
    columns = (
        _text("gauge"),
        *map(Column, ("median", "from – to", "most at", "afterwards", "read", "failed")),
    )
    return _section("telling", "Gauges", Table("What the service told of itself", columns, rows))


def _generator(result: Result) -> Section | None:
    rows = tuple((Cell(label, strong=True), Cell(text)) for label, text in digest.health(result))
    columns = (_text("what"), _text("how it fared"))
    return _section("generator", "Generator", Table("How the load generator itself fared", columns, rows))


def _section(key: str, title: str, table: Table) -> Section | None:
    return Section(key, title, (table,)) if table.rows else None


SECTIONS: Final[Sequence[Callable[[Result], Section | None]]] = (
    _slos,
    _overload,
    _phases,
    _requests,
    _errors,
    _slowest,
    _faults,
    _steady,
    _probes,
    _gauges,
    _generator,
)


def sections(result: Result) -> list[Section]:
    """The tables of the page in its order, but for those that would be empty."""
    return [s for make in SECTIONS if (s := make(result)) is not None]
