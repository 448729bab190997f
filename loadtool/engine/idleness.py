"""Idleness: when a worker of trio tasks had nothing to do."""

from __future__ import annotations

import resource
import time
from time import monotonic_ns as clock
from typing import Final

import trio

from loadtool.engine.ledger import Ledger

WAITED_NS: Final = 200_000  # a poll that took as long has waited, where the kernel does not say


class Idleness(trio.abc.Instrument):
    """Notes when the worker had nothing to do, and for how long: no task could run, no socket was ready.

    That is what the reactor calls idle. trio does not tell whether its poll found something at once; the
    kernel counts it when a thread gives up the processor by itself, which a poll that finds something does
    not. Being robbed of the processor is counted elsewhere, and is not idleness. Waiting for the lock of the
    interpreter is taken for it; in a worker nobody else holds that but while a name is looked up.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._since = 0
        self._count = 0
        self._counted = _counts_waits()

    def before_io_wait(self, timeout: float) -> None:
        self._since = clock() if timeout > 0 else 0
        if self._since:
            self._count = _waits()

    def after_io_wait(self, timeout: float) -> None:
        if not self._since:
            return
        waited = _waits() > self._count if self._counted else clock() - self._since > WAITED_NS
        if waited:
            self._ledger.last_idle = self._since
            self._ledger.rested += clock() - self._since


def _waits() -> int:
    """How often this thread has waited for something of its own accord."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nvcsw


def _counts_waits() -> bool:
    """Whether this kernel counts them; some sandboxes' do not."""
    before = _waits()
    time.sleep(0.0001)
    return _waits() > before
