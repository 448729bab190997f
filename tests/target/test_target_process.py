"""The demo service as a process: its ready line, its lifeline, its end, and crowds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from loadtool.processes import Child
from loadtool.target.settings import parse_address

COMMAND = [sys.executable, "-m", "loadtool.target"]
GET = b"GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def demo(*options: str, command: list[str] | None = None) -> AsyncIterator[Child]:
    child = Child("the demo service", [*(command or COMMAND), *options])
    try:
        yield child
    finally:
        await child.stop()


async def ready(child: Child) -> dict[str, str]:
    told: dict[str, str] = json.loads(await child.read_line())
    assert sorted(told) == ["store", "url"]
    return told


async def get(url: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return await client.get(path)


async def test_ready_rewired_and_gone_with_its_parent() -> None:
    async with demo("--lifeline") as child:
        told = await ready(child)
        assert (await get(told["url"], "/products/1")).status_code == 200

        async def say(line: bytes) -> object:
            await child.stdin.send_all(line + b"\n")
            return json.loads(await child.read_line())

        assert await say(b'{"store": "127.0.0.1:1"}') == {"store": "127.0.0.1:1"}
        assert (await get(told["url"], "/products/1")).status_code == 502
        assert await say(b'{"store": "%s"}' % told["store"].encode()) == {"store": told["store"]}
        assert (await get(told["url"], "/products/1")).status_code == 200
        want = 'want a line such as {"store": "127.0.0.1:5432"}'
        assert await say(b"hello") == {"error": f"got hello, {want}"}
        assert await say(b'{"store": 1}') == {"error": f'got {{"store": 1}}, {want}'}
        assert await say(b'{"store": "x"}') == {
            "error": "store: got x, want an address such as 127.0.0.1:5432"
        }
        await child.stdin.send_all(b'{"store": "127.0')  # in pieces, and two at a time
        await child.stdin.send_all(b'.0.1:1"}\n{"store": "127.0.0.1:2"}\n')
        assert json.loads(await child.read_line()) == {"store": "127.0.0.1:1"}
        assert json.loads(await child.read_line()) == {"store": "127.0.0.1:2"}

        busy = await trio.open_tcp_stream(*parse_address(told["url"].removeprefix("http://")))
        await child.stdin.aclose()
        assert await child.wait() == 0
        assert child.stderr_tail() == ""
        await busy.aclose()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signals_end_it_without_a_word(number: signal.Signals, code: int) -> None:
    async with demo() as child:
        told = await ready(child)
        await child.stdin.aclose()  # without --lifeline that means nothing
        assert (await get(told["url"], "/health")).status_code == 200
        os.kill(child.pid, number)
        assert await child.wait() == code
        assert child.stderr_tail() == ""


async def test_mistakes_are_one_line_and_the_right_exit_code() -> None:
    async with demo() as child:
        port = parse_address((await ready(child))["url"].removeprefix("http://"))[1]
        for options, code, message in [
            (
                ("--port", str(port)),
                3,
                f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n",
            ),
            (("--slots", "0"), 2, "--slots: got 0, want a whole number from 1 to 100000\n"),
        ]:
            ended = await trio.run_process([*COMMAND, *options], capture_stderr=True, check=False)
            assert (ended.returncode, ended.stderr.decode()) == (code, message)


async def test_five_hundred_clients_at_once() -> None:
    patience = ("--queue", "unbounded", "--queue-timeout", "none", "--store-timeout", "60s")
    async with demo(*patience, "--service-time", "1ms") as child:
        told = await ready(child)
        address = parse_address(told["url"].removeprefix("http://"))
        async with contextlib.AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(await trio.open_tcp_stream(*address)) for _ in range(500)
            ]
            for _ in range(2):
                for stream in streams:
                    await stream.send_all(GET)
                for stream in streams:
                    assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")
            stats = (await get(told["url"], "/stats")).json()
            assert stats["connections"] == 501
            assert stats["answers"] == {"200": 1000}
            assert stats["store"]["errors"] == {}


async def test_out_of_files_it_waits_and_comes_back() -> None:
    shell = ["/bin/sh", "-c", 'ulimit -n 40; exec "$0" "$@"', *COMMAND]
    async with demo("--slots", "2", command=shell) as child:
        told = await ready(child)
        address = parse_address(told["url"].removeprefix("http://"))
        crowd = [await trio.open_tcp_stream(*address) for _ in range(60)]
        for stream in crowd:
            await stream.send_all(GET)
        answered = await crowd[0].receive_some()
        assert answered.startswith(b"HTTP/1.1 ")
        for stream in crowd:
            await stream.aclose()
        with trio.fail_after(30):
            while True:
                response = await get(told["url"], "/stats")
                if response.json()["accept_pauses"]:
                    break
        assert (await get(told["url"], "/products/1")).status_code == 200
        assert child.stderr_tail() == ""
