"""The steady state as reports tell of it: what held during the run, and whether it did afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from loadtool.measure.result import Result
from loadtool.profile.environment import unescape
from loadtool.report import figures


@dataclass(frozen=True, slots=True)
class SteadyRow:
    """One check. `well` is how it was afterwards, None if it was not asked then."""

    name: str
    during: str
    afterwards: str
    well: bool | None


def rows(result: Result) -> list[SteadyRow]:
    """The checks of `steady_state:`, in the profile's order; before the run all of them held."""
    checks = result.profile.get("steady_state") or []
    return [_row(result, unescape(str(check["name"]))) for check in checks]


def _row(result: Result, name: str) -> SteadyRow:
    answers = [p for p in result.probes if p.name == name]
    during = [p for p in answers if not p.after]
    failed = [p for p in during if not p.ok]
    told = f"{figures.count(len(failed))} of {figures.count(len(during))} failed"
    if failed:
        told += f", the first at {figures.seconds(failed[0].t)}: {failed[0].detail}"
    after = next((p for p in answers if p.after), None)
    if after is None:
        return SteadyRow(name, told, "not asked", None)
    if not after.ok:
        return SteadyRow(name, told, f"NOT BACK: {after.detail}", False)
    return SteadyRow(name, told, "came back" if failed else "steady", True)
