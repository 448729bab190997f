"""What `loadtool plan` shows: everything that a run would do, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from loadtool.plan.job import FaultWindow
from loadtool.plan.overview import Overview, PhaseOverview
from loadtool.report import figures
from loadtool.report.area import Area
from loadtool.report.axis import TimeAxis, asked, held, lanes, moments, ruler, sections
from loadtool.report.chart import FAULT_STYLE, panel
from loadtool.report.faults import repeated
from loadtool.report.grid import INDENT, Column, heading, pairs, printed, table
from loadtool.report.pictures import RATE_HEIGHT, edges
from loadtool.report.stage import Bar
from loadtool.report.text import clean
from loadtool.units import format_duration

LEAST_WIDTH: Final = 60
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run would touch besides sending load: texts as they may be shown, secrets masked."""

    target: str = ""
    hosts: Sequence[str] = ()
    toxiproxy: str | None = None  # where it would come from, in words; None: there are no faults
    faults: Mapping[str, str] = field(default_factory=dict)  # what each does, by name
    slos: Sequence[str] = ()
    setup: Sequence[str] = ()
    teardown: Sequence[str] = ()
    source: str = ""  # local addresses that the load leaves from
    tls: str = ""  # how the target's certificate is checked, and which one is shown to it
    steady: Sequence[tuple[str, str]] = ()  # checks of the steady state: name, and what is asked
    probes: Sequence[tuple[str, str]] = ()  # gauges: name, and what is read
    proxy: str = ""  # URL of the HTTP proxy that the load goes through


def render(overview: Overview, around: Surroundings, *, width: int = 80, color: bool = False) -> str:
    """The plan as text, in lines of at most `width` cells (at least 60)."""
    width = max(width, LEAST_WIDTH)
    return printed(_parts(overview, around, width), width=width, color=color)


def _parts(o: Overview, around: Surroundings, width: int) -> Iterator[RenderableType]:
    inner = width - INDENT
    about = "" if o.exact else "about "
    yield Text("━" * width, style="bold cyan")
    yield Text.assemble(
        ("▷ PLAN", "bold cyan"), "  ", (clean(o.name), "bold"),
        f": {about}{figures.plural(o.arrivals, 'arrival')} in {format_duration(o.duration_ns)},"
        f" at most {figures.rate(o.peak_rate)}",
    )  # fmt: skip
    yield Text("━" * width, style="bold cyan")
    yield Text("Nothing has been sent.", style="dim")
    parts = (
        ("Rate", _picture(o, around, inner)),
        ("Phases", _phases(o, inner)),
        ("Requests", _requests(o, inner)),
        ("Faults", _faults(o, around, inner)),
        ("Steady state", _steady(around)),
        ("Probes", [pairs(around.probes)] if around.probes else []),
        ("Load", [pairs(_load(o, around))]),
        ("SLOs", [Text(clean(text)) for text in around.slos]),
        ("Warnings", [_warning(text) for text in o.warnings]),
    )
    for title, body in parts:
        if body:
            yield Text()
            yield heading(title, width)
            yield from (Padding(part, (0, 0, 0, INDENT)) for part in body)


def _bars(o: Overview) -> list[Bar]:
    return [
        Bar(clean(f.name), f.start_ns / _SECOND, f.end_ns / _SECOND, f.ramp_ns / _SECOND) for f in o.faults
    ]


def _picture(o: Overview, around: Surroundings, width: int) -> list[RenderableType]:
    end_s = o.duration_ns / _SECOND
    axis = TimeAxis(end_s, width)
    faults = _bars(o)
    planned = axis.spread(held([(ns / _SECOND, rate) for ns, rate in o.curve], end_s), peak=False)
    phases = [Bar(p.name, p.start_ns / _SECOND, p.end_ns / _SECOND) for p in o.phases]
    return [
        panel(
            axis,
            [],
            areas=[Area(planned, "cyan")],
            height=RATE_HEIGHT,
            label=figures.rate,
            marks=edges(axis, faults),
        ),
        ruler(axis),
        sections(axis, phases),
        *lanes(axis, faults, style=FAULT_STYLE),
        *([asked(axis, "steady?")] if around.steady else []),
        *([moments(axis, "reconnect", [ns / _SECOND for ns in o.reconnect_ns])] if o.reconnect_ns else []),
    ]


