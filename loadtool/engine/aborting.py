"""Aborting: what is left when a run is ended, some of it at a time, as it may be millions of arrivals."""

from __future__ import annotations

from typing import Final

from loadtool.engine.ledger import Ledger
from loadtool.engine.parts import Arrivals
from loadtool.engine.pending import Pending

AT_ONCE: Final = 1024  # arrivals; then whoever wants this worker to end is heard


def abort_some(pending: Pending, ledger: Ledger, now: int) -> bool:
    """Abort some of those that wait for a connection, or for their next attempt; False: nobody does."""
    queued, between = pending.drain(AT_ONCE), ledger.waiting.drain(AT_ONCE)
    for arrival in queued:
        ledger.aborted_waiting(arrival, now)
    for arrival in between:
        ledger.aborted(arrival)
    return len(queued) + len(between) > 0


def cut_off_some(feed: Arrivals, ledger: Ledger, stop_ns: int, now: int) -> bool:
    """Count some of those that were due before the stop and that nobody got round to; False: none is left."""
    count = 0
    while count < AT_ONCE and feed.has_next() and feed.ready[-1].due < stop_ns:
        ledger.cut_off(feed.ready.pop(), now)
        count = count + 1
    return count > 0
