"""SlowArrival: a module of its own, since results are read into it, which compiled classes do not allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOWEST: Final = 10  # arrivals that are named, of a run that is traced


@dataclass(slots=True)
class SlowArrival:
    """One of the slowest arrivals, by the id under which the target's traces have it."""

    trace: str
    request: str
    due_s: float
    ms: float  # from due to done
    outcome: str