def _phases(o: Overview, width: int) -> list[RenderableType]:
    rows: list[tuple[Text | str, ...]] = [
        (
            Text(clean(p.name), style="bold"),
            p.role,
            _span(p.start_ns, p.end_ns),
            _rate(p),
            figures.count(p.arrivals),
        )
        for p in o.phases
    ]
    total = ("all", "", _span(0, o.duration_ns), "", figures.count(o.arrivals))
    columns = (
        Column("", text=True),
        Column("role", left=True, drop=1),
        Column("when"),
        Column("rate"),
        Column("arrivals" if o.exact else "arrivals, about"),
    )
    return [table(columns, [*rows, total] if len(rows) > 1 else rows, width)]


def _span(start_ns: int, end_ns: int) -> str:
    return figures.between(figures.seconds(start_ns / _SECOND), figures.seconds(end_ns / _SECOND))


def _rate(p: PhaseOverview) -> str:
    if p.start_rate == p.end_rate:
        return figures.rate(p.end_rate)
    return f"{figures.number(p.start_rate)} → {figures.rate(p.end_rate)}"


def _requests(o: Overview, width: int) -> list[RenderableType]:
    rows = [
        (
            Text(clean(r.name), style="bold"),
            "" if o.replay else f"{r.method} {r.path}",  # a replayed one has no path of its own
            figures.share(r.share),
            figures.count(r.arrivals),
        )
        for r in o.requests
    ]
    columns = (
        Column("", text=True),
        Column("", text=True),
        Column("of all"),
        Column("arrivals" if o.exact else "arrivals, about"),
    )
    return [table(columns, rows, width)]


def _faults(o: Overview, around: Surroundings, width: int) -> list[RenderableType]:
    if not o.faults:
        return []
    times: dict[str, list[FaultWindow]] = {}
    for f in o.faults:
        times.setdefault(f.name, []).append(f)
    rows = [
        (Text(clean(name), style="bold"), around.faults.get(name, ""), _times(windows))
        for name, windows in times.items()
    ]
    return [table((Column("", text=True), Column("what", text=True), Column("when")), rows, width)]


def _times(windows: Sequence[FaultWindow]) -> str:
    first, last = windows[0], windows[-1]
    if len(windows) == 1:
        return _span(first.start_ns, first.end_ns)
    start, end, until = first.start_ns / _SECOND, first.end_ns / _SECOND, last.end_ns / _SECOND
    return repeated(len(windows), start, end, until)


def _steady(around: Surroundings) -> list[RenderableType]:
    if not around.steady:
        return []
    when = "asked before the run, which does not begin otherwise, during it, and after it"
    return [pairs(around.steady), Text(when, style="dim")]


def _load(o: Overview, around: Surroundings) -> list[tuple[str, str]]:
    kind = f"{o.arrivals_kind}, seed {o.seed}"
    certainty = "counted" if o.exact else "expected, too many to count"
    rows = [
        ("target", around.target),
        ("hosts", ", ".join(around.hosts)),
        ("transport", _transport(o, around)),
        ("source", around.source),
        ("tls", around.tls),
        ("replay", o.replay),
        ("arrivals", "" if o.replay else f"{kind}; {certainty}"),
        ("peak", f"{figures.rate(o.peak_rate)} at {figures.seconds(o.peak_at_ns / _SECOND)}"),
        ("connections", _connections(o)),
        ("retries", o.retries),
        ("throttle", o.throttle),
        ("reconnect", _reconnect(o)),
        ("toxiproxy", around.toxiproxy or ""),
        ("setup", "; ".join(around.setup)),
        ("teardown", "; ".join(around.teardown)),
    ]
    return [(label, text) for label, text in rows if text]


def _transport(o: Overview, around: Surroundings) -> str:
    spoken = "HTTP/2" if o.http2 else "HTTP/1.1"
    return f"{o.transport}, {spoken}" + (f" through {around.proxy}" if around.proxy else "")


def _connections(o: Overview) -> str:
    timeout = figures.duration(o.timeout_ns / 1e6)
    when = figures.seconds(o.connections_at_ns / _SECOND)
    worst = f"{figures.count(o.connections_needed)} at {when}, if every answer takes the timeout of {timeout}"
    pace = f"; at most {figures.rate(o.dials_per_s)} new ones" if o.dials_per_s is not None else ""
    if not o.capped:
        return f"at most {worst}{pace}"
    most = f"at most {figures.count(o.connections)} (client.connections)"
    return f"{most}; {worst}, and then arrivals would wait{pace}"


def _reconnect(o: Overview) -> str:
    times = ", ".join(figures.seconds(ns / _SECOND) for ns in o.reconnect_ns)
    return f"all connections are closed and opened again at {times}" if times else ""


def _warning(text: str) -> Text:
    return Text.assemble(("! ", "bold yellow"), clean(text))
