"""Send lag at modest rates is the operating system's: timers have microseconds, and nothing fires early."""

from __future__ import annotations

import random
import select
import statistics
import sys
import time
from collections.abc import Callable

import pytest
import trio
from truth_run import MS, run_profile, truth_server
from truth_tries import Busy, tried

from loadtool.engine.poller import Events, new_poller

US = 1000
STEP_US = 250  # half of what whole milliseconds would cost on average
clock = time.monotonic_ns


def lateness_us(wait: Callable[[int], None], times: int = 150) -> list[float]:
    """How much later than asked for each wait ended; they are of any length from 0.1 to 3 ms."""
    draw = random.Random(1)
    found = []
    for _ in range(times):
        when = clock() + draw.randrange(100 * US, 3 * MS)
        wait(when)
        found.append((clock() - when) / US)
    return found


def reference_us() -> float:
    """The median lateness of the machine's own timers, by another way: select() in whole microseconds."""

    def wait(when: int) -> None:
        select.select([], [], [], max(0, when - clock()) / 1e9)

    return statistics.median(lateness_us(wait))


def silence(events: Events) -> None:
    """The timer is no event of a socket."""
    assert events == []


def judged(found: list[float]) -> list[str]:
    assert min(found) >= 0, "it fired early"
    median = statistics.median(found)
    if median < STEP_US:
        return []
    reference = reference_us()
    if reference > STEP_US / 2:
        raise Busy(f"this machine's timers are {reference:.0f} µs late by themselves")
    return [f"the waits ended {median:.0f} µs late at p50, the machine's own {reference:.0f} µs"]


def test_a_wait_has_no_steps_of_a_millisecond() -> None:
    async def attempt() -> list[str]:
        poller = new_poller(1)
        try:
            return judged(lateness_us(lambda when: silence(poller.wait_until(when))))
        finally:
            poller.close()

    tried(attempt)


def test_nor_has_one_through_trio() -> None:
    """Where nothing is under way the reactor waits so, for more than its YIELD_NS.

    Shorter waits here, as they would show steps as well.
    """

    async def attempt() -> list[str]:
        poller = new_poller(1)
        draw = random.Random(2)
        found = []
        try:
            for _ in range(100):
                when = clock() + draw.randrange(1 * MS, 4 * MS)
                poller.arm(when)
                await trio.lowlevel.wait_readable(poller.fileno())
                found.append((clock() - when) / US)
                silence(poller.poll())
        finally:
            poller.close()
        return judged(found)

    tried(attempt)


def test_a_wait_ends_at_once_when_its_time_is_past() -> None:
    poller = new_poller(1)
    try:
        for when in (1, clock() - 5 * MS, clock()):
            assert poller.wait_until(when) == []
    finally:
        poller.close()


@pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc and no epoll")
def test_send_lag_has_no_steps_of_a_millisecond() -> None:
    """1,000/s of Poisson arrivals, due at any fraction of a millisecond."""
    text = """\
name: lag
target: http://127.0.0.1:{port}
requests: [{{name: numbered, get: "/{{{{ row.n }}}}"}}]
arrivals: poisson
phases: [{{name: baseline, rate: 1000/s, for: 1s}}]
"""

    async def attempt() -> list[str]:
        async with truth_server(["fixed", 2.0]) as server:
            measured = await run_profile(text.format(port=server.port))
            log = await server.log()
        lag = measured.phase("baseline").lag_ms
        assert lag.p50 is not None
        wrong = [] if lag.p50 < 0.5 else [f"send lag p50 was {lag.p50} ms"]
        # Were requests sent at whole milliseconds of the clock, what they are due after one would be how
        # much earlier they are sent: the later in its millisecond, the sooner.
        late = {a.number: (a.received - measured.due[a.number]) / MS for a in log}
        thirds = [
            statistics.median(
                ms for n, ms in late.items() if third <= 3 * (measured.due[n] % MS) / MS < third + 1
            )
            for third in range(3)
        ]
        if max(thirds) - min(thirds) > 0.2:
            wrong.append(f"requests were {thirds} ms late by third of the millisecond that they were due in")
        if wrong and (reference := reference_us()) > STEP_US / 2:
            raise Busy(f"this machine's timers are {reference:.0f} µs late by themselves")
        return wrong

    tried(attempt)
