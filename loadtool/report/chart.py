"""Curves over time, drawn by plotext on the report's shared time axis.

plotext is asked for the canvas and the axis of values alone; the time axis, phases and faults below it are
ours (`axis.py`), so that all panels of a report line up to the column. So are areas (`area.py`): braille dots
would leave them full of holes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from loadtool.report.area import Area, heights, laid_over
from loadtool.report.axis import GUTTER, TimeAxis
from loadtool.report.text import clip

FAULT_STYLE: Final = "red"
_HAIR: Final = 0.15  # of a line: dots are a quarter of one, and rounded


@dataclass(frozen=True, slots=True)
class Curve:
    """One value a column: None leaves a gap, infinity shows as ∞ at the top."""

    values: Sequence[float | None]
    colour: str = ""  # one of the terminal's sixteen; none: the terminal's own


def panel(
    axis: TimeAxis,
    curves: Sequence[Curve],
    *,
    height: int,
    label: Callable[[float], str],
    areas: Sequence[Area] = (),
    marks: Sequence[int] = (),
    mark_style: str = FAULT_STYLE,
    at_least: float = 0.0,
) -> Text:
    """`height` lines with the curves, later ones over earlier ones; `label` writes a value of the axis.

    `areas` stand on each other, over the curves. `marks` are columns with a dotted line from top to bottom,
    behind everything; the axis of values reaches `at_least` so far.
    Where plotext cannot work (its compiled part is missing for this machine) the text says so in place of
    the picture.
    """
    try:
        import plotext
    except ImportError as e:
        return Text(clip(f"(no chart: {e})", axis.width), style="dim")
    finite = (v for c in curves for v in c.values if v is not None and not math.isinf(v))
    below = _beside_infinity(curves) * _clear_of_top(height)
    top = nice_top(max([at_least, below, *finite, *(heights(areas) if areas else ())]))
    figure = _blank(plotext, axis, height)
    figure.ruler("y", "left").lim(0, top or 1)
    ticks = (0.0, top / 2, top) if top and height >= 5 else (0.0, top) if top else (0.0,)
    figure.ruler("y", "left").ticks(list(ticks), [_tick(label(t)) for t in ticks])
    figure.ruler("x", "lower").lim(0, axis.columns)
    for curve in curves:
        _draw(plotext, figure, curve, top or 1)
    text = Text.from_ansi(figure.build().string().rstrip("\n"), no_wrap=True, end="")
    figure.clear()
    if areas:
        text = laid_over(text, areas, height=height, top=top)
    for column in marks:
        text = upright(text, column, "┊", style=mark_style)
    return text


def _beside_infinity(curves: Sequence[Curve]) -> float:
    """The highest value over or under which another curve goes to ∞, which has the top line; else 0."""
    highest = 0.0
    for column in zip(*(c.values for c in curves), strict=False):
        known = [v for v in column if v is not None]
        if any(math.isinf(v) for v in known):
            highest = max([highest, *(v for v in known if not math.isinf(v))])
    return highest


def _clear_of_top(height: int) -> float:
    """How far above a value the axis has to end, so that the value is drawn below the top line."""
    return height / (height - 1.0 - _HAIR) if height > 1 else 1.0


def upright(picture: Text, column: int, char: str, *, style: str, over: bool = False) -> Text:
    """The picture with an upright line in a column of its axis, behind the curves or `over` them."""
    at = GUTTER + column
    lines = []
    for line in picture.split("\n", allow_blank=True):
        blank = line.plain[at : at + 1].strip(" ⠀") == ""
        if over or blank:
            line.pad_right(max(at + 1 - len(line.plain), 0))
            line = Text.assemble(line[:at], (char, style), line[at + 1 :])
        lines.append(line)
    return Text("\n", no_wrap=True, end="").join(lines)


def nice_top(largest: float) -> float:
    """The end of an axis that holds `largest`: 1 to 8 times a power of ten, a round one; 0 for nothing."""
    if largest <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(
        (m * power for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8) if m * power >= largest * (1 - 1e-9)), 10 * power
    )


def _tick(label: str) -> str:
    return clip(label, GUTTER - 1).rjust(GUTTER - 1)


def _blank(plotext: Any, axis: TimeAxis, height: int) -> Any:
    # plotext keeps one figure for the process, and cuts it to the size of the terminal unless told not to.
    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(axis.width, height)
    for side in ("lower", "upper"):
        figure.axes(False, axis="x", side=side)
        figure.ruler("x", side).frequency(0)
    figure.axes(False, axis="y", side="right")
    figure.ruler(["x", "y"], [0, 1]).alignment(lim="edge")  # a column, a row: [n, n + 1)
    return figure


def _draw(plotext: Any, figure: Any, curve: Curve, top: float) -> None:
    # A column is two dots wide in braille: both get the value, so that steps are steps.
    xs, ys, joined = [], [], []
    broken = True
    beyond = []
    for column, value in enumerate(curve.values):
        if value is None or math.isinf(value):
            if value is not None:
                beyond.append(column)
            broken = True
            continue
        for x in (column + 0.25, column + 0.75):
            xs.append(x)
            ys.append(min(value, top))
            joined.append(not broken)
            broken = False
    if xs:
        signal = figure.signal(xs, ys, marker=plotext.marker("braille", _pixel(plotext, curve.colour)))
        for i, join in enumerate(joined):
            signal.line(i, join)
        figure.draw(signal)
    if beyond:
        marker = plotext.marker("∞", _pixel(plotext, "red"))
        figure.draw(figure.signal([c + 0.5 for c in beyond], [top] * len(beyond), marker=marker))


def _pixel(plotext: Any, colour: str) -> Any:
    return plotext.pixel(foreground=colour) if colour else plotext.pixel()
