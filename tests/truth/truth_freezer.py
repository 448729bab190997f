"""Freezes processes for a while: SIGSTOP at one instant, SIGCONT at another.

    python truth_freezer.py FROM_NS TO_NS PID…        times of CLOCK_MONOTONIC

Prints when that was, as {"stopped": [before, after], "continued": [before, after]}: the first signal was sent
no earlier than `before`, and by `after` every process had stopped (or had been told to go on).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

SPIN_NS = 2_000_000


def wait_until(ns: int) -> None:
    while (left := ns - time.monotonic_ns()) > 0:
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)


def tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "TZX"
    except FileNotFoundError:
        return True


def freeze(begin: int, end: int, pids: list[int]) -> dict[str, list[int]]:
    wait_until(begin)
    stopped = [time.monotonic_ns()]
    try:
        tell(pids, signal.SIGSTOP)
        while not all(map(is_stopped, pids)):
            time.sleep(0.00005)
        stopped.append(time.monotonic_ns())
        wait_until(end)
    finally:
        continued = [time.monotonic_ns()]
        tell(pids, signal.SIGCONT)
        continued.append(time.monotonic_ns())
    return {"stopped": stopped, "continued": continued}


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))
    sys.stdout.write(json.dumps(freeze(int(sys.argv[1]), int(sys.argv[2]), list(map(int, sys.argv[3:])))))
