"""The search for a service's capacity: which rate to try next, given what came of those tried so far.

Steps go up by doubling until the SLOs fail, and bisect from there. A fail next to the knee may be chance, so
it is tried again before it counts. What was found is confirmed by longer holds; once one of those fails,
short ones have shown themselves too kind (a queue takes its time to build), and only long ones count as a
pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Purpose = Literal["climb", "descend", "bisect", "repeat", "confirm", "curve"]
# found: between `holds` and `fails`; at-least: at the highest rate allowed; none: not even at the lowest;
# generator: what sends the load gave out first; unsteady: the outcomes contradict each other for too long.
Ending = Literal["found", "at-least", "none", "generator", "unsteady"]

GROWTH: Final = 2.0  # from one step up to the next
LEAST_SHARE: Final = 1 / 64  # of the first rate: below that, nothing is tried
LEAST_RATE: Final = 0.1  # arrivals/s
CEILING: Final = 1.1  # how near to what the generator can't send is near enough
LATE_TWICE: Final = 2
MULTIPLES: Final = (1.0, 1.5, 2.0)  # of the knee, at which goodput is told
_EPS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Hunt:
    """What is asked for: rates in arrivals/s from `start` to `most`, `precision` as a share of the rate."""

    start: float
    most: float
    precision: float = 0.02
    confirmations: int = 2  # long holds that the knee has to stand

    @property
    def least(self) -> float:
        """No rate below it is tried."""
        return min(self.start, max(self.start * LEAST_SHARE, LEAST_RATE))

    @property
    def usual_short(self) -> int:
        """Short steps that it takes if a service answers alike each time, and its knee is some way up."""
        return min(self._climb, 5) + self._halvings + 1

    @property
    def most_short(self) -> int:
        """Short steps, at the most."""
        return 2 * (self._climb + self._halvings) + 12

    @property
    def most_long(self) -> int:
        """Long holds, at the most."""
        return 2 * self._halvings + self.confirmations + 3

    @property
    def _climb(self) -> int:
        return math.ceil(math.log(max(self.most / self.start, 1.0), GROWTH) - _EPS) + 1

    @property
    def _halvings(self) -> int:
        return max(1, math.ceil(math.log2((GROWTH - 1) / self.precision) - _EPS))


@dataclass(frozen=True, slots=True)
class Trial:
    """A step to run: so many arrivals/s, for the short time or the long one."""

    purpose: Purpose
    rate: float

    @property
    def long(self) -> bool:
        return self.purpose == "confirm"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. `late`: the generator was not fit for that rate; of the target nothing is known."""

    trial: Trial
    holds: bool
    late: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search. `holds`: the highest rate that stood (None: none did), `fails`: the lowest that
    did not; `confirmed`: by as many long holds as were asked for.
    """

    ending: Ending
    holds: float | None
    fails: float | None
    confirmed: bool = False


def next_step(hunt: Hunt, tried: Sequence[Tried]) -> Trial | Found:
    """The next rate to try, or what is known when there is none. Depends on nothing but its arguments.

    Whatever comes of the trials, it ends within `most_short` short and `most_long` long ones, and those that
    the generator was late in.
    """
    return _Search(hunt, tried).next()


def beyond(hunt: Hunt, found: Found) -> list[Trial]:
    """Steps that show what becomes of the service past its knee; none above the highest rate allowed."""
    if found.holds is None or found.ending != "found":
        return []
    rates = (multiple * found.holds for multiple in MULTIPLES[1:])
    return [Trial("curve", rate) for rate in rates if rate <= hunt.most * (1 + _EPS)]


def so_far(tried: Sequence[Tried]) -> tuple[float | None, float | None]:
    """The highest rate that held and the lowest that failed (None: none), of a search that is not over yet.

    A rate's trials speak together, as they do for the search: one that failed and was overruled held.
    """
    return _Rates(tried).bounds()


class _Rates:
    """What the steps so far say of each rate."""

    def __init__(self, tried: Sequence[Tried]) -> None:
        self._sound = [t for t in tried if not t.late]
        self._late = [t for t in tried if t.late]
        self._rates = sorted({t.trial.rate for t in self._sound})

    def bounds(self) -> tuple[float | None, float | None]:
        """The highest rate that held, below the lowest that failed; and that one."""
        fails = self._lowest_failing()
        below = (r for r in self._rates if self._status(r) == "holds" and (fails is None or r < fails))
        return max(below, default=None), fails

    def _lowest_failing(self) -> float | None:
        return min((r for r in self._rates if self._status(r) == "fails"), default=None)

    def _status(self, rate: float) -> str:
        """What the trials at this rate say together: one long hold that fails outweighs every short one."""
        if self._count(rate, long=True, holds=False):
            return "fails"
        if self._count(rate, long=True, holds=True):
            return "holds"
        good, bad = (self._count(rate, long=False, holds=holds) for holds in (True, False))
        return "holds" if good > bad else "fails" if bad > good else "tie"

    def _count(self, rate: float, *, long: bool, holds: bool) -> int:
        return sum(t.trial.rate == rate and t.trial.long == long and t.holds == holds for t in self._sound)


class _Search(_Rates):
    """Which rate is next."""

    def __init__(self, hunt: Hunt, tried: Sequence[Tried]) -> None:
        super().__init__(tried)
        self._hunt = hunt
        self._only_long = any(t.trial.long and not t.holds for t in self._sound)

    def next(self) -> Trial | Found:
        hunt = self._hunt
        long = sum(t.trial.long for t in self._sound)
        short = len(self._sound) - long
        fails = self._lowest_failing()
        holds = max((r for r in self._rates if self._stood(r) and (fails is None or r < fails)), default=None)
        step = self._step(holds, fails)
        if isinstance(step, Trial) and not step.long and short >= hunt.most_short and fails is not None:
            step = self._confirm(holds, fails) if holds is not None else Found("unsteady", None, fails)
        if isinstance(step, Trial) and (long >= hunt.most_long if step.long else short >= hunt.most_short):
            return Found("unsteady", holds, fails)
        return step

    def _step(self, holds: float | None, fails: float | None) -> Trial | Found:
        """The same, however long it has taken already."""
        hunt = self._hunt
        for late in self._late:  # once may be chance
            if self._times_late(late.trial) < LATE_TWICE and not self._known(late.trial):
                return late.trial
        tie = next((r for r in self._rates if self._status(r) == "tie"), None)
        if tie is not None:
            return Trial("repeat", tie)
        ceiling = min((t.trial.rate for t in self._late if not self._known(t.trial)), default=None)
        if ceiling is not None and (fails is None or ceiling < fails):
            return self._below_ceiling(ceiling, holds)
        if fails is None:
            if holds is None:
                return Trial("climb", hunt.start)
            if holds >= hunt.most * (1 - _EPS):
                return self._confirm(holds, None)
            return Trial("climb", min(GROWTH * holds, hunt.most))
        if holds is None:
            return self._descend(fails)
        middle = _between(holds, fails, hunt.precision)
        if fails / holds > 1 + hunt.precision and middle is not None:
            return Trial("confirm" if self._only_long else "bisect", middle)
        if self._failed_once(fails):
            return Trial("repeat", fails)
        return self._confirm(holds, fails)

    def _confirm(self, holds: float, fails: float | None) -> Trial | Found:
        if self._count(holds, long=True, holds=True) < self._hunt.confirmations:
            return Trial("confirm", holds)
        return Found("at-least" if fails is None else "found", holds, fails, confirmed=True)

    def _below_ceiling(self, ceiling: float, holds: float | None) -> Trial | Found:
        """The generator can't send so much: is there a fail of the target's before that?"""
        if holds is None:
            lower = ceiling / GROWTH
            return Trial("descend", lower) if lower >= self._hunt.least else Found("generator", None, None)
        middle = _between(holds, ceiling, self._hunt.precision)
        if ceiling / holds <= CEILING or middle is None:
            return Found("generator", holds, None, confirmed=self._confirmed(holds))
        return Trial("confirm" if self._only_long else "bisect", middle)

    def _descend(self, fails: float) -> Trial | Found:
        least = self._hunt.least
        if fails <= least * (1 + _EPS):
            return Trial("repeat", fails) if self._failed_once(fails) else Found("none", None, fails)
        if not self._only_long:
            return Trial("descend", max(fails / GROWTH, least))
        # A long hold has failed where short ones passed: by how much they were too kind is not known.
        times = sum(t.trial.long and not t.holds for t in self._sound)
        share = max(1 - self._hunt.precision * 2.0 ** (times - 1), 1 / GROWTH)
        return Trial("confirm", max(_tidy(fails * share, self._hunt.precision), least))

    def _failed_once(self, rate: float) -> bool:
        """Whether a single short step is all that speaks against it."""
        short, long = (self._count(rate, long=long, holds=False) for long in (False, True))
        return short == 1 and not long

    def _stood(self, rate: float) -> bool:
        """Whether it counts as a pass."""
        if self._only_long and not self._count(rate, long=True, holds=True):
            return False
        return self._status(rate) == "holds"

    def _confirmed(self, rate: float) -> bool:
        return self._count(rate, long=True, holds=True) >= self._hunt.confirmations

    def _known(self, trial: Trial) -> bool:
        """Whether a trial of this rate and length was sound."""
        return any(t.trial.rate == trial.rate and t.trial.long == trial.long for t in self._sound)

    def _times_late(self, trial: Trial) -> int:
        return sum(t.trial.rate == trial.rate and t.trial.long == trial.long for t in self._late)


def _between(low: float, high: float, precision: float) -> float | None:
    """A rate in the middle of the two, short to write; None if none lies between."""
    middle = _tidy((low + high) / 2, precision)
    if not low < middle < high:
        middle = (low + high) / 2
    return middle if low < middle < high else None


def _tidy(rate: float, precision: float) -> float:
    """The rate with as few digits as change it by less than a tenth of the precision."""
    finest = rate * precision / 5
    return round(rate, -math.floor(math.log10(finest)))
