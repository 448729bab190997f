"""What each toxic does to real bytes on real sockets, on live connections, on both servers.

Times are only ever asserted from below; that something is not held back shows in that it comes at all,
where it would otherwise be held for an hour.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
from chaos_servers import Proxy, Toxiproxy, echo, receive_all, receive_exactly

HOUR_MS = 3_600_000
Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]

BLOB = random.Random(1).randbytes(1 << 20)


@pytest.fixture
async def echoing(toxiproxy: Toxiproxy, upstream: Upstream) -> Proxy:
    return await toxiproxy.proxy(await upstream(echo))


async def ask(stream: trio.SocketStream, data: bytes) -> bytes:
    await stream.send_all(data)
    return await receive_exactly(stream, len(data))


async def nothing_comes(stream: trio.SocketStream) -> bool:
    """Within a moment; a server that is merely slow makes the test pass, never fail."""
    with trio.move_on_after(0.1):
        await stream.receive_some(1)
        return False
    return True


async def test_bytes_pass_whole_in_both_directions(echoing: Proxy, nursery: trio.Nursery) -> None:
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB)
        assert await receive_exactly(stream, len(BLOB)) == BLOB


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
async def test_latency_delays_one_direction(echoing: Proxy, direction: str) -> None:
    await echoing.add("latency", direction, latency=100)
    async with await echoing.connect() as stream:
        start = trio.current_time()
        assert await ask(stream, b"x") == b"x"
        assert trio.current_time() - start >= 0.1


async def test_latencies_add_up(echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"
        for name, direction in (("a", "upstream"), ("b", "downstream"), ("c", "downstream")):
            toxic = {"name": name, "type": "latency", "stream": direction, "attributes": {"latency": 50}}
            await echoing.ask("POST", "/toxics", toxic)
        start = trio.current_time()
        assert await ask(stream, b"x") == b"x"
        assert trio.current_time() - start >= 0.15


async def test_jitter_keeps_the_order_of_bytes(echoing: Proxy, nursery: trio.Nursery) -> None:
    await echoing.add("latency", latency=10, jitter=10)
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB)
        assert await receive_exactly(stream, len(BLOB)) == BLOB


async def test_an_update_lets_go_of_what_is_held_on_the_real_server_alone(
    toxiproxy: Toxiproxy, echoing: Proxy, nursery: trio.Nursery
) -> None:
    name = await echoing.add("latency", latency=HOUR_MS)

    async def update_for_ever() -> None:
        while True:
            await echoing.update(name, latency=HOUR_MS)

    async with await echoing.connect() as stream:
        await stream.send_all(b"held")
        assert await nothing_comes(stream)
        nursery.start_soon(update_for_ever)
        if toxiproxy.real:
            assert await receive_exactly(stream, 4) == b"held"
        else:
            assert await nothing_comes(stream)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
async def test_latency_comes_to_a_live_connection_and_goes_again(echoing: Proxy, direction: str) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"before") == b"before"
        name = await echoing.add("latency", direction, latency=HOUR_MS)
        await stream.send_all(b"held")
        assert await nothing_comes(stream)
        await echoing.remove(name)
        assert await receive_exactly(stream, 4) == b"held"
        assert await ask(stream, b"after") == b"after"


async def test_latency_is_changed_on_a_live_connection(echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        name = await echoing.add("latency", latency=HOUR_MS)
        await stream.send_all(b"held")
        assert await nothing_comes(stream)
        await echoing.update(name, latency=1)
        assert await receive_exactly(stream, 4) == b"held"


async def test_toxicity_0_spares_all_connections(echoing: Proxy) -> None:
    await echoing.add("latency", toxicity=0, latency=HOUR_MS)
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"


async def test_bandwidth_holds_bytes_back(echoing: Proxy) -> None:
    await echoing.add("bandwidth", rate=20)
    async with await echoing.connect() as stream:
        start = trio.current_time()
        assert await ask(stream, BLOB[:6000]) == BLOB[:6000]
        assert trio.current_time() - start >= 0.29  # 6000 bytes at 20 KB/s; the real one is early by a little


async def test_bandwidth_goes_and_no_byte_is_lost(echoing: Proxy, nursery: trio.Nursery) -> None:
    name = await echoing.add("bandwidth", rate=1)
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB[:200_000])
        assert await receive_exactly(stream, 50) == BLOB[:50]
        await echoing.remove(name)
        assert await receive_exactly(stream, 199_950) == BLOB[50:200_000]


async def test_bandwidth_is_changed_on_a_live_connection(echoing: Proxy, nursery: trio.Nursery) -> None:
    name = await echoing.add("bandwidth", rate=1)
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB[:200_000])
        assert await receive_exactly(stream, 50) == BLOB[:50]
        await echoing.update(name, rate=1_000_000)
        assert await receive_exactly(stream, 199_950) == BLOB[50:200_000]


async def test_slow_close_holds_the_end_back(toxiproxy: Toxiproxy, upstream: Upstream) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello")
        await stream.aclose()

    proxy = await toxiproxy.proxy(await upstream(greet))
    await proxy.add("slow_close", delay=200)
    start = trio.current_time()
    async with await proxy.connect() as stream:
        assert await receive_exactly(stream, 5) == b"hello"
        assert await receive_all(stream) == b""
        assert trio.current_time() - start >= 0.2


async def test_slow_close_goes_and_lets_the_end_through(toxiproxy: Toxiproxy, upstream: Upstream) -> None:
    async def greet(stream: trio.SocketStream) -> None:
        await stream.send_all(b"hello")
        await stream.aclose()

    proxy = await toxiproxy.proxy(await upstream(greet))
    name = await proxy.add("slow_close", delay=HOUR_MS)
    async with await proxy.connect() as stream:
        assert await receive_exactly(stream, 5) == b"hello"
        assert await nothing_comes(stream)
        await proxy.remove(name)
        assert await receive_all(stream) == b""


async def test_timeout_drops_data_then_closes(echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"
        start = trio.current_time()
        await echoing.add("timeout", timeout=100)  # whose time may begin before this returns
        await stream.send_all(b"lost")
        assert await receive_all(stream) == b""
        assert trio.current_time() - start >= 0.1


async def test_timeout_0_holds_until_it_is_removed_and_then_closes(echoing: Proxy) -> None:
    name = await echoing.add("timeout", timeout=0)
    async with await echoing.connect() as stream:
        await stream.send_all(b"lost")
        assert await nothing_comes(stream)
        await echoing.remove(name)
        assert await receive_all(stream) == b""
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"


@pytest.mark.parametrize("timeout", [0, 50])
async def test_reset_peer_resets(echoing: Proxy, timeout: int) -> None:
    await echoing.add("reset_peer", timeout=timeout)
    async with await echoing.connect() as stream:
        start = trio.current_time()
        await stream.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.receive_some(1)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert trio.current_time() - start >= timeout / 1000


@pytest.mark.parametrize("direction", ["upstream", "downstream"])
@pytest.mark.parametrize("timeout", [0, 50])
async def test_reset_peer_resets_what_was_open_before_on_the_embedded_server_alone(
    toxiproxy: Toxiproxy, echoing: Proxy, timeout: int, direction: str
) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"
        start = trio.current_time()
        await echoing.add("reset_peer", direction, timeout=timeout)
        assert await nothing_comes(stream)  # an idle one is left alone
        await stream.send_all(b"x")
        if toxiproxy.real:  # it says goodbye
            assert await receive_all(stream) == b""
        else:
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some(1)
            assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert trio.current_time() - start >= timeout / 1000


async def test_slicer_slices_with_pauses(echoing: Proxy) -> None:
    await echoing.add("slicer", average_size=8, size_variation=0, delay=20_000)
    async with await echoing.connect() as stream:
        start = trio.current_time()
        assert await ask(stream, BLOB[:64]) == BLOB[:64]
        assert trio.current_time() - start >= 0.14  # 8 slices, 7 pauses


async def test_slicer_with_variation_loses_nothing(echoing: Proxy, nursery: trio.Nursery) -> None:
    await echoing.add("slicer", average_size=1000, size_variation=900)
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB[:300_000])
        assert await receive_exactly(stream, 300_000) == BLOB[:300_000]


async def test_limit_data_closes_after_its_bytes_on_each_connection(echoing: Proxy) -> None:
    await echoing.add("limit_data", bytes=100)
    for _ in range(2):
        async with await echoing.connect() as stream:
            await stream.send_all(BLOB[:60])
            assert await receive_exactly(stream, 60) == BLOB[:60]
            await stream.send_all(BLOB[60:200])
            assert await receive_all(stream) == BLOB[60:100]


async def test_limit_data_counts_on_through_a_change(echoing: Proxy) -> None:
    name = await echoing.add("limit_data", bytes=1000)
    async with await echoing.connect() as stream:
        assert await ask(stream, BLOB[:60]) == BLOB[:60]
        await echoing.update(name, bytes=100)
        await stream.send_all(BLOB[60:200])
        assert await receive_all(stream) == BLOB[60:100]


async def test_noop_passes_everything(echoing: Proxy) -> None:
    await echoing.add("noop", "upstream")
    await echoing.add("noop")
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"


async def test_toxics_chain_in_the_order_of_adding(echoing: Proxy) -> None:
    # The limit counts what the timeout has let through: nothing. The other way round it would close.
    await echoing.add("timeout", timeout=0)
    await echoing.add("limit_data", bytes=1)
    async with await echoing.connect() as stream:
        await stream.send_all(b"xyz")
        assert await nothing_comes(stream)


async def test_toxics_of_every_kind_come_and_go_under_load(echoing: Proxy, nursery: trio.Nursery) -> None:
    gentle: list[tuple[str, dict[str, int]]] = [
        ("latency", {"latency": 2, "jitter": 2}), ("bandwidth", {"rate": 50_000}),
        ("slicer", {"average_size": 4000, "size_variation": 500}), ("noop", {}), ("slow_close", {"delay": 1}),
        ("limit_data", {"bytes": 1 << 40}),
    ]  # fmt: skip
    async with await echoing.connect() as stream:
        nursery.start_soon(stream.send_all, BLOB)
        received = bytearray()

        async def receive() -> None:
            received.extend(await receive_exactly(stream, len(BLOB)))

        async with trio.open_nursery() as inner:
            inner.start_soon(receive)
            for type_, attributes in gentle:
                await echoing.add(type_, "upstream", **attributes)
                await echoing.add(type_, **attributes)
            for type_, attributes in gentle:
                await echoing.update(f"{type_}_upstream", **attributes)
                await echoing.remove(f"{type_}_downstream")
            for type_, _ in gentle:
                await echoing.remove(f"{type_}_upstream")
        assert bytes(received) == BLOB


@pytest.mark.parametrize("change", [{"enabled": False}, {"upstream": "127.0.0.1:1"}])
async def test_disabling_and_rewiring_close_live_connections(
    echoing: Proxy, change: dict[str, object]
) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"
        await echoing.ask("PATCH", "", change)
        assert await receive_all(stream) == b""


async def test_deleting_closes_live_connections(echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        assert await ask(stream, b"x") == b"x"
        await echoing.ask("DELETE")
        assert await receive_all(stream) == b""


async def test_toxics_work_again_after_disabling(echoing: Proxy) -> None:
    await echoing.add("latency", latency=100)
    for enabled in (False, True):
        await echoing.ask("PATCH", "", {"enabled": enabled})
    async with await echoing.connect() as stream:
        start = trio.current_time()
        assert await ask(stream, b"x") == b"x"
        assert trio.current_time() - start >= 0.1


async def test_reset_lets_live_connections_go_on(toxiproxy: Toxiproxy, echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        await echoing.add("latency", latency=HOUR_MS)
        await stream.send_all(b"held")
        assert await nothing_comes(stream)
        await toxiproxy.ask("POST", "/reset")
        assert await receive_exactly(stream, 4) == b"held"


@pytest.mark.parametrize("where", ["127.0.0.1:1", "nonsense", "host.invalid:1", ""])
async def test_a_client_whose_upstream_is_not_there_is_closed(toxiproxy: Toxiproxy, where: str) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    await proxy.ask("PATCH", "", {"upstream": where})
    async with await proxy.connect() as stream:
        assert await receive_all(stream) == b""


async def test_a_client_that_leaves_is_seen_by_the_upstream(toxiproxy: Toxiproxy, upstream: Upstream) -> None:
    left = trio.Event()

    async def watch(stream: trio.SocketStream) -> None:
        assert await receive_all(stream) == b"bye"
        left.set()
        await stream.aclose()

    proxy = await toxiproxy.proxy(await upstream(watch))
    async with await proxy.connect() as stream:
        await stream.send_all(b"bye")
    await left.wait()


async def test_metrics_count_the_bytes_of_ended_connections(toxiproxy: Toxiproxy, echoing: Proxy) -> None:
    async with await echoing.connect() as stream:
        await stream.send_all(BLOB[:1234])
        assert await receive_exactly(stream, 1234) == BLOB[:1234]
    wanted = {
        f'toxiproxy_proxy_{what}_bytes_total{{direction="{direction}",listener="{echoing.listen}"'
        f',proxy="{echoing.name}",upstream="{echoing.upstream}"}} 1234'
        for what in ("received", "sent")
        for direction in ("upstream", "downstream")
    }
    # They are counted when a connection has ended, which nothing tells the client.
    for _ in range(1000):
        if wanted <= set((await toxiproxy.ask("GET", "/metrics")).text.splitlines()):
            return
        await trio.sleep(0.01)
    raise AssertionError((await toxiproxy.ask("GET", "/metrics")).text)
