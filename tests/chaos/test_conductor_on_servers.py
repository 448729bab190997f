"""The conductor against running servers, with failures injected between it and them, and killed in mid-fault.

The state of the server is always read by a client of the test's own.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from chaos_servers import NO_TLS, Proxy, Toxiproxy
from trio.testing import MockClock

from loadtool.chaos import rollback
from loadtool.chaos.conductor import Conductor, FaultEvent
from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault, ProxySpec
from loadtool.chaos.journal import Journal, entries
from loadtool.chaos.server import http
from loadtool.errors import FaultError

MS = 1_000_000


@dataclass
class Gate:
    """Stands between a client and a server, and breaks the connection at the n-th request.

    `when` is before the request reaches the server, or after, when its answer is lost.
    """

    url: str
    server: str
    client: httpx.AsyncClient
    fail_at: int = 0
    when: str = ""
    seen: list[str] = field(default_factory=list)

    async def answer(self, request: http.Request) -> http.Answer:
        self.seen.append(f"{request.method} {request.target}")
        fails = len(self.seen) == self.fail_at
        if fails and self.when == "before":
            raise trio.BrokenResourceError
        answer = await self.client.request(request.method, self.server + request.target, content=request.body)
        if fails:
            raise trio.BrokenResourceError
        return http.Answer(answer.status_code, answer.headers.get("content-type", ""), answer.content)


async def open_gate(nursery: trio.Nursery, server: str, client: httpx.AsyncClient) -> Gate:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    gate = Gate(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", server, client)

    async def serve(stream: trio.SocketStream) -> None:
        await http.serve_connection(stream, gate.answer)

    nursery.start_soon(trio.serve_listeners, serve, listeners)
    return gate


def conductor(control: Control, theirs: Proxy, journal: Journal | None) -> Conductor:
    """Faults of all kinds on a proxy of the run's and on somebody's, that take a tenth of a second."""
    proxies = {"own": ProxySpec("own", upstream="127.0.0.1:1"), "db": ProxySpec("db", existing=theirs.name)}
    faults = [
        PlannedFault("slow", "…", "own", "latency", 0, 60 * MS, attributes={"latency": 5}),
        PlannedFault("db-slow", "…", "db", "latency", 10 * MS, 70 * MS, attributes={"latency": 5}),
        PlannedFault("db-down", "…", "db", None, 20 * MS, 50 * MS, down=True),
    ]
    return Conductor(control, proxies, faults, journal, lambda event: None)


async def state(server: Toxiproxy) -> Any:
    return (await server.ask("GET", "/proxies")).json()


class TimelessControl(Control):
    """Virtual time stands still while a call is under way, and jumps to the next fault while none is.

    So the timeline is the same however slow the machine is. With real time, a fault whose window is over
    before its turn comes is not placed, and the calls are others.
    """

    def __init__(self, url: str, clock: MockClock, *, owned: bool = False) -> None:
        super().__init__(url, owned=owned)
        self._clock = clock
        self._calls = 0

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._calls += 1
        self._clock.autojump_threshold = math.inf
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._clock.autojump_threshold = 0

    async def _ask(self, *args: Any, **options: Any) -> Any:
        with self._call():
            return await super()._ask(*args, **options)

    async def _in_thread(self, *args: Any, **options: Any) -> Any:
        with self._call():
            return await super()._in_thread(*args, **options)


async def run(control: Control, theirs: Proxy, directory: Path) -> list[str]:
    """A run from opening to teardown. Returns its problems; a FaultError while it opens is one."""
    async with control:
        with Journal(control.url, "run", directory) as journal:
            conducted = conductor(control, theirs, journal)
            try:
                await conducted.open_proxies()
                await conducted.run(trio.current_time())
            except FaultError as e:
                return [str(e)]
            finally:
                await conducted.teardown()
            return conducted.problems()


def left(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def test_a_failure_at_each_call_ends_with_nothing_left(
    toxiproxy: Toxiproxy, nursery: trio.Nursery, tmp_path: Path, mock_clock: MockClock
) -> None:
    async def run_through(gate: Gate) -> list[str]:
        try:
            return await run(TimelessControl(gate.url, mock_clock), theirs, tmp_path)
        finally:
            mock_clock.autojump_threshold = math.inf  # the test's own client has no time to lose

    theirs = await toxiproxy.proxy("127.0.0.1:1")
    await theirs.add("latency", latency=1)
    before = await state(toxiproxy)
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        clean = await open_gate(nursery, toxiproxy.url, client)
        assert await run_through(clean) == []
        assert await state(toxiproxy) == before
        changes = [line.split()[0] for line in clean.seen if not line.startswith("GET")]
        assert sorted(changes) == ["DELETE"] * 3 + ["POST"] * 6
        for n in range(1, len(clean.seen) + 1):
            for when in ("before", "after"):
                gate = await open_gate(nursery, toxiproxy.url, client)
                gate.fail_at, gate.when = n, when
                await run_through(gate)
                assert len(gate.seen) >= n, "the same calls up to there"
                assert await state(toxiproxy) == before, (n, when, gate.seen)
                assert left(tmp_path) == []


@pytest.mark.parametrize("after_ms", [5, 15, 25, 55, 65])
async def test_a_run_that_is_cancelled_at_any_moment_leaves_nothing(
    toxiproxy: Toxiproxy, tmp_path: Path, after_ms: int
) -> None:
    theirs = await toxiproxy.proxy("127.0.0.1:1")
    before = await state(toxiproxy)
    with trio.move_on_after(after_ms / 1000 + 0.03):
        await run(Control(toxiproxy.url), theirs, tmp_path)
    assert await state(toxiproxy) == before
    assert left(tmp_path) == []


_RUN = """
import sys, trio
from pathlib import Path
from loadtool.chaos.conductor import Conductor
from loadtool.chaos.control import Control
from loadtool.chaos.fault import PlannedFault, ProxySpec
from loadtool.chaos.journal import Journal
url, theirs, directory = sys.argv[1:]
HOUR = 3600 * 10**9
async def main():
    proxies = {"own": ProxySpec("own", upstream="127.0.0.1:1"), "db": ProxySpec("db", existing=theirs)}
    faults = [
        PlannedFault("slow", "", "own", "latency", 0, HOUR, attributes={"latency": 5}),
        PlannedFault("db-slow", "", "db", "timeout", 0, HOUR, attributes={"timeout": 0}),
        PlannedFault("db-down", "", "db", None, 0, HOUR, down=True),
    ]
    placed = []
    def heard(event):
        placed.append(event.fault)
        if len(placed) == 3:
            print("all placed", flush=True)
    async with Control(url) as control:
        with Journal(url, "victim", Path(directory)) as journal:
            conductor = Conductor(control, proxies, faults, journal, heard)
            await conductor.open_proxies()
            await conductor.run(trio.current_time())
