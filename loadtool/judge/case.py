"""Case: a result opened for judging, its histograms decoded once."""

from __future__ import annotations

from dataclasses import dataclass

from loadtool.errors import UsageError
from loadtool.measure.population import Cells, from_result
from loadtool.measure.result import Result
from loadtool.profile.slo import Slo, parse_slo


@dataclass(frozen=True, slots=True)
class Case:
    result: Result
    cells: Cells
    slos: tuple[Slo, ...]
    warmups: frozenset[str]  # names of the warm-up phases

    @classmethod
    def of(cls, result: Result) -> Case:
        """Raises UsageError if the result's cells or SLOs cannot be read."""
        warmups = frozenset(p.name for p in result.phases if p.role == "warmup")
        return cls(result, from_result(result), _slos(result), warmups)


def _slos(result: Result) -> tuple[Slo, ...]:
    texts = result.profile.get("slos") or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError("result: profile.slos: want a list of texts")
    lines = [*result.slo_lines, *[None] * len(texts)]
    slos = []
    for index, (text, line) in enumerate(zip(texts, lines, strict=False)):
        try:
            slos.append(parse_slo(text, line))
        except ValueError as e:
            raise UsageError(f"result: profile.slos[{index}]: {e}") from None
    return tuple(slos)
