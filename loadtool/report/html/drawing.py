"""The parts that charts are drawn from, as Plotly's own data: traces, axes, texts.

Colours are names such as `@ok`: the page's script puts in what the style sheet says for the theme that is on.
Plotly reads its texts as a kind of HTML, so whatever comes from a profile or a target goes through `plain`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtool.report import figures
from loadtool.report.text import clean

Trace = dict[str, Any]

CEILING: Final = 1.6  # how far above the last mark of a log axis ∞ lies
_PLACES: Final = 4  # of seconds and ms in the page: a tenth of a µs
_LEAST_MS: Final = 0.001  # what the clocks resolve; a log axis has no 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart: what Plotly draws, and what it shows in words.

    `layout` holds the axes, but for the time axis, which all charts with `on_time` share.
    """

    traces: list[Trace]
    layout: dict[str, Any]
    summary: str
    on_time: bool = True
    height: int = 300  # of the plot with its labels, in px
    hover: str = "x unified"
    notes: list[str] = field(default_factory=list)


def plain(value: object) -> str:
    """Text that Plotly shows as it is."""
    return html.escape(clean(value), quote=False)


def rounded(value: float | None) -> float | None:
    """A value for the page's data; None where there is nothing to draw."""
    return None if value is None or not math.isfinite(value) else round(value, _PLACES)


def line(
    name: str,
    x: Iterable[float],
    y: Iterable[float | None],
    texts: Sequence[str],
    colour: str,
    *,
    dash: str = "solid",
    width: float = 2.0,
    **more: Any,
) -> Trace:
    """A curve whose points say `texts` when pointed at. `name` is plain text."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(name),
        "x": [rounded(v) for v in x],
        "y": [rounded(v) for v in y],
        "customdata": [plain(t) for t in texts],
        "hovertemplate": f"{_template(name)}: %{{customdata}}<extra></extra>",
        "line": {"color": colour, "dash": dash, "width": width},
        **more,
    }


def _template(name: str) -> str:
    """A name inside a hover template, in which `%{…}` would be a variable."""
    return plain(name).replace("%{", "%&#123;")


def log_axis(low: float, high: float, *, title: str, ceiling: float | None = None) -> dict[str, Any]:
    """A logarithmic axis of times in ms from below `low` to above `high`, with a mark for ∞ if asked."""
    marks = ticks(low, high)
    bottom = min(low, marks[0]) / 1.12
    top = (ceiling * 1.12) if ceiling is not None else max(high, marks[-1]) * 1.12
    shown = [(m, figures.duration(m)) for m in marks if ceiling is None or m * 1.1 < ceiling]
    if ceiling is not None:
        shown.append((ceiling, figures.INFINITE))
    return {
        "type": "log",
        "title": {"text": title},
        "ticks": "",
        "range": [math.log10(bottom), math.log10(top)],
        "tickvals": [v for v, _ in shown],
        "ticktext": [t for _, t in shown],
    }


def ticks(low: float, high: float) -> list[float]:
    """Round values that cover [low, high]: powers of ten, with 2 and 5 between them where there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    every = [s * 10.0**k for k in range(first - 1, last + 2) for s in steps]
    below = [v for v in every if v <= low]
    above = [v for v in every if v >= high]
    return [v for v in every if below[-1] <= v <= above[0]]


def finite(values: Iterable[float | None]) -> list[float]:
    """Those that can be drawn on a log axis."""
    return [max(v, _LEAST_MS) for v in values if v is not None and math.isfinite(v)]


@dataclass(frozen=True, slots=True)
class Scale:
    """A log axis of times: where ∞ is drawn on it, and the axis itself."""

    low: float
    high: float
    infinite: bool

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Scale:
        known = finite(values)
        return cls(
            low=min(known, default=1.0),
            high=max(known, default=1000.0),
            infinite=any(v is not None and math.isinf(v) for v in values),
        )

    @property
    def ceiling(self) -> float:
        """Where ∞ is drawn: clear above everything that was measured."""
        return ticks(self.low, self.high)[-1] * CEILING

    def place(self, value: float | None) -> float | None:
        """Where a value is drawn."""
        if value is None:
            return None
        return self.ceiling if math.isinf(value) else max(value, _LEAST_MS)

    def axis(self, title: str) -> dict[str, Any]:
        return log_axis(self.low, self.high, title=title, ceiling=self.ceiling if self.infinite else None)
