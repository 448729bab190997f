"""PlannedFault and ProxySpec: what the conductor is asked to do, in terms of Toxiproxy and of the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loadtool.chaos.command import Script, shown
from loadtool.plan.job import FaultWindow
from loadtool.plan.timeline import Timeline
from loadtool.profile import toxics
from loadtool.profile.addresses import TARGET
from loadtool.profile.model import Fault, Profile
from loadtool.units import format_duration, format_share


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """A proxy of the profile. Either `upstream` (the run makes it) or `existing` (its name on the server).

    Addresses are HOST:PORT as the Toxiproxy server sees them.
    """

    name: str
    upstream: str | None = None
    listen: str | None = None
    existing: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault with its times, in ns since the run's start: a toxic, a `down`, or a command to `run`.

    `ramp_ns` moves the toxic's attributes from zero to their values. `undo` takes back what `run` did; both
    are run in `directory`.
    """

    name: str
    text: str
    proxy: str
    toxic: str | None
    start_ns: int
    end_ns: int
    down: bool = False
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: Mapping[str, int] = field(default_factory=dict)  # in Toxiproxy's units
    ramp_ns: int = 0
    run: Script = ""
    undo: Script = ""
    directory: str = ""

    @property
    def kind(self) -> str:
        """The toxic's type, "down" or "run"."""
        return self.toxic or ("run" if self.run else "down")

    def attributes_at(self, share: float) -> dict[str, int]:
        """The attributes at this share of the ramp, from 0 to 1. What a ramp cannot move is as it is."""
        moving = toxics.RAMPED.get(self.toxic or "", {})
        return {
            name: max(moving[name], round(value * share)) if name in moving and share < 1 else value
            for name, value in self.attributes.items()
        }


# A toxic in a few words: its own name, then the parts whose attributes are there and not 0.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "latency": ("{latency}", "±{jitter}"),
    "bandwidth": ("{rate}",),
    "slow_close": ("{delay}",),
    "timeout": ("after {timeout}",),
    "reset_peer": ("after {timeout}",),
    "slicer": ("{average_size}", "±{size_variation}", "every {delay}"),
    "limit_data": ("{bytes}",),
    "noop": (),
}


def describe(fault: Fault) -> str:
    """The fault in words: "latency 200ms ±50ms on store, 10% of connections", "run docker stop db"."""
    if fault.run is not None:
        return f"run {shown(fault.run)}"
    if fault.toxic is None:
        return f"{fault.proxy} down"
    written = toxics.as_written(fault.toxic, fault.attributes)
    present = {name: text for name, text in written.items() if fault.attributes[name]}
    words = [fault.toxic]
    for part in _WORDS[fault.toxic]:
        name = part[part.index("{") + 1 : part.index("}")]
        if name in present:
            words.append(part.format_map(present))
    if fault.ramp is not None:
        words.append(f"reached over {format_duration(fault.ramp)}")
    words.append(f"on {fault.proxy}")
    if fault.stream != "downstream":
        words.append(fault.stream)
    text = " ".join(words)
    return text if fault.toxicity == 1 else f"{text}, {format_share(fault.toxicity)} of connections"


def planned_faults(profile: Profile, timeline: Timeline, directory: str = "") -> tuple[PlannedFault, ...]:
    """The profile's faults at their times on the timeline, in its order; one that is repeated is there often.

    Commands are run in `directory`.
    """
    by_name = {fault.name: fault for fault in profile.faults}
    return tuple(_planned(by_name[window.name], window, directory) for window in timeline.faults)


def _planned(fault: Fault, window: FaultWindow, directory: str) -> PlannedFault:
    return PlannedFault(
        name=fault.name,
        text=describe(fault),
        proxy=fault.proxy or "",
        toxic=fault.toxic,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        down=fault.down,
        stream=fault.stream,
        toxicity=fault.toxicity,
        attributes=dict(fault.attributes),
        ramp_ns=window.ramp_ns,
        run=fault.run or "",
        undo=fault.undo or "",
        directory=directory if fault.run is not None else "",
    )


def proxy_specs(
    profile: Profile, addresses: Mapping[str, str], front_listen: str | None = None
) -> dict[str, ProxySpec]:
    """The profile's proxies, with upstreams such as `target` and `demo.store` looked up in `addresses`.

    `front_listen`: where the one before the target listens; by default where the profile has it.
    """
    return {
        name: ProxySpec(
            name,
            upstream=addresses.get(proxy.upstream, proxy.upstream) if proxy.upstream is not None else None,
            listen=(front_listen if proxy.upstream == TARGET else None) or proxy.listen,
            existing=proxy.existing,
        )
        for name, proxy in profile.proxies.items()
    }
