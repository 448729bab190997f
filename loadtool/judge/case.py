"""Case: a result opened for judging, its histograms decoded once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from loadtool.errors import UsageError
from loadtool.judge.coverage import Coverage
from loadtool.measure.groups import Groups, filled
from loadtool.measure.outcome import ABORTED, OUTCOMES
from loadtool.measure.population import Cells, from_result
from loadtool.measure.result import Result
from loadtool.profile.environment import unescape
from loadtool.profile.slo import Slo, parse_slo

_ABORTED: Final = OUTCOMES[ABORTED]


@dataclass(frozen=True, slots=True)
class Case:
    result: Result
    cells: Cells
    slos: tuple[Slo, ...]
    warmups: frozenset[str]  # names of the warm-up phases
    coverage: Coverage = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coverage", Coverage(Groups.of(self.cells), self.warmups))

    @classmethod
    def of(cls, result: Result) -> Case:
        """Raises UsageError if the result's cells or SLOs cannot be read."""
        warmups = frozenset(p.name for p in result.phases if p.role == "warmup")
        return cls(result, from_result(result), _slos(result), warmups)

    @property
    def ended_early(self) -> bool:
        """Whether somebody, or an SLO, has ended the run: what was aborted then is nobody's failure."""
        return self.result.interrupted is not None or self.result.aborted is not None

    @property
    def aborted(self) -> int:
        """Arrivals that were under way when the run ended."""
        return sum(population.aborted for population in self.cells.values())

    @property
    def late_s(self) -> float:
        """Up to when (s) what was due can't have been good any more when the run ended."""
        return self.result.end_s - self.result.good_within_ms / 1000

    def hopeful(self) -> Counter[str]:
        """Arrivals, by phase, that the end has aborted and that could still have been good.

        What was due in a step that ended `good_within` before the run did could not.
        """
        hopeful: Counter[str] = Counter()
        for step in self.result.steps:
            if step.end_s > self.late_s:
                hopeful[step.phase] += step.errors.get(_ABORTED, 0)
        return hopeful

    def at_best(self) -> Case:
        """The same run, had all been good that was hopeful. Times remain unknown."""
        result, hopeful = self.result, self.hopeful()
        steps = []
        for step in result.steps:
            aborted = step.errors.get(_ABORTED, 0) if step.end_s > self.late_s else 0
            errors = {kind: n for kind, n in step.errors.items() if not aborted or kind != _ABORTED}
            steps.append(replace(step, errors=errors, ok=step.ok + aborted, good=step.good + aborted))
        cells = dict(self.cells)
        for key, population in filled(self.coverage.groups.all):
            good = min(population.aborted, hopeful[key.phase])
            hopeful[key.phase] -= good
            cells[key] = population.had_been_good(good)
        return replace(self, cells=cells, result=replace(result, steps=steps))


def _slos(result: Result) -> tuple[Slo, ...]:
    texts = result.profile.get("slos") or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError("result: profile.slos: want a list of texts")
    lines = [*result.slo_lines, *[None] * len(texts)]
    slos = []
    for index, (text, line) in enumerate(zip(texts, lines, strict=False)):
        try:
            slos.append(parse_slo(unescape(text), line))
        except ValueError as e:
            raise UsageError(f"result: profile.slos[{index}]: {e}") from None
    return tuple(slos)
