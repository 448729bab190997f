"""The demo service's behaviour on virtual time: what it answers, when, and how overload shows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
import trio
import trio.testing
from target_world import World, request, whole

from loadtool.target.http import Response
from loadtool.target.settings import Settings
from loadtool.units import MILLISECOND, SECOND

EXACT = Settings(slots=2, queue=2, service_jitter=0.0)  # 8 ms of work, 2 ms for each store call


def body(response: Response) -> object:
    return json.loads(response.body)


@pytest.mark.parametrize(
    ("method", "target", "sent", "status", "has"),
    [
        ("GET", "/", b"", 200, b"loadtool demo service"),
        ("HEAD", "/", b"", 200, b"loadtool demo service"),
        ("GET", "/products/17", b"", 200, b'"id": "17"'),
        ("GET", "/products/17?ref=mail", b"", 200, b'"id": "17"'),
        ("GET", "/products/%31%37", b"", 200, b'"id": "17"'),
        ("POST", "/checkout", b'{"cart": [1, 2]}', 201, b'"request": {"cart": [1, 2]}'),
        ("POST", "/checkout", b"", 400, b"the body is not JSON"),
        ("POST", "/checkout", b"{", 400, b"the body is not JSON"),
        ("POST", "/checkout", b"\xff", 400, b"the body is not JSON"),
        ("POST", "/checkout", b"[" * 200_000, 400, b"nested too deep"),
        ("GET", "/hello", b"", 200, b'"hello": "world"'),
        ("GET", "/health", b"", 200, b'"status": "ok"'),
        ("GET", "/health/store", b"", 200, b'"store_ms": 2.0'),
        ("GET", "/stats", b"", 200, b'"slots": 2'),
        ("GET", "/metrics", b"", 200, b"demo_slots 2"),
        ("GET", "/nothing", b"", 404, b"nothing at /nothing"),
        ("GET", "/products/", b"", 404, b"nothing at"),
        ("GET", "/products/a b", b"", 404, b"nothing at"),
        ("GET", "/products/1%0aPING", b"", 404, b"nothing at"),
        ("GET", "/products/" + "9" * 65, b"", 404, b"nothing at"),
        ("POST", "/products/1", b"", 405, b"POST is not allowed here"),
        ("GET", "/checkout", b"", 405, b"GET is not allowed here"),
        ("DELETE", "/", b"", 405, b"DELETE is not allowed here"),
    ],
)
async def test_endpoints(
    method: str,
    target: str,
    sent: bytes,
    status: int,
    has: bytes,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(nursery, EXACT)
    response = await world.ask(method, target, sent)
    assert response.status == status
    assert has in response.body
    assert world.service.counts.answers == {status: 1}


@pytest.mark.parametrize(
    ("method", "target", "allow"), [("POST", "/hello", "GET, HEAD"), ("GET", "/checkout", "POST")]
)
async def test_a_wrong_method_is_told_the_right_ones(
    method: str, target: str, allow: str, nursery: trio.Nursery
) -> None:
    response = await World(nursery, EXACT).ask(method, target)
    assert ("Allow", allow) in response.headers


async def test_each_order_has_an_id_of_its_own(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, EXACT)
    orders = [json.loads((await world.ask("POST", "/checkout", b"1")).body)["order"] for _ in range(3)]
    assert orders == ["1-000001", "1-000002", "1-000003"]


@pytest.mark.parametrize(
    ("method", "target", "calls", "work_ms"),
    [
        ("GET", "/products/1", 1, 8),
        ("POST", "/checkout", 2, 8),
        ("GET", "/health/store", 1, 0),
        ("GET", "/hello", 0, 0),
        ("GET", "/health", 0, 0),
    ],
)
@pytest.mark.parametrize("delay_ms", [0, 200])
async def test_time_is_work_plus_store_calls(
    method: str,
    target: str,
    calls: int,
    work_ms: float,
    delay_ms: float,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(nursery, EXACT)
    world.delay_s = delay_ms / 1000
    await world.ask(method, target, b"1")
    assert trio.current_time() * 1000 == pytest.approx(work_ms + calls * (2 + delay_ms))


@pytest.mark.parametrize(
    ("status", "retry_after_ns", "header"),
    [(503, SECOND, "1"), (429, 1500 * MILLISECOND, "2"), (500, 0, None)],
)
async def test_full_means_turned_away_at_once(
    status: int,
    retry_after_ns: int,
    header: str | None,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(nursery, replace(EXACT, shed_status=status, retry_after_ns=retry_after_ns))
    ends: list[tuple[int, float]] = []

    async def ask() -> None:
        response = await world.ask("GET", "/products/1")
        ends.append((response.status, round(trio.current_time() * 1000, 6)))
        if response.status == status:
            assert dict(response.headers).get("Retry-After") == header
            assert body(response) == {"error": "the service is busy", "reason": "queue full"}

    async with trio.open_nursery() as clients:
        for _ in range(6):
            clients.start_soon(ask)
    assert sorted(ends) == [(200, 10), (200, 10), (200, 20), (200, 20), (status, 0), (status, 0)]
    stats = json.loads((await world.ask("GET", "/stats")).body)
    assert stats["turned_away"] == {"queue full": 2}


async def test_retry_after_can_be_spread(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """2 s plus up to 3 s, in whole seconds rounded up: 3, 4 and 5 alike (2 s sharp has no width)."""
    settings = Settings(slots=1, queue=0, retry_after_ns=2 * SECOND, retry_after_jitter_ns=3 * SECOND)
    world = World(nursery, settings)
    nursery.start_soon(world.ask, "GET", "/products/1")
    await trio.testing.wait_all_tasks_blocked()
    promises = Counter(
        [dict((await world.ask("GET", "/products/1")).headers)["Retry-After"] for _ in range(3000)]
    )
    assert promises == {text: pytest.approx(1000, abs=80) for text in "345"}


async def test_the_rate_limit_answers_429_and_says_when(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, Settings(rate_limit=0.25, rate_burst=2, service_jitter=0.0))
    assert [(await world.ask("GET", "/products/1")).status for _ in range(2)] == [200, 200]  # until 20 ms
    response = await world.ask("GET", "/products/1")
    assert response.status == 429
    assert dict(response.headers) == {"Retry-After": "4"}  # 3.98 s
    assert body(response) == {"error": "the service is busy", "reason": "rate limit"}
    assert (await world.ask("GET", "/hello")).status == 200  # takes no slot, so is not limited
    await trio.sleep(4)
    assert (await world.ask("GET", "/products/1")).status == 200


async def test_health_and_stats_answer_while_the_queue_is_full(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, EXACT)
    async with trio.open_nursery() as clients:
        for _ in range(6):
            clients.start_soon(world.ask, "GET", "/products/1")
        await trio.testing.wait_all_tasks_blocked()
        assert (await world.ask("GET", "/health")).status == 200
        assert trio.current_time() == 0
        stats = json.loads((await world.ask("GET", "/stats")).body)
        assert (await world.ask("GET", "/health/store")).status == 200
        assert trio.current_time() == pytest.approx(0.002)
    assert stats["in_flight"] == 2
    assert stats["queued"] == 2
    assert stats["turned_away"] == {"queue full": 2}
    assert stats["answers"] == {"200": 1, "503": 2}


async def test_metrics_are_stats_as_prometheus_reads_them(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, EXACT)
    async with trio.open_nursery() as clients:
        for _ in range(6):
            clients.start_soon(world.ask, "GET", "/products/1")
        await trio.testing.wait_all_tasks_blocked()
        response = await world.ask("GET", "/metrics")
    assert response.content_type.startswith("text/plain; version=0.0.4")
    lines = response.body.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "demo_slots 2",
        "demo_in_flight 2",
        "demo_queued 2",
        "demo_store_calls 0",
        'demo_answers_total{status="503"} 2',
        'demo_turned_away_total{reason="queue full"} 2',
        'demo_turned_away_total{reason="waited too long"} 0',
        'demo_turned_away_total{reason="rate limit"} 0',
        'demo_turned_away_total{reason="concurrency limit"} 0',
        "demo_abandoned_total 0",
        'demo_store_errors_total{kind="shut"} 0',
        'demo_store_errors_total{kind="unreachable"} 0',
        'demo_store_errors_total{kind="slow"} 0',
        'demo_store_errors_total{kind="refused"} 0',
    ]
    assert "# TYPE demo_queued gauge" in lines


@pytest.mark.parametrize(
    ("delay_s", "refused", "status", "kind"), [(9, False, 504, "slow"), (0, True, 502, "unreachable")]
)
@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/products/1"), ("POST", "/checkout"), ("GET", "/health/store")]
)
async def test_a_failing_store_is_said_clearly_and_frees_the_slot(
    method: str,
    target: str,
    delay_s: float,
    refused: bool,
    status: int,
    kind: str,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(nursery, EXACT)
    world.delay_s = delay_s
    if refused:
        world.refused.add("store:1")
    response = await world.ask(method, target, b"1")
    assert response.status == status
    assert json.loads(response.body)["error"].startswith("store at store:1 ")
    assert world.service.counts.store_errors == {kind: 1}
    stats = json.loads((await world.ask("GET", "/stats")).body)
    assert stats["in_flight"] == 0
    assert stats["store"]["errors"] == {kind: 1}


async def test_a_bug_in_an_endpoint_is_a_500_and_not_the_end(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(nursery, EXACT)

    async def broken(_: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.store, "ask", broken)
    assert (await world.ask("GET", "/products/1")).status == 500
    assert "ZeroDivisionError" in caplog.text
    assert (await world.ask("GET", "/health/store")).status == 200


async def test_abandoned_work_frees_its_slot(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    world = World(nursery, replace(EXACT, slots=1))
    with trio.move_on_after(0.005):
        await world.ask("GET", "/products/1")
    assert world.service.counts.abandoned == 1
    await world.ask("GET", "/products/1")
    assert trio.current_time() * 1000 == pytest.approx(5 + 10)


async def test_service_time_varies_as_seeded(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    def settings(seed: int) -> Settings:
        return Settings(seed=seed, service_jitter=0.25)

    async def times(seed: int) -> list[float]:
        world = World(nursery, settings(seed))
        found = []
        for _ in range(300):
            start = trio.current_time()
            await world.ask("GET", "/products/1")
            found.append((trio.current_time() - start) * 1000 - 2)
        return found

    first, again, other = await times(1), await times(1), await times(2)
    assert first == pytest.approx(again)
    assert first != pytest.approx(other)
    assert 6 <= min(first) < 6.1
    assert 9.9 < max(first) <= 10
    assert sum(first) / 300 == pytest.approx(8, abs=0.2)  # 3 standard errors: 4 / √12 / √300 each


async def test_the_demos_story(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """200/s on the defaults, and 200 ms on the store from second 2 to 6: capacity is as by arithmetic."""
    world = World(nursery, Settings())
    seen: dict[int, Counter[str]] = {second: Counter() for second in range(9)}
    slowest: Counter[int] = Counter()

    async def client(i: int) -> None:
        due = i / 200
        await trio.sleep(due)
        answer = world.service(
            request(*(("POST", "/checkout", b"1") if i % 5 == 4 else ("GET", "/products/1")))
        )
        response = await whole(answer)
        seen[int(due)]["shed" if response.status == 503 else str(response.status // 100)] += 1
        slowest[int(due)] = max(slowest[int(due)], round((trio.current_time() - due) * 1000))

    async def fault() -> None:
        await trio.sleep(2)
        world.delay_s = 0.2
        await trio.sleep(4)
        world.delay_s = 0

    async with trio.open_nursery() as clients:
        clients.start_soon(fault)
        for i in range(9 * 200):
            clients.start_soon(client, i)

    assert [seen[s]["shed"] for s in (0, 1, 7, 8)] == [0, 0, 0, 0]  # spare before, and back at once
    assert max(slowest[s] for s in (0, 7, 8)) <= 15
    for second in (3, 4, 5):
        assert seen[second]["2"] == pytest.approx(96, rel=0.1)  # slots ÷ (service + store)
        assert seen[second]["shed"] == pytest.approx(104, rel=0.1)
        assert slowest[second] < 750  # 24 in the queue ÷ 96/s + 412 ms for a checkout, and some spread
    assert sum(sum(c.values()) for c in seen.values()) == 9 * 200
