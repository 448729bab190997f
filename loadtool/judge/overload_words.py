"""The one plain sentence that says what a spike did to the service."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from loadtool.judge.spike_view import SAME_S
from loadtool.measure.spike import SpikeFigures

_TOLD: Final = 0.005  # of the arrivals: a share below it is not worth a word


def sentence_of(figures: SpikeFigures, problem: str = "", window_s: float = 0.0) -> str:
    """The sentence; its last word is the verdict. `problem`: why there is no baseline to judge against;
    `window_s`: how long a recovery has to be watched to be proven.
    """
    if problem:
        return f"Not judged, since {problem}: {figures.verdict}"
    text = ", ".join(_parts(figures, window_s))
    return f"{text[0].upper()}{text[1:]}: {figures.verdict}"


def _parts(figures: SpikeFigures, window_s: float) -> Iterator[str]:
    yield _served(figures)
    for share, text in (
        (figures.shed, _shed(figures)),
        (figures.late, "left {} waiting too long"),
        (figures.hard - figures.aborted, "failed {}"),
        (figures.aborted, "had not answered {} when the run was ended"),
        (figures.throttled, "was spared {} by its clients' own throttle"),
    ):
        if share >= _TOLD * figures.arrivals and share:
            yield text.format(_percent(share / figures.arrivals))
    yield _recovery(figures, window_s)


def _served(f: SpikeFigures) -> str:
    in_time = f"served {_rate(f.goodput_per_s)} of {_rate(f.offered_per_s)} requests/s in time"
    if f.verdict == "absorbed" or f.reference_per_s is None:
        return in_time
    if f.reference == "baseline":
        return f"{in_time} ({_rate(f.reference_per_s)}/s before the spike)"
    if f.demanded_per_s and f.served_per_s is not None and f.demanded_per_s >= 0.9 * f.reference_per_s:
        return f"served {_rate(f.served_per_s)} of the {_rate(f.demanded_per_s)} requests/s it can serve"
    # The load asked for less than that.
    return f"{in_time} (it can serve {_rate(f.reference_per_s)}/s)"


def _shed(f: SpikeFigures) -> str:
    if f.shed_p99_ms is None:
        return "turned {} away"
    return f"turned {{}} away in under {_ceiling(f.shed_p99_ms)}"


def _recovery(f: SpikeFigures, window_s: float) -> str:
    if f.recovered is None:
        return f"recovery not known ({f.unknown.get('recovery_s', 'not watched')})"
    if f.recovery_s is None:
        return f"not back to normal in the {f.watched_s:.3g} s watched"
    # That no window was bad any more is not the whole of it where another row of the table says otherwise.
    fewer = ""
    if f.hysteresis is not None and f.hysteresis_bound is not None and f.hysteresis > f.hysteresis_bound:
        fewer = _percent(f.hysteresis)
    if f.recovery_s:
        after = f"back to normal after {f.recovery_s:.3g} s"
        return f"{after}, though in the end {fewer} fewer were served in time than before" if fewer else after
    if fewer:
        return f"not quite back to normal (in the end {fewer} fewer served in time than before)"
    if f.watched_s is not None and f.watched_s < window_s - SAME_S:
        return f"well in the {f.watched_s:.3g} s watched, too short to prove it"
    return "back to normal at once"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 9.95 else f"{per_s:.2g}"


def _percent(share: float) -> str:
    """In whole per cent, but never all or nothing if it was not."""
    whole = min(max(round(share * 100), 1), 100 if share == 1 else 99)
    return f"{whole} %"


def _ceiling(ms: float) -> str:
    """The next whole millisecond, or tenth of a second, above."""
    if ms >= 999:
        return f"{math.floor(ms / 100 + 1) / 10:.3g} s"
    return f"{math.floor(ms) + 1} ms"
