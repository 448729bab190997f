"""What is told of faults: events while they go on, and the words for what could not be had or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtool.chaos.control import Control, ProxyState
from loadtool.chaos.journal import Change
from loadtool.chaos.rollback import by_hand
from loadtool.errors import FaultError

GONE_BEFORE: Final = "was gone before its end: somebody has taken it out, or Toxiproxy was restarted"
_SEE_LOG: Final = "look in the system's log for what ended it, and run again"
# A real Toxiproxy's, such as where connections come and go while two toxics are taken in and out of a proxy.
_PANICS: Final = (": panic: ", ": fatal error: ")
_AVOID: Final = (
    "it has crashed: have fewer faults at a time on one proxy, and no ramp of a bandwidth, or start the"
    " embedded one with `loadtool toxiproxy` and give its URL with --toxiproxy"
)


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """Something has just happened to a fault, `at_s` seconds after the run's start."""

    at_s: float
    fault: str
    what: str  # placed, removed or failed
    text: str


def gone(change: Change) -> str:
    """What a change is once it is taken back."""
    return "undone" if change.kind == "run" else "removed"


def server_ended(how: str) -> str:
    """How the run's own Toxiproxy ended, and what to do."""
    return f"{how}: {_AVOID if any(panic in how for panic in _PANICS) else _SEE_LOG}"


def remedy(control: Control | None, change: Change) -> str:
    """How to take back by hand what the run could not."""
    if change.kind != "run" and control is not None and control.owned:
        return "the server belongs to this run and ends with it"
    url = control.url if control is not None else ""
    return f"to {'undo it' if change.kind == 'run' else 'take it out'} by hand: {by_hand(url, change)}"


def listen_of_existing(name: str, existing: str, there: Mapping[str, ProxyState], url: str) -> str:
    """HOST:PORT of a proxy that Toxiproxy at `url` is to have, `name` in the profile. Raises FaultError."""
    state = there.get(existing)
    if state is None:
        known = ", ".join(sorted(there)) or "none"
        raise FaultError(f"proxies.{name}: Toxiproxy {url} has no proxy {existing!r} (it has: {known})")
    if not state.enabled:
        raise FaultError(
            f"proxies.{name}: proxy {existing} of Toxiproxy {url} is disabled;"
            f" to enable it: {by_hand(url, Change('down', existing))}"
        )
    return state.listen