trio.run(main)
"""


def _kill_in_mid_fault(url: str, theirs: str, directory: Path) -> None:
    argv = [sys.executable, "-c", _RUN, url, theirs, str(directory)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"all placed\n"
        process.send_signal(signal.SIGKILL)


async def test_after_a_kill_recovery_leaves_the_server_as_it_was(
    toxiproxy: Toxiproxy, tmp_path: Path
) -> None:
    theirs = await toxiproxy.proxy("127.0.0.1:1")
    await theirs.add("latency", latency=1)
    before = await state(toxiproxy)
    await trio.to_thread.run_sync(_kill_in_mid_fault, toxiproxy.url, theirs.name, tmp_path)
    broken = await state(toxiproxy)
    assert len(broken) == len(before) + 1
    assert (broken[theirs.name]["enabled"], len(broken[theirs.name]["toxics"])) == (False, 2)
    (found,) = await rollback.status(tmp_path)
    assert not found.entry.alive
    assert len(found.remaining or ()) == 4
    (recovery,) = await rollback.recover(None, tmp_path)
    assert recovery.problems == ()
    assert await state(toxiproxy) == before
    assert left(tmp_path) == []


async def test_after_a_kill_the_next_run_cleans_up(toxiproxy: Toxiproxy, tmp_path: Path) -> None:
    theirs = await toxiproxy.proxy("127.0.0.1:1")
    before = await state(toxiproxy)
    await trio.to_thread.run_sync(_kill_in_mid_fault, toxiproxy.url, theirs.name, tmp_path)
    assert await state(toxiproxy) != before
    await run(Control(toxiproxy.url), theirs, tmp_path)
    assert await state(toxiproxy) == before
    assert entries(tmp_path) == []


async def test_a_server_that_dies_in_mid_run_is_said(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    monkeypatch.setattr(rollback, "_PAUSE_S", 0.01)
    argv = [sys.executable, "-m", "loadtool.chaos.server", "--port", "0"]
    events: list[FaultEvent] = []

    async def play(url: str, process: subprocess.Popen[bytes]) -> list[str]:
        async with TimelessControl(url, mock_clock, owned=True) as control:
            faults = [PlannedFault("slow", "…", "own", "noop", 0, 1000 * MS)]
            proxies = {"own": ProxySpec("own", upstream="127.0.0.1:1")}

            def die(event: FaultEvent) -> None:
                events.append(event)
                if event.what == "placed":
                    process.kill()
                    process.wait()

            conducted = Conductor(control, proxies, faults, None, die, "r")
            await conducted.open_proxies()
            await conducted.run(trio.current_time())
            await conducted.teardown()
            return conducted.problems()

    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220  # returns at once
        try:
            assert process.stdout is not None
            url = json.loads(await trio.to_thread.run_sync(process.stdout.readline))["url"]
            problems = await play(url, process)
        finally:
            process.kill()
    nobody = f"no Toxiproxy answers at {url} (Connection refused)"
    ends = "the server belongs to this run and ends with it"
    assert problems == [
        "fault slow could not be removed:"
        f" cannot remove toxic loadtool-r-slow from proxy loadtool-r-own: {nobody}; {ends}",
        f"proxy loadtool-r-own was not removed: cannot disable proxy loadtool-r-own: {nobody}; {ends}",
    ]
    assert [e.what for e in events] == ["placed", "failed"]
