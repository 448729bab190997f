"""Groups: the cells of a run found by phase, fault and request, without a look at all of them.

A profile of many phases, faults and requests has a hundred thousand cells, most of which hold nothing. What
is asked of them is asked for each phase, request and SLO.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from loadtool.measure.books import EVERY_CLASS
from loadtool.measure.population import CellKey, Cells, Population


@dataclass(slots=True)
class Group:
    """The cells of the stretches of a phase during which the same faults were planned active."""

    phase: str
    faults: tuple[str, ...]
    seconds: float  # that they have in common
    requests: Collection[str]  # whose cells they are
    filled: dict[str, Population]  # by request: those that hold anything


class Groups:
    """All of a run, each phase and set of faults once."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self.all = tuple(groups)
        self._by_phase: dict[str, list[Group]] = {}
        self._by_fault: dict[str, list[Group]] = {}
        for group in self.all:
            self._by_phase.setdefault(group.phase, []).append(group)
            for fault in dict.fromkeys(group.faults):
                self._by_fault.setdefault(fault, []).append(group)

    @classmethod
    def of(cls, cells: Cells) -> Groups:
        """Those of these cells, which are shared: read only."""
        groups: dict[tuple[str, tuple[str, ...]], Group] = {}
        requests: dict[tuple[str, tuple[str, ...]], set[str]] = {}
        for (phase, faults, request), population in cells.items():
            place = phase, faults
            if (group := groups.get(place)) is None:
                requests[place] = set()
                group = groups[place] = Group(phase, faults, 0.0, requests[place], {})
            group.seconds = population.seconds
            requests[place].add(request)
            if population.holds_anything:
                group.filled[request] = population
        return cls(groups.values())

    def in_phases(self, *names: str) -> list[Group]:
        """Those of the phases of these names."""
        return [group for name in dict.fromkeys(names) for group in self._by_phase.get(name, ())]

    def under(self, fault: str) -> list[Group]:
        """Those of any phase with this fault."""
        return self._by_fault.get(fault, [])


def filled(groups: Iterable[Group], request: str | None = None) -> Iterator[tuple[CellKey, Population]]:
    """Their cells that hold anything, of all requests or of one."""
    for group in groups:
        if request is None:
            for name, population in group.filled.items():
                yield CellKey(group.phase, group.faults, name), population
        elif (found := group.filled.get(request)) is not None:
            yield CellKey(group.phase, group.faults, request), found


def pooled(
    groups: Collection[Group], request: str | None = None, classes: Collection[int] = EVERY_CLASS
) -> Population:
    """What `pool` says of all their cells, or of those of one request: empty ones count for their time."""
    total = Population()
    for _, population in filled(groups, request):
        total.add(population, classes)
    total.seconds = math.fsum(g.seconds for g in groups if request is None or request in g.requests)
    return total
