"""What an objective on a spike, or in windows, asks of the profile's phases (docs/slos.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loadtool.errors import got
from loadtool.profile.model import Phase
from loadtool.profile.slo import METRICS, Slo
from loadtool.units import format_duration


@dataclass(slots=True)
class _Spike:
    """Names of the phases of a spike and of its recovery; `baseline`: whether one comes before."""

    baseline: bool
    spike: list[str] = field(default_factory=list)
    recovery: list[str] = field(default_factory=list)


def spike_flaws(slo: Slo, phases: Sequence[Phase]) -> Iterator[str]:
    """What is wrong with the objective, given all phases of the run; nothing for one that is not on a spike.

    Whether what `during` names exists is not looked at.
    """
    row = METRICS[slo.metric]
    if not row.part:
        return
    if slo.request is not None:
        yield f"{slo.metric} is over all requests; leave out `for`"
    spikes = _spikes(phases)
    if not spikes:
        yield f"{slo.metric} needs a spike; give a phase role: spike"
        return
    roles = {phase.name: phase.role for phase in phases}
    if slo.during is not None:
        wanted = [name for name, role in roles.items() if role in row.during]
        if slo.during not in wanted:
            want = f"a phase of a {' or '.join(row.during)}: {', '.join(wanted)}"
            yield f"{slo.metric} during: {got(slo.during, want)}"
            return
        spikes = [s for s in spikes if slo.during in (*s.spike, *s.recovery)]
        if not spikes:
            yield f"{slo.metric} during: {slo.during} follows no spike"
            return
    judged = [s for s in spikes if s.baseline]
    if not judged:
        names = "+".join(spikes[0].spike)
        yield f"{slo.metric} needs a baseline; put a phase with role: baseline before {names}"
    elif row.part == "recovery" and not any(s.recovery for s in judged):
        names = "+".join(judged[0].spike)
        yield f"{slo.metric} needs a recovery; put a phase with role: recovery after {names}"


def _spikes(phases: Sequence[Phase]) -> list[_Spike]:
    spikes: list[_Spike] = []
    baseline = False
    before = ""
    for phase in phases:
        if phase.role == "spike":
            if before != "spike":
                spikes.append(_Spike(baseline))
            spikes[-1].spike.append(phase.name)
        elif phase.role == "recovery" and spikes:
            spikes[-1].recovery.append(phase.name)
        baseline = baseline or phase.role == "baseline"
        before = phase.role
    return spikes


def window_flaws(slo: Slo, lengths: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with a window or an abort. `lengths`: how long each phase lasts, in ns."""
    row = METRICS[slo.metric]
    if slo.abort and not row.abort:
        yield f"{slo.metric} is known only when the run has ended; leave out abort"
    if slo.window_ns is None:
        return
    if not row.windows:
        able = ", ".join(f"{m.prefix} p99".strip() if m.quantile else m.prefix for m in _WINDOWED)
        yield f"{slo.metric} is not known by the second; in any goes with {able}"
    if slo.request is not None:
        yield "in any is over all requests; leave out `for`"
    length = lengths.get(slo.during or "")
    if length is not None and length < slo.window_ns:
        got_ = format_duration(slo.window_ns)
        yield f"in any: got {got_}, want at most the {format_duration(length)} of {slo.during}"


_WINDOWED = [row for row in METRICS.values() if row.windows]
