"""What the embedded server does better than the real one, or what only it promises."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from chaos_servers import Proxy, Toxiproxy, echo, embedded_server, receive_all, receive_exactly

HOUR_MS = 3_600_000
Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]
BLOB = random.Random(1).randbytes(1 << 20)

linux = pytest.mark.skipif(sys.platform != "linux", reason="this machine has no /proc to read")


@pytest.fixture
async def echoing(embedded: Toxiproxy, upstream: Upstream) -> Proxy:
    return await embedded.proxy(await upstream(echo))


async def ask(stream: trio.SocketStream, data: bytes) -> bytes:
    await stream.send_all(data)
    return await receive_exactly(stream, len(data))


async def test_a_half_closed_connection_still_answers(embedded: Toxiproxy, upstream: Upstream) -> None:
    async def answer_at_the_end(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"got " + await receive_all(stream))

    proxy = await embedded.proxy(await upstream(answer_at_the_end))
    async with await proxy.connect() as stream:
        await stream.send_all(b"question")
        await stream.send_eof()
        assert await receive_all(stream) == b"got question"


async def test_reset_peer_reaches_connections_from_before_and_their_upstream(
    embedded: Toxiproxy, upstream: Upstream
) -> None:
    seen: list[BaseException | None] = []
    over = trio.Event()

    async def watch(stream: trio.SocketStream) -> None:
        try:
            while await stream.receive_some(100):
                await stream.send_all(b"y")
        except trio.BrokenResourceError as e:
            seen.append(e.__cause__)
        over.set()

    proxy = await embedded.proxy(await upstream(watch))
    async with await proxy.connect() as stream:
        assert await ask(stream, b"x") == b"y"
        await proxy.add("reset_peer", "upstream")
        await stream.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.receive_some(1)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
    await over.wait()
    assert isinstance(seen[0], ConnectionResetError)


async def test_reset_peer_can_be_removed_while_it_waits(echoing: Proxy) -> None:
    name = await echoing.add("reset_peer", timeout=HOUR_MS)
    async with await echoing.connect() as stream:
        await stream.send_all(b"held")
        with trio.move_on_after(0.05):
            await stream.receive_some(1)
        await echoing.remove(name)
        assert await receive_exactly(stream, 4) == b"held"


async def test_removing_a_timeout_closes_only_the_connections_that_it_held(echoing: Proxy) -> None:
    async with await echoing.connect() as spared:
        name = await echoing.add("timeout", toxicity=0, timeout=0)
        assert await ask(spared, b"x") == b"x"
        await echoing.remove(name)
        assert await ask(spared, b"y") == b"y"


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [("latency", {"latency": 1}), ("bandwidth", {"rate": 1_000_000}), ("slicer", {"average_size": 10_000})],
)
async def test_a_client_that_does_not_read_holds_up_no_change_and_loses_no_byte(
    embedded: Toxiproxy, upstream: Upstream, nursery: trio.Nursery, type_: str, attributes: dict[str, int]
) -> None:
    size = 16 << 20  # more than all the buffers on the way

    async def flood(stream: trio.SocketStream) -> None:
        async with stream:
            for _ in range(size // len(BLOB)):
                await stream.send_all(BLOB)

    proxy = await embedded.proxy(await upstream(flood))
    async with await proxy.connect() as stream:
        received = bytearray(await receive_exactly(stream, 1000))
        for _ in range(2):
            name = await proxy.add(type_, **attributes)
            await proxy.update(name, **attributes)
            await proxy.remove(name)
        while data := await stream.receive_some(1 << 18):
            received += data
    assert bytes(received) == BLOB * (size // len(BLOB))


async def test_a_seed_makes_toxicity_repeatable(upstream: Upstream) -> None:
    where = await upstream(echo)

    async def pattern(seed: int) -> str:
        with embedded_server("--seed", str(seed)) as url:
            proxy = await Toxiproxy("embedded", url).proxy(where, name="fixed")
            await proxy.add("limit_data", toxicity=0.5, bytes=0)
            found = ""
            for _ in range(30):
                async with await proxy.connect() as stream:
                    await stream.send_all(b"x")
                    found += str(len(await stream.receive_some(1)))
            return found

    first = await pattern(7)
    assert set(first) == {"0", "1"}
    assert await pattern(7) == first
    assert await pattern(8) != first


def _pid_of(url: str) -> int:
    """The process that listens there."""
    port = int(url.rpartition(":")[2])
    inode = next(
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
    )
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):  # it has gone, or is not ours to look at
                for fd in os.listdir(process / "fd"):
                    with contextlib.suppress(OSError):
                        if os.readlink(process / "fd" / fd) == f"socket:[{inode}]":
                            return int(process.name)
    raise AssertionError(f"nobody listens at {url}")


def _memory_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text[text.index("VmRSS:") + 6 :].split()[0])


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@linux
@pytest.mark.parametrize("toxic", [None, "slicer"])
async def test_a_long_stream_does_not_grow_memory(
    echoing: Proxy, nursery: trio.Nursery, toxic: str | None
) -> None:
    megabytes = 64
    if toxic is not None:
        await echoing.add(toxic, average_size=20_000)
    pid = _pid_of(echoing.server.url)

    async def send(stream: trio.SocketStream) -> None:
        for _ in range(megabytes):
            await stream.send_all(BLOB)

    async with await echoing.connect() as stream:
        assert await ask(stream, BLOB[:100]) == BLOB[:100]
        before = _memory_kib(pid)
        nursery.start_soon(send, stream)
        most = before
        for _ in range(megabytes):
            assert await receive_exactly(stream, len(BLOB)) == BLOB
            most = max(most, _memory_kib(pid))
    assert most - before < 16 * 1024


@linux
async def test_hundreds_of_connections_at_once_and_nothing_is_left_of_them(echoing: Proxy) -> None:
    pid = _pid_of(echoing.server.url)
    await echoing.add("latency", latency=5)
    await echoing.add("timeout", "upstream", toxicity=0, timeout=HOUR_MS)
    before = _open_files(pid)

    async def one(i: int) -> None:
        async with await echoing.connect() as stream:
            data = i.to_bytes(4, "big") * 100
            for _ in range(3):
                assert await ask(stream, data) == data

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for i in range(300):
                nursery.start_soon(one, i)
    for _ in range(1000):
        if _open_files(pid) <= before:
            return
        await trio.sleep(0.01)
    raise AssertionError(f"{_open_files(pid)} files are open, there were {before}")


@linux
async def test_connections_that_come_and_go_leak_nothing(echoing: Proxy) -> None:
    pid = _pid_of(echoing.server.url)
    await echoing.add("latency", latency=1, jitter=1)
    await echoing.add("timeout", "upstream", toxicity=0, timeout=HOUR_MS)
    await echoing.add("limit_data", toxicity=0.3, bytes=50)  # a third of them is cut by the proxy

    async def come_and_go(n: int) -> None:
        for _ in range(n):
            async with await echoing.connect() as stream:
                await stream.send_all(b"x" * 100)
                assert len(await receive_all_of(stream, 100)) in (50, 100)

    async def receive_all_of(stream: trio.SocketStream, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := await stream.receive_some(size)):
            data += more
        return data

    await come_and_go(100)
    files, memory = _open_files(pid), _memory_kib(pid)
    await come_and_go(500)
    # A connection's own objects are more than 4 KiB, so a tenth of this if one in ten were kept.
    assert _memory_kib(pid) - memory < 500 * 4 / 10 + 512
    for _ in range(1000):
        if _open_files(pid) <= files:
            return
        await trio.sleep(0.01)
    raise AssertionError(f"{_open_files(pid)} files are open, there were {files}")


async def test_it_takes_as_many_files_as_it_may(upstream: Upstream) -> None:
    """And not just the few that a program has until it asks for more."""
    where = await upstream(echo)
    with embedded_server(limits="ulimit -S -n 40") as url:
        proxy = await Toxiproxy("embedded", url).proxy(where)
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(await proxy.connect()) for _ in range(40)]
            for stream in streams:
                assert await ask(stream, b"x") == b"x"


@linux
async def test_running_out_of_files_is_survived(upstream: Upstream) -> None:
    where = await upstream(echo)
    with embedded_server() as url:
        server = Toxiproxy("embedded", url)
        proxy = await server.proxy(where)
        pid = _pid_of(url)
        async with await proxy.connect() as stream:
            assert await ask(stream, b"x") == b"x"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_open_files(pid) + 3, 4096))
        streams = [await proxy.connect() for _ in range(5)]  # the kernel accepts them for the proxy
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096))
        async with await proxy.connect() as stream:
            assert await ask(stream, b"x") == b"x"
        for stream in streams:
            await stream.aclose()


# Its process


def _start(*options: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "loadtool.chaos.server", "--port", "0", *options]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_ends_with_its_lifeline() -> None:
    with _start("--lifeline") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith(b'{"url": "http://127.0.0.1:')
        process.stdin.close()
        assert process.wait(10) == 0


@linux
async def test_it_tells_its_owner_once_what_it_lacked() -> None:
    with _start("--lifeline") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        server = Toxiproxy("embedded", json.loads(process.stdout.readline())["url"])
        proxy = await server.proxy("127.0.0.1:1")
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, hard))
        async with await proxy.connect():
            for _ in range(2):  # it goes on trying to let the client in
                said = await trio.to_thread.run_sync(process.stderr.readline)
                assert said == f"{proxy.name}: cannot accept a connection: Too many open files\n".encode()
            process.stdin.close()
            assert await trio.to_thread.run_sync(process.stdout.read) == b'{"lacking": "EMFILE"}\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_quietly_when_it_is_told_to(number: signal.Signals) -> None:
    with _start() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == b""


def test_it_says_in_one_line_why_it_cannot_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _start("--port", str(port)) as process:
            _, stderr = process.communicate(timeout=10)
    assert process.returncode == 3
    assert stderr.decode() == (
        f"toxiproxy: cannot listen on 127.0.0.1:{port}:"
        f" listen tcp 127.0.0.1:{port}: bind: address already in use\n"
    )
