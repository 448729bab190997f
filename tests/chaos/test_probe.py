"""Probes: what they say, and when they ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trio
from chaos_servers import NO_TLS, echo
from trio.testing import MockClock

from loadtool.chaos.gauge import HttpGauge
from loadtool.chaos.probe import Clients, HttpProbe, Prober, Question, TcpProbe, Transport
from loadtool.errors import SetupError

Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]


async def ask(probe: Question, target: Transport | None = None) -> str:
    async with AsyncExitStack() as stack:
        return await probe.ask(Clients(stack, target))


def answering(status: str) -> Callable[[trio.SocketStream], Awaitable[None]]:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await stream.receive_some(1)  # until the probe goes

    return answer


@pytest.mark.parametrize(
    ("status", "expected", "wrong"),
    [
        ("200 OK", (), ""),
        ("204 No Content", (), ""),
        ("302 Found", (), "status 302"),
        ("503 X", (), "status 503"),
        ("302 Found", (200, 302), ""),
        ("200 OK", (204,), "status 200"),
    ],
)
async def test_http(upstream: Upstream, status: str, expected: tuple[int, ...], wrong: str) -> None:
    url = f"http://{await upstream(answering(status))}/health"
    assert await ask(HttpProbe("p", url, expected)) == wrong


async def test_nobody_there() -> None:
    assert await ask(HttpProbe("p", "http://127.0.0.1:1")) != ""
    assert await ask(TcpProbe("p", "127.0.0.1", 1)) != ""
    assert await ask(TcpProbe("p", "no.such.host.invalid", 1)) != ""


async def test_tcp(upstream: Upstream) -> None:
    host, _, port = (await upstream(echo)).rpartition(":")
    assert await ask(TcpProbe("p", host, int(port))) == ""


async def test_the_target_is_reached_as_the_load_reaches_it(upstream: Upstream, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(path)
        listener.listen()

        def reach() -> httpx.AsyncHTTPTransport:
            return httpx.AsyncHTTPTransport(uds=path, verify=NO_TLS)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, answering("200 OK"), [trio.SocketListener(listener)])
            assert await ask(HttpProbe("p", "http://localhost/health", target=True), reach) == ""
            # What is not the target's goes where its URL says.
            other = f"http://{await upstream(answering('418 Teapot'))}/"
            assert await ask(HttpProbe("p", other), reach) == "status 418"
            nursery.cancel_scope.cancel()


async def test_each_question_has_a_connection_of_its_own(upstream: Upstream) -> None:
    connections = 0

    async def count(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        await answering("200 OK")(stream)

    probe = HttpProbe("p", f"http://{await upstream(count)}/")
    async with AsyncExitStack() as stack:
        clients = Clients(stack)
        assert [await probe.ask(clients) for _ in range(3)] == ["", "", ""]
    assert connections == 3


@dataclass
class Scripted:
    """Takes `took_s` of virtual time for each answer in turn."""

    name: str
    took_s: list[float]
    wrong: list[str] = field(default_factory=list)
    within_ns: int | None = None
    every_s: float = 0.5
    prepared: Callable[[], None] = lambda: None

    def prepare(self, clients: Clients) -> None:
        self.prepared()

    async def ask(self, clients: Clients) -> str:
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


@pytest.mark.parametrize(
    ("within_s", "until_s", "wrong"),
    [
        (0.5, 0.4, []),
        (None, 3, []),
        (0.5, 3, [(0, False, 3000, "no answer within 500ms")]),
    ],
)
async def test_what_the_end_of_the_load_leaves_unanswered_has_failed_if_its_time_was_over(
    within_s: float | None,
    until_s: float,
    wrong: list[tuple[float, bool, float, str]],
    autojump_clock: MockClock,
) -> None:
    prober = Prober([Scripted("p", [3600], within_ns=int(within_s * 1e9) if within_s else None)])
    origin = trio.current_time()
    with trio.move_on_at(origin + until_s):
        await prober.run(origin)
    assert [(a.t, a.ok, round(a.ms or 0), a.detail) for a in prober.answers] == wrong


async def test_making_the_clients_is_no_part_of_an_answer(mock_clock: MockClock) -> None:
    """Loading certificates takes longer than many an answer."""
    made: list[str] = []
    probe = Scripted("p", [], within_ns=100_000_000)

    def slowly() -> None:
        made.append("it")
        mock_clock.jump(0.2)

    probe.prepared = slowly
    prober = Prober([probe])
    await prober.require_steady()
    (answer,) = await prober.finish(trio.current_time())
    assert (answer.ok, answer.ms, made) == (True, 0, ["it", "it"])


@pytest.mark.parametrize("probe", [
    HttpProbe("p", "https://x/", target=False),
    HttpGauge("p", "https://x/", "queued", 1),
])  # fmt: skip
async def test_a_probe_over_http_has_its_client_made_beforehand(probe: HttpProbe | HttpGauge) -> None:
    made: list[str] = []

    class Noting(Clients):
        def _client(self, kind: str) -> httpx.AsyncClient:
            made.append(kind)
            return super()._client("http")

    async with AsyncExitStack() as stack:
        probe.prepare(Noting(stack))
    assert made == ["https"]


@pytest.mark.parametrize(
    ("took_s", "within_s", "ok", "detail"),
    [
        (0.5, 0.5, True, ""),
        (0.612, 0.5, False, "took 612 ms, over 500ms"),
        (6, 7, True, ""),
        (8, 7, False, "no answer within 7 s"),
    ],
)
async def test_an_answer_that_comes_late_is_a_failure(
    autojump_clock: MockClock, took_s: float, within_s: float, ok: bool, detail: str
) -> None:
    prober = Prober([Scripted("p", [took_s], within_ns=int(within_s * 1e9))])
    (answer,) = await prober.finish(trio.current_time())
    assert (answer.ok, answer.detail) == (ok, detail)
    assert answer.after


async def test_a_service_that_is_not_steady_is_not_loaded(autojump_clock: MockClock) -> None:
    await Prober([Scripted("a", []), Scripted("b", [])]).require_steady()
    prober = Prober([Scripted("a", [], ["status 503"]), Scripted("b", []), Scripted("c", [9])])
    with pytest.raises(SetupError) as caught:
        await prober.require_steady()
    assert str(caught.value) == (
        "steady_state: the service is not steady before the load: a (status 503), c (no answer within 5 s)"
    )
    assert prober.answers == []
