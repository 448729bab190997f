"""What each switch of the demo service does to the same overload, seen by its clients, on virtual time.

Capacity is 4 slots ÷ (40 ms + 10 ms) = 80 requests/s. Clients come at twice that for 4 s, then at half of it
for 6 s; each gives up and closes after 500 ms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import trio
import trio.testing
from target_world import World

from loadtool.target.connection import Limits, serve_connection
from loadtool.target.settings import Settings
from loadtool.units import MILLISECOND

SERVICE = Settings(slots=4, queue=4, service_time_ns=40 * MILLISECOND, store_time_ns=10 * MILLISECOND)
UNBOUNDED = replace(SERVICE, queue=None, queue_timeout_ns=None)
GOES_ON = replace(UNBOUNDED, client_leaves="finish")

SPIKE_S, SPIKE_RATE = 4, 160
AFTER_S, AFTER_RATE = 6, 40
GIVE_UP_S = 0.5
REQUEST = b"GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n"


async def overload(settings: Settings, retries: int) -> list[Counter[str]]:
    """How the clients due in each second fared: by status, "late", or "closed" for no answer."""
    fared: list[Counter[str]] = [Counter() for _ in range(SPIKE_S + AFTER_S)]
    dues = [i / SPIKE_RATE for i in range(SPIKE_S * SPIKE_RATE)]
    dues += [SPIKE_S + i / AFTER_RATE for i in range(AFTER_S * AFTER_RATE)]
    limits = Limits(
        max_body_bytes=1000,
        read_timeout_s=10,
        send_timeout_s=10,
        idle_timeout_s=10,
        cancel_when_client_leaves=settings.client_leaves == "cancel",
    )

    async with trio.open_nursery() as nursery:
        world = World(nursery, settings)

        async def attempt() -> str:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(serve_connection, theirs, world.service, limits)
            async with ours:
                with trio.move_on_after(GIVE_UP_S):
                    await ours.send_all(REQUEST)
                    return (await ours.receive_some())[9:12].decode() or "closed"
                return "late"

        async def client(due: float) -> None:
            await trio.sleep_until(start + due)
            for _ in range(1 + retries):
                if (end := await attempt()) == "200":
                    break
            fared[int(due)][end] += 1

        start = trio.current_time()
        async with trio.open_nursery() as clients:
            for due in dues:
                clients.start_soon(client, due)
        nursery.cancel_scope.cancel()
    assert sum(fared, Counter()).total() == len(dues)
    return fared


# With these retries (at once): what is served in the spike after its first second, as a share of capacity;
# what is served in the last two seconds, as a share of those who came; and what the others of the spike hear.
LESSONS = {
    "spare capacity": (replace(SERVICE, slots=10), 0, 2.0, 1.0, set()),
    "bounded queue": (SERVICE, 0, 1.0, 1.0, {"503"}),
    "bounded queue, and retries": (SERVICE, 3, 1.0, 1.0, {"503"}),
    "no manners": (replace(SERVICE, shed_status=500, retry_after_ns=0), 0, 1.0, 1.0, {"500"}),
    "no answer": (replace(SERVICE, shed_status=444), 0, 1.0, 1.0, {"closed"}),
    "a queue longer than clients wait": (replace(GOES_ON, queue=80), 0, 0.0, 1.0, {"503", "late"}),
    "unbounded": (UNBOUNDED, 0, 0.0, 1.0, {"late"}),
    "unbounded, work goes on, and retries": (GOES_ON, 3, 0.0, 0.0, {"late"}),
    "last come first": (replace(GOES_ON, queue_policy="lifo"), 0, 1.0, 1.0, {"late"}),
    "controlled delay": (replace(GOES_ON, queue_policy="codel"), 0, 1.0, 1.0, {"503"}),
    "adaptive concurrency": (replace(GOES_ON, concurrency="adaptive"), 0, 1.0, 1.0, {"503"}),
    "rate limit": (replace(GOES_ON, rate_limit=76.0, rate_burst=4), 0, 0.95, 1.0, {"429"}),
}


@pytest.mark.parametrize("lesson", LESSONS)
async def test_lesson(lesson: str, autojump_clock: trio.testing.MockClock) -> None:
    settings, retries, in_spike, afterwards, rest = LESSONS[lesson]
    fared = await overload(settings, retries)
    spike = sum(fared[1:SPIKE_S], Counter())
    assert spike["200"] / (80 * (SPIKE_S - 1)) == pytest.approx(in_spike, abs=0.06)
    assert set(spike) - {"200"} == rest
    end = sum(fared[-2:], Counter())
    assert end["200"] / end.total() == pytest.approx(afterwards, abs=0.02)
