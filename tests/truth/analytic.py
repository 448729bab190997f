"""Response times that follow from arithmetic: constant arrivals, a fixed service time and one stall.

Arrivals are due at k/r (k = 0, 1, … below r·T), each is served for s without waiting for the others, and for
a time d from t0 on nothing moves, somewhere. A response time counts from due to done.

**A, the server is frozen.** What is due in [t0, t0+d) reaches it, but is read only at t0+d and answered at
t0+d+s: its response time t0+d−due+s lies in (s, d+s]. What is in service has its answer due at due+s; if
that is in the stall, the answer leaves at its end, after t0+d−due. Everything else takes s.

**B, the load generator is frozen.** What is due in the stall is sent at t0+d and answered at t0+d+s. An
answer that comes in the stall is read at its end. So every response time is the same as in A; whose fault it
was shows in the send lag alone.

**Closed form.** r·d arrivals are due in the stall. With m = min(s, d), r·m others have their answers due in
it, and response times in (d+s−m, d+s]. Both kinds are spread evenly, so that for s ≤ x < d+s

    N(x) = r·(d+s−x) + r·min(m, d+s−x)

arrivals take longer than x. The quantile q is where N(x) = (1−q)·r·T. With h = (1−q)·T, the time in which as
many arrivals are due:

    x = d + s − h/2      if h < 2m         (among both kinds)
    x = d + s + m − h    if 2m ≤ h < d+m   (only what was due in the stall is as slow)
    x = s                otherwise

The mean is s plus the integral of N(x)/(r·T) from s to d+s: s + (d²/2 + m·d − m²/2)/T.

For s = 5 ms, d = 1 s and T = 20 s: p50 and p90 5 ms, p99 810 ms, p99.9 990 ms, mean 30.25 ms, at any rate.
A real run has whole arrivals: `response_times` takes them one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

QUANTILES = {"p50": "0.5", "p90": "0.9", "p99": "0.99", "p99.9": "0.999"}
FIGURES = (*QUANTILES, "mean")


def closed_form(service: float, stall: float, length: float) -> dict[str, float]:
    """FIGURES for any rate, in the unit of the arguments (s, d, T)."""
    held = min(service, stall)
    found = {}
    for name, q in QUANTILES.items():
        slower = (1 - float(q)) * length
        if slower < 2 * held:
            found[name] = stall + service - slower / 2
        elif slower < stall + held:
            found[name] = stall + service + held - slower
        else:
            found[name] = service
    found["mean"] = service + (stall**2 / 2 + held * stall - held**2 / 2) / length
    return found


def response_time(due: float, service: float, stalled: tuple[float, float] | None) -> float:
    """From due to done of one arrival; `stalled`: from when to when, on the same clock as `due`."""
    begin, end = stalled or (math.inf, math.inf)
    answer = (end if begin <= due < end else due) + service
    return (end if begin <= answer < end else answer) - due


def response_times(
    rate: float, number: int, service: float, stalled: tuple[float, float] | None
) -> list[float]:
    """Of each of `number` arrivals at `rate` per unit of time; times count from the first one's due time."""
    return [response_time(k / rate, service, stalled) for k in range(number)]


def figures(times: Sequence[float]) -> dict[str, float]:
    """FIGURES of these samples; the quantile q of n samples is the ⌈q·n⌉-th smallest."""
    ordered = sorted(times)
    found = {n: ordered[math.ceil(Fraction(q) * len(ordered)) - 1] for n, q in QUANTILES.items()}
    return {**found, "mean": math.fsum(ordered) / len(ordered)}
