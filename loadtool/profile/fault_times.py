"""When a fault is active: what is wrong between its `at`, `for`, `until`, `every` and `ramp`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from loadtool import units
from loadtool.errors import got
from loadtool.profile.model import Fault, Phase
from loadtool.profile.moment import MOST_WINDOWS, fault_end, parse_moment, run_length, windows

TIMES: Final = ("at", "for", "until", "every", "ramp")  # the keys that say when

show = units.format_duration


def timing_flaws(fault: Fault, phases: Sequence[Phase]) -> Iterator[tuple[str, str]]:
    """Each the key that it is about, and what is wrong. Its moments are of these phases; `at` lies within."""
    run, end = run_length(phases), fault_end(fault, phases)
    start = max(parse_moment(text).since_start(phases) for text in fault.at)
    limit = "the run ends" if fault.until is None else f"`until` is {fault.until},"
    if fault.until is not None and not start < end <= run:
        want = f"after it begins, at {show(start)}, and up to the run's end at {show(run)}"
        yield "until", f"{fault.until} is {show(end)} into the run; want a moment {want}"
    elif fault.for_ is not None and start + fault.for_ > end:
        want = f"at most {show(end - start)}, since {limit} at {show(end)}"
        yield "for", got(show(fault.for_), f"{want}; or leave it out" if fault.every is None else want)
    elif fault.every is not None and fault.for_ is not None:
        times = (end - fault.for_ - start) // fault.every + 1
        if fault.every <= fault.for_:
            want = f"more than its `for`, {show(fault.for_)}: each time ends before the next begins"
            yield "every", got(show(fault.every), want)
        elif times > MOST_WINDOWS:
            yield "every", f"{got(show(fault.every), f'at most {MOST_WINDOWS} times')}, and this is {times:,}"
    else:
        yield from _overlaps(fault, phases)
    shortest = min((stop - begin for begin, stop in windows(fault, phases)), default=0)
    if fault.ramp is not None and 0 < shortest < fault.ramp:
        yield "ramp", got(show(fault.ramp), f"at most as long as the fault lasts, {show(shortest)}")


def _overlaps(fault: Fault, phases: Sequence[Phase]) -> Iterator[tuple[str, str]]:
    for (start, end), (again, _) in pairwise(windows(fault, phases)):
        if again <= end:
            message = f"it begins again at {show(again)} and has to end before: from {show(start)} on"
            yield "at", f"{message} it lasts {show(end - start)}"
            return
