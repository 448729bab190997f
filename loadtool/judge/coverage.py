"""Coverage: what each SLO is about, found without a look at all cells, and pooled once for all that ask."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator

from loadtool.measure.groups import Group, Groups, filled, pooled
from loadtool.measure.population import CellKey, Population
from loadtool.profile.slo import Slo


class Coverage:
    """Of cells that stay as they are: SLOs on the same arrivals share one pool."""

    def __init__(self, groups: Groups, warmups: Container[str]) -> None:
        """`warmups`: names of the warm-up phases."""
        self.groups = groups
        self.judged = [group for group in groups.all if group.phase not in warmups]
        self._pools: dict[tuple[str | None, str | None, tuple[int, ...]], Population] = {}

    def of(self, slo: Slo) -> list[Group]:
        """Those with the cells that an SLO is about; of their requests it may be about one.

        `during` names a phase, or else a fault: the stretches of any phase in which it was planned active.
        Without it, all phases but warm-ups, pooled.
        """
        if slo.during is None:
            found = self.judged
        else:
            found = self.groups.in_phases(slo.during) or self.groups.under(slo.during)
        return found if slo.request is None else [g for g in found if slo.request in g.requests]

    def cells(self, slo: Slo) -> Iterator[tuple[CellKey, Population]]:
        """Its cells that hold anything."""
        return filled(self.of(slo), slo.request)

    def pool(self, slo: Slo, classes: Collection[int]) -> Population:
        """The sum of its cells, with their values of these classes; to be read only."""
        asked = slo.during, slo.request, tuple(classes)
        if (known := self._pools.get(asked)) is None:
            known = self._pools[asked] = pooled(self.of(slo), slo.request, classes)
        return known
