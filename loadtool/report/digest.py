"""What every report says of a Result, in words and formatted figures; each report lays it out in its own way.

Nothing here is escaped: texts are as they stand in the Result.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from loadtool.measure.result import FaultFigure, Figures, Probe, Result
from loadtool.profile.environment import unescape
from loadtool.report import figures, gauges, slos

SYMBOLS: Final = {"pass": "✓", "fail": "✗", "inconclusive": "?", "invalid": "!", "interrupted": "■"}
MOST_REASONS: Final = 12  # told under the verdict
DISTRUSTED: Final = ("invalid", "interrupted")  # verdicts under which a passed SLO proves nothing


def name(result: Result) -> str:
    return unescape(str(result.profile.get("name", "run")))


def target(result: Result) -> str:
    return unescape(str(result.profile.get("target", "")))


def headline(result: Result) -> str:
    """The verdict in one sentence, without the run's name and the verdict's own word."""
    total = len(result.slos)
    failed = sum(s.status == "fail" for s in result.slos)
    open_ = sum(s.status == "inconclusive" for s in result.slos)
    match result.verdict:
        case "pass":
            met = {0: "the profile has no SLOs", 1: "its SLO was met", 2: "both SLOs were met"}
            return f"{met.get(total, f'all {total} SLOs were met')}."
        case "fail":
            return f"{failed} of {figures.plural(total, 'SLO')} {_be(failed)} not met."
        case "inconclusive":
            return f"no SLO failed, but {open_} of {figures.plural(total, 'SLO')} could not be decided."
        case "invalid":
            return "this run proves nothing about the target."
        case "interrupted":
            cut = "interrupted after its load" if result.interrupted_after_load else "cut short"
            return f"{cut}, and so never a pass."
    return "this result has not been judged."


def is_invalid(result: Result) -> bool:
    """Whether it proves nothing about the target, to its end or not.

    The reasons of an interrupted run are that it was, and then what makes it invalid.
    """
    return result.verdict == "invalid" or (result.verdict == "interrupted" and len(result.reasons) > 1)


def _be(n: int) -> str:
    return "was" if n == 1 else "were"


def reasons(result: Result) -> list[str]:
    """Why the verdict is what it is, then problems that the judge has not already named; warnings come last.

    That every SLO was met is said by the headline. Of very many the first are told, since the tables have
    them all.
    """
    judged = [] if result.verdict == "pass" else result.reasons
    every = [*judged, *(p for p in result.problems if p not in judged)]
    if len(every) > MOST_REASONS:
        every = [*every[: MOST_REASONS - 1], f"and {figures.count(len(every) - MOST_REASONS + 1)} more"]
    return [*every, *(f"{warning} (the verdict does not depend on it)" for warning in result.warnings)]


def conservation(result: Result) -> str:
    """Where every arrival went: scheduled = ok + shed + errors."""
    t = result.totals
    errors = sum(t.errors.values())
    return (
        f"{figures.count(t.scheduled)} scheduled = {figures.count(t.ok)} ok + {figures.count(t.shed)} shed"
        f" + {figures.plural(errors, 'error')}"
    )


def clients(result: Result) -> str:
    """What clients that try again or hold back did; "" if they do neither."""
    t, told = result.totals, result.totals.client
    tries, holds = (_policy(result, key) for key in ("retries", "throttle"))
    if not (tries or holds or told.get("retries") or told.get("throttled")):
        return ""
    ratio = f" ({figures.ratio(t.attempts / t.scheduled)})" if t.scheduled else ""
    parts = [f"{figures.plural(t.attempts, 'attempt')} at {figures.plural(t.scheduled, 'arrival')}{ratio}"]
    if tries:
        parts.append(figures.plural(told.get("retries", 0), "retry", "retries"))
    if exhausted := told.get("exhausted", 0):
        parts.append(f"budget exhausted {figures.plural(exhausted, 'time')}")
    held = [
        figures.plural(n, *words)
        for n, words in (
            (told.get("throttled", 0), ("arrival",)),
            (told.get("withheld", 0), ("retry", "retries")),
        )
        if n
    ]
    if held:
        parts.append(f"{' and '.join(held)} held back by the clients' throttle")
    return ", ".join(parts)


def _policy(result: Result, key: str) -> bool:
    """Whether the profile's client has this policy, and not the one that is called none."""
    client = result.profile.get("client")
    described = client.get(key) if isinstance(client, dict) else None
    return isinstance(described, dict) and described.get("policy", "none") != "none"


def quantile(of: Figures, value: float | None) -> str:
    """A quantile of `latency_ms`, which failed arrivals lift to infinity."""
    return figures.duration(value, failed=value is None and of.scheduled > of.shed)


def unbounded(result: Result) -> bool:
    """Does an ∞ stand anywhere in the tables, so that the footnote is needed?"""
    shown = ("p50", "p90", "p99")
    tables: Iterable[Figures] = (*result.phases, *result.requests)
    return any(
        getattr(f.latency_ms, q) is None and f.scheduled > f.shed for f in tables for q in shown
    ) or any(slos.value(s) == figures.INFINITE for s in result.slos if s.metric != "recovery")


@dataclass(frozen=True, slots=True)
class ErrorRow:
    kind: str
    n: int
    of_all: float  # share of the scheduled arrivals
    request: str
    due_s: float | None
    detail: str


