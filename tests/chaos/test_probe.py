"""Probes: what they say, and when they ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
import trio
from chaos_servers import NO_TLS, echo
from trio.testing import MockClock

from loadtool.chaos.probe import HttpProbe, Prober, TcpProbe
from loadtool.errors import SetupError

Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]


@pytest.mark.parametrize(
    ("status", "wrong"),
    [("200 OK", ""), ("204 No Content", ""), ("302 Found", "status 302"), ("503 X", "status 503")],
)  # fmt: skip
async def test_http(upstream: Upstream, status: str, wrong: str) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    url = f"http://{await upstream(answer)}/health"
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        assert await HttpProbe("p", url).ask(client) == wrong


async def test_nobody_there() -> None:
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        assert await HttpProbe("p", "http://127.0.0.1:1").ask(client) != ""
        assert await TcpProbe("p", "127.0.0.1", 1).ask(client) != ""
        assert await TcpProbe("p", "no.such.host.invalid", 1).ask(client) != ""


async def test_tcp(upstream: Upstream) -> None:
    host, _, port = (await upstream(echo)).rpartition(":")
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        assert await TcpProbe("p", host, int(port)).ask(client) == ""


@dataclass
class Scripted:
    """Takes `took_s` of virtual time for each answer in turn."""

    name: str
    took_s: list[float]
    wrong: list[str] = field(default_factory=list)

    async def ask(self, client: httpx.AsyncClient) -> str:
        await trio.sleep(self.took_s.pop(0) if self.took_s else 0)
        return self.wrong.pop(0) if self.wrong else ""


async def test_the_series_follows_the_runs_clock_and_never_queues(autojump_clock: MockClock) -> None:
    prober = Prober([Scripted("slow", [0.1, 1.2, 0.1]), Scripted("quick", [])])
    origin = trio.current_time() + 1
    with trio.move_on_at(origin + 3.2):
        await prober.run(origin)
    asked = [(a.t, round(a.ms or 0), a.ok) for a in prober.answers if a.name == "slow"]
    assert asked == [(0, 100, True), (0.5, 1200, True), (2, 100, True), (2.5, 0, True), (3, 0, True)]
    assert [a.t for a in prober.answers if a.name == "quick"] == [0, 0.5, 1, 1.5, 2, 2.5, 3]


async def test_a_probe_without_an_answer_is_a_failed_one(autojump_clock: MockClock) -> None:
    prober = Prober([Scripted("stuck", [3600])])
    (answer,) = await prober.finish(trio.current_time())
    assert (answer.ok, answer.ms, answer.detail) == (False, 5000, "no answer within 5 s")
    assert prober.answers == [answer]


async def test_a_service_that_is_not_steady_is_not_loaded(autojump_clock: MockClock) -> None:
    await Prober([Scripted("a", []), Scripted("b", [])]).require_steady()
    prober = Prober([Scripted("a", [], ["status 503"]), Scripted("b", []), Scripted("c", [9])])
    with pytest.raises(SetupError) as caught:
        await prober.require_steady()
    assert str(caught.value) == (
        "steady_state: the service is not steady before the load: a (status 503), c (no answer within 5 s)"
    )
    assert prober.answers == []
