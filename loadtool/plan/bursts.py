"""Bursts: the arrivals of a phase squeezed into the first part of each cycle, so its mean rate is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bursts:
    """What [start_ns, end_ns) would have spread over a cycle of `cycle_ns` comes in its first `on_ns`.

    Cycles are counted from the start. The last may be cut short by the end: its burst is shorter in the same
    proportion, so that no arrival leaves the phase.
    """

    start_ns: int
    end_ns: int
    on_ns: int
    cycle_ns: int

    @property
    def factor(self) -> float:
        """Rate within a burst ÷ mean rate."""
        return self.cycle_ns / self.on_ns

    def squeezed(self, ns: int) -> int:
        """When an arrival comes that without bursts would come at this time of the phase."""
        cycles, rest = divmod(ns - self.start_ns, self.cycle_ns)
        return self.start_ns + cycles * self.cycle_ns + rest * self.on_ns // self.cycle_ns

    def spread(self, ns: int) -> float:
        """The time without bursts by which as many have come; `squeezed` backwards. At most `end_ns`."""
        cycles, rest = divmod(ns - self.start_ns, self.cycle_ns)
        within = min(rest * self.factor, self.cycle_ns)
        return min(self.start_ns + cycles * self.cycle_ns + within, float(self.end_ns))

    def is_on(self, ns: int) -> bool:
        """Whether a burst goes on at this time of the phase."""
        on = (ns - self.start_ns) % self.cycle_ns < self.on_ns
        return on and self.spread(ns) < self.end_ns

    def edges(self, most: int) -> Iterator[int]:
        """Where bursts begin and end; of more than `most` cycles, evenly chosen ones with first and last."""
        cycles = -(-(self.end_ns - self.start_ns) // self.cycle_ns)
        chosen = {cycles - 1} | {cycles * i // most for i in range(most)} if cycles > most else range(cycles)
        for cycle in sorted(chosen):
            begin = self.start_ns + cycle * self.cycle_ns
            yield begin
            yield self.squeezed(min(begin + self.cycle_ns, self.end_ns) - 1) + 1
