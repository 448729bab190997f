"""The reactor's loop on a clock of its own: how late it is, how much it spins, whom its arrivals waited for.

The operating system here is late by `LATE` whenever it wakes the loop; a look at the sockets takes a µs, one
at the clock 20 ns, and sending, answers and waiting take what each case says. Nothing else takes time, so the
answers are arithmetic.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any, cast

import pytest
import trio

from loadtool.engine.connection import Arrival
from loadtool.engine.feed import FAR, Feed
from loadtool.engine.ledger import Ledger
from loadtool.engine.poller import Events, Poller
from loadtool.engine.reactor import SPIN_NS, SPINS_APART_NS, YIELD_NS, Reactor
from loadtool.engine.traffic import Traffic
from loadtool.measure.outcome import H_LAG, H_QUEUED
from loadtool.measure.recorder import Cell
from loadtool.plan.expect import Expectation
from loadtool.plan.job import ExpectSpec

US = 1000
MS = 1000 * US
SECOND = 1000 * MS
LATE = 60 * US
LOOK = 1 * US
GLANCE = 20  # ns


class World:
    """A clock, and a target behind `connections`: each answer comes `service` after its request, and what
    would come between `stalled` comes at its end.
    """

    def __init__(
        self, connections: int, service: int, *, launching: int = 0, handling: int = 0,
        stalled: tuple[int, int] = (FAR, FAR),
    ) -> None:  # fmt: skip
        """`launching`: what the loop takes for an arrival; `handling`: for an answer and the next request."""
        self.now = SECOND
        self.service, self.launching, self.handling, self.stalled = service, launching, handling, stalled
        self.answers: list[int] = []  # when they come
        self.free = connections
        self.pending: deque[Arrival] = deque()
        self.sent: list[tuple[Arrival, int]] = []
        self.polled = 0
        self.waits: list[int] = []  # how long the loop asked to wait for
        self.eased: list[bool] = []  # by answer: whether there was time to ask when it came
        self.armed = FAR
        self.ledger = Ledger(
            names=["get"], expectations=[Expectation.of(ExpectSpec())], shed=(), good_within_ns=0, start_ns=0
        )

    def clock(self) -> int:
        self.now += GLANCE
        return self.now

    # The poller

    def poll(self) -> Events:
        self.now += LOOK
        self.polled += 1
        return [(1, 1) for at in self.answers if at <= self.now]

    def wait_until(self, when: int) -> Events:
        self.waits.append(when - self.now)
        self.now = max(self.now, min([when, *self.answers[:1]]) + LATE)
        return self.poll()

    def arm(self, when: int) -> None:
        """It is to wait through trio: no time passes in this world while others have their turn."""
        self.now = max(self.now, when + LATE)

    def fileno(self) -> int:
        raise NotImplementedError

    # Traffic

    def launch(self, arrival: Arrival, now: int) -> None:
        self.ledger.begin(arrival, now)
        self.now += self.launching
        if self.free and not self.pending:
            self.free -= 1
            self.ledger.settle_wait(arrival, now)
            self._send(arrival)
            return
        self.pending.append(arrival)
        self.ledger.waits(arrival, self.pending[0])

    def dispatch(self, events: Events, at_ease: bool) -> None:
        for _ in events:
            heapq.heappop(self.answers)
            self.eased.append(at_ease)
            self.now += self.handling
            if self.pending:
                arrival = self.pending.popleft()
                self.ledger.settle_wait(arrival, self.now)
                self._send(arrival)
            else:
                self.free += 1

    def _send(self, arrival: Arrival) -> None:
        self.sent.append((arrival, self.now))
        at = self.now + self.service
        begin, end = self.stalled
        heapq.heappush(self.answers, end if begin <= at < end else at)

    def drop_spoilt(self, events: Events) -> None:
        pass

    def upkeep(self, now: int) -> bool:
        return False

    def abort_some(self, now: int) -> bool:
        return False

    def next_event(self) -> int:
        return FAR

    def done(self) -> bool:
        return not self.answers and not self.pending

    def close(self) -> None:
        pass

    # The feed

    ready: list[Arrival]

    def has_next(self) -> bool:
        return bool(self.ready)

    def wants(self) -> bool:
        return False

    async def run(self, dues: list[int]) -> list[Arrival]:
        """Send arrivals that are due then, in ns after the start; returns them."""
        start = self.now
        cells = [Cell((0, 0, 0), False) for _ in dues]
        arrivals = [Arrival(start + due, FAR, 0, cell, b"x") for due, cell in zip(dues, cells, strict=True)]
        self.ready = arrivals[::-1]
        self.stalled = (start + self.stalled[0], start + self.stalled[1])
        reactor = Reactor(
            cast(Feed, self), cast(Traffic, self), self.ledger, cast(Poller, self), clock=self.clock
        )
        await reactor.run()
        return arrivals


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting through trio only lets the others have their turn."""

    async def wait_readable(fd: Any) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(World, "fileno", lambda self: -1)
    monkeypatch.setattr(trio.lowlevel, "wait_readable", wait_readable)