def errors(result: Result) -> list[ErrorRow]:
    """Errors by kind, most frequent first, each with its example if there is one."""
    examples = {str(e.get("kind")): e for e in reversed(result.examples)}
    rows = []
    for kind, n in sorted(result.totals.errors.items(), key=lambda e: (-e[1], e[0])):
        if not n:
            continue
        e = examples.get(kind, {})
        due = e.get("due_s")
        of_all = n / max(result.totals.scheduled, 1)
        rows.append(ErrorRow(kind, n, of_all, str(e.get("request", "")), due, str(e.get("detail", ""))))
    return rows


def window(fault: FaultFigure, elapsed_s: float) -> tuple[float, float] | None:
    """When the fault was really in place, in s; None if it never was."""
    if fault.started_s is None:
        return None
    return fault.started_s, fault.latest_end(elapsed_s)


def planned(fault: FaultFigure) -> str:
    if len(fault.planned_s) != 2:
        return figures.NOTHING
    return figures.between(*(figures.seconds(s) for s in fault.planned_s))


def actual(fault: FaultFigure) -> str:
    if fault.started_s is None:
        return "never placed"
    ended = "?" if fault.ended_s is None else f"{fault.ended_s:.2f} s"
    return figures.between(f"{fault.started_s:.2f} s", ended)


def removal(fault: FaultFigure) -> str:
    """What has become of it; in capitals if it may still be there."""
    done = "undone" if fault.toxic == "run" else "removed"
    if fault.started_s is None and (fault.removed or not fault.problem):
        return "nothing to remove"
    return done if fault.removed else f"NOT {done.upper()}"


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """Probes of one name inside one fault's window, or outside all of them (`fault` is None); ms."""

    name: str
    fault: str | None
    n: int
    failed: int
    least: float | None
    median: float | None
    most: float | None


def probes(result: Result) -> list[ProbeRow]:
    """How the probes fared outside the faults, then during each: those that were under way in its window."""
    times: dict[str, list[tuple[float, float]]] = {}  # a fault may come more than once
    for fault in result.faults:
        if (w := window(fault, result.elapsed_s)) is not None:
            times.setdefault(fault.name, []).append(w)
    every = _Windows(w for of_one in times.values() for w in of_one)
    windows = {name: _Windows(of_one) for name, of_one in times.items()}
    rows = []
    told_of_elsewhere = set(gauges.names(result))
    asked: dict[str, list[Probe]] = {}
    for p in result.probes:
        if not p.after and p.name not in told_of_elsewhere:
            asked.setdefault(p.name, []).append(p)
    for probe, mine in asked.items():
        rows.append(_probe_row(probe, None, [p for p in mine if not every.felt_by(p)]))
        rows += [_probe_row(probe, name, [p for p in mine if w.felt_by(p)]) for name, w in windows.items()]
    return rows


class _Windows:
    """Stretches of time from a start to an end, in s: a day of probes is looked up in hundreds of them."""

    def __init__(self, windows: Iterable[tuple[float, float]]) -> None:
        ordered = sorted(windows)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((end for _, end in ordered), max))  # the latest of those so far

    def felt_by(self, probe: Probe) -> bool:
        """A probe that was asked before a fault and answered in it has felt it."""
        answered = probe.t + (probe.ms or 0.0) / 1000
        begun = bisect_right(self._starts, answered)
        return begun > 0 and probe.t < self._ends[begun - 1]


def _probe_row(probe: str, fault: str | None, taken: Sequence[Probe]) -> ProbeRow:
    ms = [p.ms for p in taken if p.ok and p.ms is not None]
    failed = sum(not p.ok for p in taken)
    if not ms:
        return ProbeRow(probe, fault, len(taken), failed, None, None, None)
    return ProbeRow(probe, fault, len(taken), failed, min(ms), statistics.median(ms), max(ms))


def _spoken(result: Result) -> str:
    """The transport, and the protocol that the profile asks of it where it has more than one."""
    if result.engine.transport == "http1":
        return "http1"
    client = result.profile.get("client")
    http2 = isinstance(client, dict) and client.get("http2")
    return f"{result.engine.transport}, {'HTTP/2' if http2 else 'HTTP/1.1'}"


def health(result: Result) -> list[tuple[str, str]]:
    """How the load generator itself fared: label and text."""
    g, e = result.generator, result.engine
    lag = " · ".join(f"{q} {figures.duration(g.lag_ms.get(q))}" for q in ("p50", "p99", "max"))
    late = f"{figures.share(g.late_share)} of arrivals late" if g.late_share else "no arrival late"
    rows = [("send lag", f"{lag}; {late}")]
    lost = f", {g.workers_lost} LOST" if g.workers_lost else ""
    workers = (
        f"{figures.plural(e.workers, 'process', 'processes')} on {figures.plural(e.cores, 'usable core')}"
    )
    busiest = f"; busiest at {figures.share(g.cpu_share)} of a core" if g.cpu_share else ""
    rows.append(("workers", f"{workers}{lost}{busiest}"))
    build = "compiled" if e.compiled else "plain Python"
    rows.append(("engine", f"transport {_spoken(result)}, {build}, loadtool {result.loadtool}"))
    if e.toxiproxy:
        rows.append(("toxiproxy", e.toxiproxy))
    if g.unsent:
        rows.append(("unsent", f"{figures.plural(g.unsent, 'arrival')} timed out before they left"))
    if g.retried:
        rows.append(
            (
                "sent again",
                f"{figures.plural(g.retried, 'request')} whose reused connection ended just then",
            )
        )
    if g.local:
        ran_out = ", ".join(f"{what} {figures.count(n)} times" for what, n in sorted(g.local.items()))
        rows.append(("ran out of", ran_out))
    return rows
