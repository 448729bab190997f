"""What a search for capacity has found, for a terminal: the knee, the curve, every step."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from loadtool.judge.capacity_result import Capacity, Multiple
from loadtool.judge.capacity_step import Step
from loadtool.report import figures
from loadtool.report.area import Area
from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.chart import Curve, nice_top, panel
from loadtool.report.grid import INDENT, Column, heading, pairs, printed, table
from loadtool.report.pictures import LATENCY_HEIGHT, RATE_HEIGHT, legend
from loadtool.report.text import clean

LEAST_WIDTH: Final = 60
_TICKS: Final = 4
_STYLES: Final = {0: "bold green", 1: "bold red"}
_MARKS: Final = {
    "holds": ("✓", "green"),
    "fails": ("✗", "red"),
    "late": ("!", "magenta"),
    "cut": ("·", "dim"),
}


def render(capacity: Capacity, *, width: int = 80, color: bool = False) -> str:
    """The report as text, in lines of at most `width` cells (at least 60)."""
    width = max(width, LEAST_WIDTH)
    return printed(_parts(capacity, width), width=width, color=color)


def _parts(c: Capacity, width: int) -> Iterator[RenderableType]:
    inner = width - INDENT
    style = _STYLES.get(c.exit_code, "bold yellow")
    yield Text("━" * width, style=style)
    yield Text.assemble(
        (f"CAPACITY {c.verdict}", style), "  ", (clean(c.name), "bold"), f": {clean(c.sentence)}"
    )
    for reason in c.reasons:
        yield Padding(Text.assemble(("· ", style), clean(reason)), (0, 0, 0, 2))
    yield Text("━" * width, style=style)
    yield Text(
        clean(
            f"target {c.target} · profile {c.profile_file} · seed {c.seed} · good within "
            f"{figures.duration(c.good_within_ms)} · {figures.plural(len(c.steps), 'step')} in "
            f"{figures.clock(c.elapsed_s)}"
        ),
        style="dim",
    )
    sections = (
        ("Knee", [pairs(_knee(c), 14)]),
        ("Curve", _curve(c, inner)),
        ("Beyond it", _beyond(c, inner)),
        ("SLOs", _slos(c)),
        ("Steps", _steps(c, inner)),
    )
    for title, body in sections:
        if body:
            yield Text()
            yield heading(title, width)
            yield from (Padding(part, (0, 0, 0, INDENT)) for part in body)


def _knee(c: Capacity) -> Iterator[tuple[str, str]]:
    unheld = "nowhere" if c.verdict == "none" else "not known"
    held = unheld if c.holds_per_s is None else figures.rate(c.holds_per_s)
    how = "" if c.holds_per_s is None else ", confirmed" if c.confirmed else ", not confirmed"
    yield "SLOs hold at", held + how
    if c.fails_per_s is not None:
        spread = ""
        if c.holds_per_s:
            spread = f", {figures.share(c.fails_per_s / c.holds_per_s - 1)} above"
        yield "and fail at", figures.rate(c.fails_per_s) + spread
    if c.goodput_per_s:
        repeats = sum(s.purpose == "confirm" and s.rate_per_s == c.holds_per_s for s in c.steps)
        low, high = map(figures.rate, c.goodput_per_s)
        yield "goodput", f"{figures.between(low, high)} in {figures.plural(repeats, 'confirming hold')}"
        p99 = [figures.duration(v, failed=True) for v in c.p99_ms]
        yield "p99", f"{figures.between(*p99)}"


def _beyond(c: Capacity, width: int) -> list[RenderableType]:
    if len(c.multiples) < 2:
        return []
    columns = (
        Column("knee"), Column("offered"), Column("goodput"), Column("of the knee's"), Column("p99"),
        Column("", text=True),
    )  # fmt: skip
    at_knee = c.multiples[0].goodput_per_s
    rows = [
        (
            figures.ratio(m.times),
            figures.rate(m.rate_per_s),
            figures.rate(m.goodput_per_s),
            figures.share(m.goodput_per_s / at_knee if m.goodput_per_s is not None and at_knee else None),
            _p99(m),
            m.note,
        )
        for m in c.multiples
    ]  # fmt: skip
    return [table(columns, rows, width)]


def _p99(m: Multiple) -> str:
    return figures.duration(m.p99_ms, failed=m.goodput_per_s is not None)


def _slos(c: Capacity) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(clean(text)) for text in c.slos]
    return parts + [
        Text(f"left out: {clean(left.text)} ({clean(left.why)})", style="dim") for left in c.left_out
    ]


def _steps(c: Capacity, width: int) -> list[RenderableType]:
    columns = (
        Column("", left=True), Column("offered"), Column("for", drop=3), Column("goodput"),
        Column("errors"), Column("p50", drop=1), Column("p99"), Column("", text=True),
    )  # fmt: skip
    rows = []
    for step in c.steps:
        mark, style = _MARKS[step.outcome]
        failed = sum(step.errors.values())
        rows.append(
            (
                Text(f"{mark} {step.outcome}", style=style),
                figures.rate(step.rate_per_s),
                f"{figures.number(step.hold_s)} s",
                figures.rate(step.goodput_per_s),
                figures.count(failed),
                figures.duration(step.p50_ms, failed=bool(failed)),
                figures.duration(step.p99_ms, failed=bool(failed)),
                Text(step.purpose, style="dim"),
            )
        )
    return [table(columns, rows, width)] if rows else []


# The curve

_Point = tuple[float, float, float]  # offered, goodput and p99, infinite if too many failed


def _curve(c: Capacity, width: int) -> list[RenderableType]:
    points = _points(c.steps)
    if len(points) < 2:
        return []
    top = nice_top(points[-1][0])
    axis = TimeAxis(top, width)
    rates = [(column + 0.5) * axis.column_s for column in range(axis.columns)]
    last = axis.column(points[-1][0])
    offered = [rate if column <= last else None for column, rate in enumerate(rates)]
    goodput = [_at(rate, [(p[0], p[1]) for p in [(0.0, 0.0, 0.0), *points]]) for rate in rates]
    p99 = [_at(rate, [(p[0], p[2]) for p in points]) for rate in rates]
    marks = [axis.column(c.holds_per_s)] if c.holds_per_s is not None and c.holds_per_s <= top else []
    label = f"┊ SLOs hold up to {figures.rate(c.holds_per_s)}" if marks else ""
    return [
        legend(("─ offered", ""), ("█ goodput", "green"), (label, "dim")),
        panel(
            axis, [Curve(offered)], areas=[Area(goodput, "green")],
            height=RATE_HEIGHT, label=figures.rate, marks=marks, mark_style="dim",
        ),
        legend(("─ p99 of response time", "magenta")),
        panel(
            axis, [Curve(p99, "magenta")],
            height=LATENCY_HEIGHT, label=figures.duration, marks=marks, mark_style="dim",
        ),
        _ruler(axis, top),
    ]  # fmt: skip


def _points(steps: Sequence[Step]) -> list[_Point]:
    """By rate, the mean of its sound steps."""
    by_rate: dict[float, list[Step]] = {}
    for step in steps:
        if step.outcome in ("holds", "fails"):
            by_rate.setdefault(step.rate_per_s, []).append(step)
    return [
        (
            rate,
            statistics.fmean(s.goodput_per_s for s in same),
            statistics.fmean(math.inf if s.p99_ms is None else s.p99_ms for s in same),
        )
        for rate, same in sorted(by_rate.items())
    ]


def _at(rate: float, points: Sequence[tuple[float, float]]) -> float | None:
    """The value at this rate, on straight lines between the points; None outside of them."""
    for (low, a), (high, b) in pairwise(points):
        if low <= rate <= high:
            if math.isinf(a) or math.isinf(b):
                return math.inf if math.isinf(b) and (math.isinf(a) or rate > (low + high) / 2) else a
            return a + (b - a) * (rate - low) / (high - low)
    return None


def _ruler(axis: TimeAxis, top: float) -> Text:
    """The axis of rates and its labels: two lines."""
    line = ["─"] * axis.columns
    labels = [" "] * axis.columns
    for tick in range(_TICKS + 1):
        column = axis.column(top * tick / _TICKS)
        label = figures.rate(top * tick / _TICKS)
        at = max(min(column - len(label) // 2, axis.columns - len(label)), 0)
        line[column] = "┬"
        labels[at : at + len(label)] = label
    gutter = " " * (GUTTER - 1)
    return Text(f"{gutter}└{''.join(line)}\n{gutter} {''.join(labels)}", style="dim")