def sums(arrivals: list[Arrival], code: int) -> list[int]:
    """Of each arrival, in µs."""
    return [a.cell.sums[code] for a in arrivals]


@pytest.mark.parametrize("gap", [1 * MS, 5 * MS, 9 * MS, 30 * MS, 3 * SECOND])
async def test_a_wait_ends_with_a_spin_so_that_nothing_is_late(gap: int) -> None:
    world = World(10, 300 * US)
    arrivals = await world.run([k * gap for k in range(1, 20)])
    assert all(a.due <= at <= a.due + 2 * LOOK for a, at in world.sent)
    assert max(sums(arrivals, H_LAG)) <= 2
    assert max(world.waits) <= YIELD_NS  # or trio would never have its turn


@pytest.mark.parametrize("gap", [150 * US, 200 * US, 400 * US, 700 * US])
async def test_it_spins_a_tenth_of_the_time_at_most(gap: int) -> None:
    world = World(10, 1)
    count = 30 * MS // gap
    await world.run([k * gap for k in range(1, count)])
    spins = world.polled - 5 * count  # a few looks an arrival are no spins
    assert spins * LOOK <= 30 * MS * SPIN_NS // SPINS_APART_NS * 11 // 10
    assert all(at - a.due <= LATE + 3 * LOOK for a, at in world.sent)


async def test_an_answer_within_a_spin_does_not_end_it() -> None:
    world = World(10, 5 * MS - 40 * US)
    await world.run([0, 5 * MS])
    assert world.sent[1][1] - world.sent[1][0].due <= 2 * LOOK


@pytest.mark.parametrize("before", [1 * US, 10 * US, 25 * US])
async def test_an_answer_just_before_an_arrival_is_taken_in_after_it(before: int) -> None:
    world = World(10, 5 * MS - before, handling=28 * US)
    await world.run([k * 5 * MS for k in range(4)])
    assert all(at - a.due <= 2 * LOOK for a, at in world.sent)


async def test_time_at_rest_is_counted_and_lateness_is_no_rest() -> None:
    world = World(1, 700 * US)
    await world.run([2 * MS])
    # 2 ms until it is due, and 0.7 ms until its answer comes: of that wait it was woken LATE too late, but
    # nothing says so; the end of the run is no wait.
    assert abs(world.ledger.rested - (2 * MS + 700 * US + LATE)) <= 5 * LOOK


@pytest.mark.parametrize(
    ("handling", "eased"),
    [(20 * US, True), (60 * US, True), (90 * US, False), (200 * US, False)],
)
async def test_a_loop_that_hardly_rests_does_not_ask_when_answers_came(handling: int, eased: bool) -> None:
    """10,000/s, 100 µs each: it rests for 79, 39 and 9 of them, and then not at all."""
    world = World(100, 300 * US, launching=1 * US, handling=handling)
    await world.run([k * 100 * US for k in range(1, 1500)])
    asked = world.eased[200:-200]
    assert abs(sum(asked) / len(asked) - eased) <= 0.05


@pytest.mark.parametrize("connections", [2, 3, 4, 50, 1000])
async def test_a_saturated_generator_has_lag_and_no_queue(connections: int) -> None:
    """Its target answers at once. With few connections it rests now and then, but is saturated:
    20,000 arrivals of 90 µs each are 1.8 s of work a second.
    """
    world = World(connections, 20 * US, launching=30 * US, handling=60 * US)
    arrivals = await world.run([k * 50 * US for k in range(1, 4000)])
    late = [a for a in arrivals[400:] if a.launched]
    waits = [at - a.due for a, at in world.sent][400:]
    assert max(waits) > 80 * MS
    assert all(lag * US >= 0.99 * wait - US for lag, wait in zip(sums(late, H_LAG), waits, strict=True))
    assert max(sums(late, H_QUEUED)) <= 200


@pytest.mark.parametrize("connections", [1, 2, 4, 20])
@pytest.mark.parametrize("rate", [100, 500, 2000])
async def test_a_stalled_target_is_never_lag(connections: int, rate: int) -> None:
    """It stands still for half a second; then the loop catches up, without a moment's rest."""
    world = World(connections, 200 * US, launching=15 * US, handling=45 * US, stalled=(500 * MS, 1000 * MS))
    arrivals = await world.run([k * SECOND // rate for k in range(1, 2 * rate)])
    assert max(sums(arrivals, H_QUEUED)) >= (500 * MS - SECOND // rate * connections) // US - 1000
    lags = sorted(sums(arrivals, H_LAG))
    assert lags[len(lags) * 99 // 100] < 1000  # far from the 10 ms that make a run invalid


@pytest.mark.parametrize("connections", [1, 4])
async def test_a_slow_target_with_few_connections_is_never_lag(connections: int) -> None:
    """It takes 50 ms, and arrivals come faster than that: they wait for seconds, and for it."""
    world = World(connections, 50 * MS, launching=15 * US, handling=45 * US)
    arrivals = await world.run([k * 5 * MS for k in range(1, 400)])
    assert max(sums(arrivals, H_QUEUED)) > 2_000_000
    assert max(sums(arrivals, H_LAG)) < 1000
