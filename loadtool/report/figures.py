"""How a number is written, once for every report.

Three significant digits, but never less than the whole part: 12.3 ms, 1.23 s, 12,345/s. A number that is
rounded says nothing that is not so: a share below 1 is never written as 100%, one above 0 never as 0%.
"""

from __future__ import annotations

import math
from typing import Final

from loadtool.units import counted

NOTHING: Final = "n/a"  # nothing was measured
INFINITE: Final = "∞"
FOOTNOTE: Final = "∞: more arrivals failed than this quantile leaves room for."

plural: Final = counted

_UNITS: Final = (" ms", " s", "/s", "%")
_SMALLEST_SHARE: Final = 0.00001


def number(value: float) -> str:
    """Three significant digits with thousands separators; whole numbers as they are."""
    if math.isinf(value):
        return INFINITE if value > 0 else f"-{INFINITE}"
    if math.isnan(value):
        return NOTHING
    size = abs(value)
    if value == int(value):
        return f"{int(value):,}"
    if size < 1e-6:
        return f"{value:.2e}"
    # The digits of the rounded number count: 9.996 is 10.0, not 10.00.
    magnitude = math.floor(math.log10(float(f"{size:.2e}")))
    return f"{value:,.{max(2 - magnitude, 0)}f}"


def count(value: int) -> str:
    """A count in full: 12,345."""
    return f"{value:,}"


def duration(ms: float | None, *, failed: bool = False, space: str = " ") -> str:
    """A length of time given in ms: 0.312 ms, 12.3 ms, 1.23 s.

    None is ∞ if `failed` ones took the quantile out of reach, else n/a.
    """
    if ms is None:
        return INFINITE if failed else NOTHING
    if math.isinf(ms) or math.isnan(ms):
        return number(ms)
    if ms and float(f"{abs(ms):.2e}") >= 1000:
        return f"{number(ms / 1000)}{space}s"
    # The clocks resolve 1 µs; further decimals would be invented.
    small = round(ms, 3)
    return f"{f'{small:.3f}' if 0 < abs(small) < 1 else number(small)}{space}ms"


def seconds(s: float | None) -> str:
    """A place on the run's time axis, to 0.1 s: 12.0 s."""
    return NOTHING if s is None else f"{s:,.1f} s"


def share(value: float | None) -> str:
    """A share of 1 in per cent: 0.0123 is 1.23%."""
    if value is None or math.isnan(value):
        return NOTHING
    if 0 < value < _SMALLEST_SHARE:
        return "<0.001%"
    text = f"{number(value * 100)}%"
    if value < 1 and text == "100%":
        return ">99.9%"
    return text


def rate(per_s: float | None) -> str:
    """Arrivals per second: 500/s."""
    return NOTHING if per_s is None else f"{number(per_s)}/s"


def ratio(value: float | None) -> str:
    """A multiple: 1.05x."""
    return NOTHING if value is None else f"{number(value)}x"


def clock(s: float) -> str:
    """Time left or gone, for people: 7s, 1m05s, 2h03m."""
    whole = max(0, math.ceil(s))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def between(low: str, high: str) -> str:
    """An interval of two figures, the unit once if they share it: `11.9 – 12.8 ms`."""
    unit = next((u for u in _UNITS if low.endswith(u) and high.endswith(u)), "")
    return f"{low.removesuffix(unit)} – {high}"
