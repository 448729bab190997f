"""The gate on virtual time: who gets a slot, when, and who is turned away. Times in ms."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from loadtool.target.gate import TurnedAway, make_gate
from loadtool.target.settings import Settings
from loadtool.units import MILLISECOND

# One row a request: when it comes, how long it holds its slot; then how that ended, and when.
Row = tuple[float, float, str, float]
CASES: dict[str, tuple[Settings, list[Row]]] = {
    "free slots": (
        Settings(slots=2, queue=0),
        [(0, 10, "served", 10), (0, 10, "served", 10), (10, 5, "served", 15)],
    ),
    "no queue: turned away at once": (
        Settings(slots=1, queue=0),
        [(0, 10, "served", 10), (3, 10, "queue full", 3), (10, 10, "served", 20)],
    ),
    "first come, first served": (
        Settings(slots=1, queue=3),
        [(0, 10, "served", 10), (1, 10, "served", 20), (2, 1, "served", 21), (3, 1, "served", 22)],
    ),
    "queue full, then room again": (
        Settings(slots=1, queue=1),
        [(0, 10, "served", 10), (1, 10, "served", 20), (2, 10, "queue full", 2), (11, 10, "served", 30)],
    ),
    "waited too long, and its place is free again": (
        Settings(slots=1, queue=1, queue_timeout_ns=5 * MILLISECOND),
        [(0, 20, "served", 20), (1, 1, "waited too long", 6), (7, 1, "waited too long", 12),
         (16, 1, "served", 21)],
    ),
    "nobody slips in before those who wait": (
        Settings(slots=1, queue=2),
        [(0, 10, "served", 10), (5, 10, "served", 20), (10, 10, "served", 30)],
    ),
    "unbounded": (
        Settings(slots=2, queue=None, queue_timeout_ns=None),
        [(0, 10, "served", 10 * (1 + i // 2)) for i in range(100)],
    ),
    "lifo: last come, first served": (
        Settings(slots=1, queue=None, queue_policy="lifo"),
        [(0, 10, "served", 10), (1, 10, "served", 40), (2, 10, "served", 30), (3, 10, "served", 20)],
    ),
    "lifo: the oldest makes room": (
        Settings(slots=1, queue=2, queue_policy="lifo"),
        [(0, 10, "served", 10), (1, 10, "queue full", 3), (2, 10, "served", 30), (3, 10, "served", 20)],
    ),
    "lifo: the oldest gives up": (
        Settings(slots=1, queue=2, queue_policy="lifo", queue_timeout_ns=15 * MILLISECOND),
        [(0, 10, "served", 10), (1, 10, "waited too long", 16), (2, 10, "served", 20)],
    ),
    "lifo without a queue": (
        Settings(slots=1, queue=0, queue_policy="lifo"),
        [(0, 10, "served", 10), (1, 10, "queue full", 1)],
    ),
    # A burst may wait up to the interval of 100 ms. The queue, last empty when the second came at 1, stands
    # from 101: newcomers then wait 5 ms at most, until it runs empty at 120.
    "codel": (
        Settings(slots=1, queue=None, queue_policy="codel"),
        [(0, 40, "served", 40), (1, 40, "served", 80), (2, 40, "served", 120),
         (3, 40, "waited too long", 103), (60, 40, "served", 160), (110, 40, "waited too long", 115),
         (116, 40, "waited too long", 121), (150, 40, "served", 200)],
    ),
    "codel, full": (
        Settings(slots=1, queue=1, queue_policy="codel"),
        [(0, 40, "served", 40), (1, 40, "served", 80), (2, 40, "queue full", 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_timeline(case: str, autojump_clock: trio.testing.MockClock) -> None:
    settings, rows = CASES[case]
    gate = make_gate(settings)
    ends: dict[int, tuple[str, float]] = {}
    start = trio.current_time()

    async def one(i: int, at: float, hold: float) -> None:
        await trio.sleep(at / 1000)
        # Who comes in the same instant comes in the order of the rows.
        for _ in range(2 * i):
            await trio.lowlevel.checkpoint()
        try:
            async with gate:
                await trio.sleep(hold / 1000)
            verdict = "served"
        except TurnedAway as e:
            verdict = e.reason
        ends[i] = (verdict, round((trio.current_time() - start) * 1000, 6))

    async with trio.open_nursery() as nursery:
        for i, (at, hold, _, _) in enumerate(rows):
            nursery.start_soon(one, i, at, hold)
    assert [ends[i] for i in range(len(rows))] == [(verdict, done) for _, _, verdict, done in rows]
    assert gate.in_flight == 0
    assert len(gate.queue) == 0


async def test_refusal_tells_what_entering_would(autojump_clock: trio.testing.MockClock) -> None:
    gate = make_gate(Settings(slots=1, queue=0))
    assert gate.refusal() is None
    async with gate:
        assert gate.refusal() == "queue full"
        with pytest.raises(TurnedAway, match="queue full"):
            await gate.__aenter__()
    assert gate.refusal() is None


async def test_one_who_leaves_the_queue_frees_his_place(autojump_clock: trio.testing.MockClock) -> None:
    gate = make_gate(Settings(slots=1, queue=1))
    async with gate:
        with trio.move_on_after(1):
            await gate.__aenter__()
        assert len(gate.queue) == 0
        assert gate.in_flight == 1
    assert gate.in_flight == 0


async def test_a_slot_handed_to_one_who_just_left_goes_to_the_next() -> None:
    """Cancelled and admitted in the same turn of the event loop: the slot must not be lost."""
    gate = make_gate(Settings(slots=1, queue=None))
    served: list[str] = []
    leaver = trio.CancelScope()

    async def leaving() -> None:
        with leaver:
            async with gate:
                served.append("leaver")

    async def staying() -> None:
        async with gate:
            served.append("stayer")

    async with trio.open_nursery() as nursery:
        await gate.__aenter__()
        nursery.start_soon(leaving)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(staying)
        await trio.testing.wait_all_tasks_blocked()
        leaver.cancel()
        await gate.__aexit__()  # before the leaver's task has run
    assert served == ["stayer"]
    assert gate.in_flight == 0
