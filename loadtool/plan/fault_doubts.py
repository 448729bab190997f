"""What a profile's faults do that its writer may not have meant: see `plan/doubts.py`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Final

from loadtool.plan.job import FaultWindow, Job
from loadtool.plan.places import Place
from loadtool.units import MILLISECOND, format_duration, format_share

if TYPE_CHECKING:
    from loadtool.profile.load import Loaded
    from loadtool.profile.model import Fault, Profile

# A call to Toxiproxy takes a few milliseconds, and tens of them on a busy machine.
LEAST_FAULT_NS: Final = 100 * MILLISECOND
# A call to Toxiproxy is given up after 5 s, and tried again a few times.
LONGEST_RESET_MS: Final = 4000

Doubt = tuple[Place, str]


def fault_doubts(job: Job, loaded: Loaded) -> Iterator[Doubt]:
    """Each with its place."""
    for find in (_toxicity, _ramps, _rolls, _resets, _short_faults, _commands):
        yield from find(job, loaded.profile)


def _toxicity(job: Job, profile: Profile) -> Iterator[Doubt]:
    for i, fault in enumerate(profile.faults):
        if fault.proxy is None or fault.toxicity >= 1:
            continue
        share = format_share(fault.toxicity)
        if profile.proxies[fault.proxy].upstream != "target":
            remedy = "how many requests that is depends on how the service reuses its connections"
        elif profile.client.keepalive:
            remedy = "client: {keepalive: false} rolls it for each request"
        else:
            continue
        message = f"{share} is rolled once per connection, not per request, so {share} of connections are hit"
        yield ("faults", i, "toxicity"), f"{message}; {remedy}"


def _ramps(job: Job, profile: Profile) -> Iterator[Doubt]:
    for i, fault in enumerate(profile.faults):
        if fault.ramp is not None and fault.toxicity < 1:
            message = (
                "a ramp updates the toxic again and again, and each time a Toxiproxy that is not the "
                f"embedded one rolls anew which {format_share(fault.toxicity)} of the connections are hit"
            )
            yield ("faults", i, "ramp"), f"{message}; leave out the ramp or the toxicity"
        if fault.ramp is not None and fault.toxic == "bandwidth":
            # Its Go code cuts what it holds back by the rate of that moment, which may be more than there is.
            message = (
                "a bandwidth that grows while it holds answers back can crash a Toxiproxy that is not the "
                "embedded one, and the run is invalid then"
            )
            remedy = "leave out the ramp, or start `loadtool toxiproxy` and give its URL with --toxiproxy"
            yield ("faults", i, "ramp"), f"{message}; {remedy}"


def _rolls(job: Job, profile: Profile) -> Iterator[Doubt]:
    """A real Toxiproxy starts the toxic before one that comes or goes again, and rolls its toxicity then."""
    for i, fault in enumerate(profile.faults):
        if fault.toxic is None or fault.toxicity >= 1:
            continue
        windows = [window for window in job.faults if window.name == fault.name]
        names = [
            other.name
            for other in profile.faults
            if other is not fault
            and other.toxic is not None
            and _stream(profile, other) == _stream(profile, fault)
            and any(_comes_behind(w, v) for w in windows for v in job.faults if v.name == other.name)
        ]
        if names:
            *others, last = names
            who = f"{', '.join(others)} and {last} begin or end" if others else f"{last} begins or ends"
            message = (
                f"where {who} during {fault.name}, on the same proxy and stream, a Toxiproxy that is not the "
                f"embedded one rolls anew which {format_share(fault.toxicity)} of the connections are hit"
            )
            remedy = f"let {fault.name} begin last, or on a proxy of its own"
            yield ("faults", i, "toxicity"), f"{message}; {remedy}"


def _stream(profile: Profile, fault: Fault) -> Hashable:
    """What a toxic acts on: two of a profile's proxies may be one on the server."""
    assert fault.proxy is not None
    existing = profile.proxies[fault.proxy].existing
    return (fault.stream, existing is not None, existing or fault.proxy)


def _comes_behind(window: FaultWindow, other: FaultWindow) -> bool:
    """Whether the other one's toxic may come behind this one's while that is in place."""
    if window.start_ns == other.start_ns:
        return other.end_ns < window.end_ns  # either may be the first; it matters when the other one goes
    return window.start_ns < other.start_ns < window.end_ns


def _resets(job: Job, profile: Profile) -> Iterator[Doubt]:
    for i, fault in enumerate(profile.faults):
        timeout_ms = fault.attributes.get("timeout", 0)
        if fault.toxic == "reset_peer" and timeout_ms > LONGEST_RESET_MS:
            waited = format_duration(timeout_ms * MILLISECOND)
            message = (
                "a Toxiproxy that is not the embedded one takes it out only once its connections have waited "
                f"for {waited}, and does nothing else meanwhile: late, or too late and the run is invalid"
            )
            yield ("faults", i, "timeout"), f"{message}; want {LONGEST_RESET_MS // 1000}s or less"


def _short_faults(job: Job, profile: Profile) -> Iterator[Doubt]:
    shortest: dict[str, int] = {}
    for window in job.faults:
        length = window.end_ns - window.start_ns
        shortest[window.name] = min(length, shortest.get(window.name, length))
    for i, fault in enumerate(profile.faults):
        length = shortest.get(fault.name, LEAST_FAULT_NS)
        if length < LEAST_FAULT_NS:
            message = (
                f"lasts {format_duration(length)}, hardly longer than it takes to put it in: it may come too "
                f"late, and the run be invalid; want {format_duration(LEAST_FAULT_NS)} or more"
            )
            yield ("faults", i), f"{fault.name} {message}"


def _commands(job: Job, profile: Profile) -> Iterator[Doubt]:
    for i, fault in enumerate(profile.faults):
        if fault.run is not None and fault.undo is None:
            message = "has no `undo`: when the fault ends the command is ended if it still runs, and no more"
            yield ("faults", i), f"{message}; add one unless that takes back all that it does"
