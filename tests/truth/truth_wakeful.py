"""Keeps this machine's cores awake, as its boot option idle=poll would, for as long as it runs.

    python truth_wakeful.py CORE…

A core with nothing to do goes to sleep, and waking up takes it longer than a request takes to cross loopback;
under a hypervisor it is given away, and must be had back. Here one process a core counts to infinity instead,
at a priority that gives way to anything else at once (SCHED_IDLE, in a session of its own at nice 19, as time
is shared out by session first). Ends with its stdin.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def count(core: int) -> None:
    """Never returns."""
    os.setsid()
    # Without autogroups the policy is all it needs.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write("19")
    os.sched_setaffinity(0, [core])
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    parent = os.getppid()
    while os.getppid() == parent:  # it was told to end us, but may have been killed
        for _ in range(10_000):
            pass
    os._exit(0)


def main() -> None:
    children = []
    for core in map(int, sys.argv[1:]):
        child = os.fork()
        if child == 0:
            count(core)
        children.append(child)
    os.write(1, b"awake\n")
    try:
        while os.read(0, 1024):
            pass
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main()
