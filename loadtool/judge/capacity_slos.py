"""Which of a profile's SLOs can be judged at a constant rate that the search chooses, and which can't."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from loadtool.profile.slo import METRICS, Slo

_SHED: Final = "a rate at which the service turns anybody away is beyond its capacity: sheds count as errors"
_RATE: Final = "an absolute rate says nothing at rates that the search chooses"
# Metrics that are no measure of whether a rate is fine, and why.
_UNFIT: Final = {"shed rate": _SHED, "shed quantile": _SHED, "goodput": _RATE, "rate": _RATE}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An objective of the profile that the search does not judge."""

    text: str
    why: str


def slos_for(slos: Iterable[Slo], faults: Collection[str]) -> tuple[list[Slo], list[LeftOut]]:
    """The objectives without phases and aborts, each once, and those left out. `faults`: by name."""
    kept: dict[str, Slo] = {}
    left: list[LeftOut] = []
    for slo in slos:
        why = _why_not(slo, faults)
        if why:
            left.append(LeftOut(slo.text, why))
            continue
        anywhere = replace(slo, during=None, abort=False, after_ns=0)  # every step is held to its end
        kept.setdefault(str(anywhere), replace(anywhere, text=str(anywhere)))
    return list(kept.values()), left


def on_the_whole(slos: Iterable[Slo]) -> list[Slo]:
    """The objectives without their windows: what a stretch that holds none can be asked."""
    whole = [replace(slo, window_ns=None) for slo in slos]
    return [replace(slo, text=str(slo)) for slo in whole]


def _why_not(slo: Slo, faults: Collection[str]) -> str:
    if METRICS[slo.metric].part:
        return f"{slo.metric} needs a spike; a step has none"
    if slo.during in faults:
        return "faults are left out while the capacity is looked for"
    return _UNFIT.get(slo.metric, "")
