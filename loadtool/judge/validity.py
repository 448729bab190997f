"""Validity: was it the service that was measured, or this tool and its machine (docs/accuracy.md)?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loadtool.judge.case import Case
from loadtool.judge.remedies import remedy_for
from loadtool.judge.words import counted, number, percentile
from loadtool.measure.books import in_ms
from loadtool.measure.groups import filled
from loadtool.measure.histogram import merged
from loadtool.measure.outcome import ABORTED, H_LAG, OUTCOMES
from loadtool.measure.result import Result
from loadtool.measure.summary import lag_of
from loadtool.measure.summary import late_share as share_above
from loadtool.profile.model import Validity
from loadtool.units import MILLISECOND

LAG_QUANTILE: Final = 0.99
LAG_REMEDY: Final = "fewer requests per core, --workers, a quieter machine, or a looser `validity: lag`"
# Outcomes that mean that an HTTP answer came, besides ok and shed.
_ANSWERED: Final = ("status", "check")
_ABORTED: Final = OUTCOMES[ABORTED]
_FILES: Final = "raise `ulimit -n`, or lower `client.connections`"
_PORTS: Final = "keep connections alive, lower `client.connections`, or widen the range of local ports"
_MEMORY: Final = "lower `client.connections`, or give the machine more memory"
UNRENDERED: Final = "RENDER"  # the name under which requests that could not be made are counted
# errno -> what ran out, and what helps.
_LOCAL: Final = {
    "EMFILE": ("open files", _FILES),
    "ENFILE": ("open files of the whole machine", _FILES),
    "EADDRNOTAVAIL": ("local ports", _PORTS),
    "EADDRINUSE": ("local ports", _PORTS),
    "EAGAIN": ("local ports", _PORTS),
    "ENOBUFS": ("socket buffers", _MEMORY),
    "ENOMEM": ("memory", _MEMORY),
    "ENOSPC": ("places to watch sockets from", "raise the sysctl `fs.epoll.max_user_watches`"),
}


def lag_bound_ms(result: Result) -> float:
    """The profile's `validity: lag`, or its default."""
    return Validity.model_validate(result.profile.get("validity") or {}).lag / MILLISECOND


def late_share(case: Case) -> float:
    """The share of arrivals, but those of warm-ups, that left later than the bound."""
    return share_above(lag_of(case.cells, case.warmups), lag_bound_ms(case.result))


def invalidities(case: Case) -> list[str]:
    """Why the run proves nothing about the service, each with its figures and a remedy; empty if it does."""
    result = case.result
    return [*result.problems, *_faults(result), *_generator(result), *_answers(case), *_lags(case)]


def generator_limits(case: Case) -> list[str]:
    """Those of them that are this tool's or its machine's doing."""
    return [*case.result.problems, *_generator(case.result), *_lags(case)]


def no_answer(case: Case) -> str | None:
    """That no HTTP answer came in the whole run, with what came instead; None if one did."""
    return next(_answers(case), None)


def _faults(result: Result) -> Iterator[str]:
    """Faults that could not be placed or removed, unless `problems` says so already."""
    for fault in result.faults:
        said = any(fault.name in problem for problem in result.problems)
        if fault.problem and not said:
            yield f"fault {fault.name}: {fault.problem}"
        elif fault.started_s is None and not said and not (result.interrupted or result.aborted):
            yield f"fault {fault.name} was never placed: see that its proxy is there, and run again"
        elif fault.started_s is not None and not fault.removed and not said:
            yield f"fault {fault.name} may still be active: remove it with `loadtool chaos recover`"


def _generator(result: Result) -> Iterator[str]:
    generator = result.generator
    said = any(problem.startswith("worker ") for problem in result.problems)  # and how each ended
    if generator.workers_lost and not said:
        lost = result.totals.errors.get("lost", 0)
        yield (
            f"{counted(generator.workers_lost, 'worker')} of {result.engine.workers} died, "
            f"with {counted(lost, 'arrival')} unaccounted for: look in the system's log for what killed them "
            "(often too little memory), and run again"
        )
    for name, times in sorted(generator.local.items()):
        if name == UNRENDERED:
            yield (
                f"{counted(times, 'request')} could not be made, so never sent: see the example of `unsent`, "
                "and mend the template or its data"
            )
            continue
        yield lacking("this machine", name, times)


def lacking(who: str, name: str, times: int | None = None) -> str:
    """That it ran out of what the system calls `name` (EMFILE), with a remedy."""
    what, remedy = _LOCAL.get(name, ("a resource", "free it, or use a bigger machine"))
    named = name if times is None else f"{name}, {counted(times, 'time')}"
    return f"{who} ran out of {what} ({named}): {remedy}"


def _answers(case: Case) -> Iterator[str]:
    result, totals = case.result, case.result.totals
    if totals.ok + totals.shed + sum(totals.errors.get(kind, 0) for kind in _ANSWERED):
        return
    if result.interrupted is not None and _too_early(case):
        return
    target = result.profile.get("target", "the target")
    if not totals.scheduled:
        yield "no HTTP answer in the whole run: no arrival was due; raise a phase's `rate` or its `for`"
        return
    kind = max(totals.errors, key=lambda k: totals.errors[k], default="")
    detail = next((e["detail"] for e in result.examples if e.get("kind") == kind and e.get("detail")), "")
    tls = (result.profile.get("client") or {}).get("tls") or {}
    remedy = remedy_for(detail, ca=bool(tls.get("ca")), cert=bool(tls.get("cert")))
    remedy = remedy or f"see that {target} is up and reachable from here"
    yield (
        f"no HTTP answer in the whole run: {totals.errors.get(kind, 0):,} of {totals.scheduled:,} ended as "
        f"{kind}{detail and f', {detail}'}; {remedy}"
    )


def _too_early(case: Case) -> bool:
    """Whether the run ended before any arrival could have been missing its answer."""
    result = case.result
    if result.totals.errors.get(_ABORTED, 0) < result.totals.scheduled:
        return False
    return not any(s.scheduled for s in result.series if s.t + result.slice_s <= case.late_s)


def _lags(case: Case) -> Iterator[str]:
    bound = lag_bound_ms(case.result)
    used = {
        (slo.quantile, frozenset(group.phase for group in case.coverage.of(slo)))
        for slo in case.slos
        if slo.quantile is not None
    }
    for phase in case.result.phases:
        if phase.name in case.warmups:
            continue
        # p99, or the highest quantile that an SLO uses on arrivals of this phase.
        q = max([LAG_QUANTILE, *(quantile for quantile, phases in used if phase.name in phases)])
        lag = merged(p.histogram(H_LAG) for _, p in filled(case.coverage.groups.in_phases(phase.name)))
        value = in_ms(lag.quantile(q))
        if value is not None and value > bound:
            yield (
                f"the generator was late in {phase.name}: send lag {percentile(q)} was {number(value)} ms, "
                f"over {number(bound)} ms: {LAG_REMEDY}"
            )
