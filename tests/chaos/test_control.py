"""The one adapter between loadtool and a Toxiproxy, against both servers and against broken ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from chaos_servers import Toxiproxy

from loadtool.chaos.control import Control, MissingError, ToxicState, normal_url
from loadtool.errors import FaultError

Upstream = Callable[[Callable[[trio.SocketStream], Awaitable[None]]], Awaitable[str]]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8474", "http://127.0.0.1:8474"),
        ("http://toxiproxy:8474/", "http://toxiproxy:8474"),
        ("localhost:8474", "http://localhost:8474"),
        ("https://h/base/", "https://h/base"),
        ("http://[::1]:8474", "http://[::1]:8474"),
    ],
)
def test_urls(text: str, url: str) -> None:
    assert normal_url(text) == url


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://a:b", "http://a:0", "http://a:99999", "http://[::1"]
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(FaultError) as caught:
        normal_url(text)
    assert str(caught.value) == f"toxiproxy: got {text!r}, want a URL such as http://127.0.0.1:8474"


def test_what_is_no_url_does_not_show_its_password() -> None:
    with pytest.raises(FaultError) as caught:
        normal_url("http://bob:hunter2@h:0")
    assert str(caught.value) == "toxiproxy: got 'http://***@h:0', want a URL such as http://127.0.0.1:8474"


async def test_the_life_of_a_proxy_and_its_toxic(toxiproxy: Toxiproxy) -> None:
    name = toxiproxy.free_name()
    async with Control(toxiproxy.url) as control:
        assert await control.version() in ("2.12.0", "git")
        listen = await control.create_proxy(name, "127.0.0.1:1")
        assert (await toxiproxy.ask("GET", f"/proxies/{name}")).json()["listen"] == listen
        await control.add_toxic(name, "t", "latency", {"latency": 5}, stream="upstream", toxicity=0.5)
        await control.update_toxic(name, "t", {"jitter": 2})
        await control.set_enabled(name, False)
        state = await control.get_proxy(name)
        assert (state.name, state.listen, state.upstream, state.enabled) == (
            name,
            listen,
            "127.0.0.1:1",
            False,
        )
        assert state.toxics == (ToxicState("t", "latency", "upstream", 0.5, {"latency": 5, "jitter": 2}),)
        assert (await control.list())[name].toxics == state.toxics
        await control.set_enabled(name, True)
        await control.remove_toxic(name, "t")
        assert (await control.get_proxy(name)).toxics == ()
        await control.delete_proxy(name)
        assert name not in await control.list()


async def test_refusals_in_words(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    await proxy.add("noop")
    url, name = toxiproxy.url, proxy.name
    async with Control(url) as control:
        refusals: list[tuple[Callable[[], Awaitable[Any]], type[Exception], str]] = [
            (lambda: control.get_proxy("no"), MissingError,
             f"cannot read proxy no: Toxiproxy {url} says 404, proxy not found"),
            (lambda: control.delete_proxy("no"), MissingError,
             f"cannot delete proxy no: Toxiproxy {url} says 404, proxy not found"),
            (lambda: control.set_enabled("no", False), MissingError,
             f"cannot disable proxy no: Toxiproxy {url} says 404, proxy not found"),
            (lambda: control.remove_toxic(name, "no"), MissingError,
             f"cannot remove toxic no from proxy {name}: Toxiproxy {url} says 404, toxic not found"),
            (lambda: control.update_toxic(name, "no", {}), MissingError,
             f"cannot update toxic no of proxy {name}: Toxiproxy {url} says 404, toxic not found"),
            (lambda: control.add_toxic("no", "t", "noop", {}), MissingError,
             f"cannot add toxic t to proxy no: Toxiproxy {url} says 404, proxy not found"),
            (lambda: control.add_toxic(name, "noop_downstream", "noop", {}), FaultError,
             f"cannot add toxic noop_downstream to proxy {name}: Toxiproxy {url} says 409,"
             " toxic already exists"),
            (lambda: control.add_toxic(name, "t", "nope", {}), FaultError,
             f"cannot add toxic t to proxy {name}: Toxiproxy {url} says 400, invalid toxic type"),
            (lambda: control.create_proxy(name, "127.0.0.1:1"), FaultError,
             f"cannot create proxy {name} (127.0.0.1:0 to 127.0.0.1:1): Toxiproxy {url} says 409,"
             " proxy already exists"),
            (lambda: control.create_proxy("x", "127.0.0.1:1", proxy.listen), FaultError,
             f"cannot create proxy x ({proxy.listen} to 127.0.0.1:1): Toxiproxy {url} says 500,"
             f" listen tcp {proxy.listen}: bind: address already in use"),
        ]  # fmt: skip
        for call, kind, words in refusals:
            with pytest.raises(FaultError) as caught:
                await call()
            assert (type(caught.value), str(caught.value)) == (kind, words)


@pytest.mark.parametrize("call", [lambda c: c.version(), lambda c: c.list()])
async def test_a_password_is_sent_and_not_shown(
    upstream: Upstream, call: Callable[[Control], Awaitable[Any]]
) -> None:
    asked = b""

    async def repeating(stream: trio.SocketStream) -> None:
        nonlocal asked
        asked = bytes(await stream.receive_some(10_000))
        (header,) = (line for line in asked.splitlines() if line.lower().startswith(b"authorization: "))
        body = b"no: " + header
        await stream.send_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await stream.aclose()

    address = await upstream(repeating)
    async with Control(f"http://bob:hunter2@{address}") as control:
        with pytest.raises(FaultError, match=r" says 403, no: [Aa]uthorization: Basic \*\*\*$") as caught:
            await call(control)
        assert control.origin == f"at http://***@{address}"
    assert b"Basic Ym9iOmh1bnRlcjI=" in asked
    assert f"Toxiproxy http://***@{address} says" in str(caught.value)


async def test_names_that_need_quoting(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1", name=f"{toxiproxy.free_name()} ä?#%")
    async with Control(toxiproxy.url) as control:
        await control.add_toxic(proxy.name, "t ?", "noop", {})
        assert (await control.get_proxy(proxy.name)).toxic("t ?") is not None
        await control.remove_toxic(proxy.name, "t ?")
        await control.delete_proxy(proxy.name)


async def test_proxies_of_the_environment_are_not_used(
    toxiproxy: Toxiproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    async with Control(toxiproxy.url) as control:
        assert await control.version()
        assert proxy.name in await control.list()


async def test_several_servers_at_once(toxiproxy: Toxiproxy, embedded_url: str) -> None:
    name = toxiproxy.free_name()
    async with Control(toxiproxy.url) as one, Control(embedded_url) as other:
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one.create_proxy, name, "127.0.0.1:1")
                nursery.start_soon(other.version)
            assert name in await one.list()
            if toxiproxy.real:
                assert name not in await other.list()
            await one.delete_proxy(name)


CALLS: list[tuple[str, Callable[[Control], Awaitable[Any]]]] = [
    ("ask for the version", lambda c: c.version()),
    ("list the proxies", lambda c: c.list()),
    ("read proxy p", lambda c: c.get_proxy("p")),
    ("create proxy p (127.0.0.1:0 to u:1)", lambda c: c.create_proxy("p", "u:1")),
    ("add toxic t to proxy p", lambda c: c.add_toxic("p", "t", "noop", {})),
    ("update toxic t of proxy p", lambda c: c.update_toxic("p", "t", {})),
    ("remove toxic t from proxy p", lambda c: c.remove_toxic("p", "t")),
    ("enable proxy p", lambda c: c.set_enabled("p", True)),
    ("delete proxy p", lambda c: c.delete_proxy("p")),
]


@pytest.mark.parametrize(("what", "call"), CALLS)
async def test_nobody_there(what: str, call: Callable[[Control], Awaitable[Any]]) -> None:
    async with Control("http://127.0.0.1:1") as control:
        with pytest.raises(FaultError) as caught:
            await call(control)
    assert (
        str(caught.value) == f"cannot {what}: no Toxiproxy answers at http://127.0.0.1:1 (Connection refused)"
    )


@pytest.mark.parametrize(("what", "call"), CALLS)
async def test_a_server_that_says_nothing(
    upstream: Upstream, what: str, call: Callable[[Control], Awaitable[Any]]
) -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with Control(f"http://{await upstream(silent)}", deadline_s=0.1) as control:
        with pytest.raises(FaultError) as caught:
            await call(control)
        assert str(caught.value) == f"cannot {what}: Toxiproxy {control.url} did not answer within 0.1 s"
        await control.settled()


@pytest.mark.parametrize(("what", "call"), CALLS)
@pytest.mark.parametrize(
    "answer",
    [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"HTTP/1.1 500 X\r\n\r\n", b""],
)
async def test_something_that_is_no_toxiproxy(
    upstream: Upstream, what: str, call: Callable[[Control], Awaitable[Any]], answer: bytes
) -> None:
    async def other(stream: trio.SocketStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(answer)
        await stream.aclose()

    async with Control(f"http://{await upstream(other)}") as control:
        if b"200 OK" in answer and what.split()[0] in ("remove", "enable", "delete", "update", "add"):
            await call(control)  # any JSON is good enough for an answer that nobody reads
            return
        with pytest.raises(FaultError, match=f"^{re.escape(f'cannot {what}: ')}"):
            await call(control)


async def whole_request(stream: trio.SocketStream) -> bytes:
    """All of it: a connection that is closed on unread bytes may lose its answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some(10_000)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    while length is not None and len(body) < int(length[1]):
        body += await stream.receive_some(10_000)
    return head + b"\r\n\r\n" + body


def answering(status: bytes, body: bytes, kind: bytes = b"application/json") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, kind, len(body)) + body


DEEP = b"[" * 200_000
STRANGE = "does not answer as a Toxiproxy does"


@pytest.mark.parametrize(("what", "call"), CALLS)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering(b"200 OK", DEEP), STRANGE),
        (answering(b"500 Oops", DEEP), r"says 500, \[{200}"),
        (answering(b"500 Oops", b"6f6f7073", b"text/plain; charset=hex"), "says 500, 6f6f7073"),
    ],
)
async def test_an_answer_that_no_json_reader_gets_to_the_end_of(
    upstream: Upstream, what: str, call: Callable[[Control], Awaitable[Any]], answer: bytes, said: str
) -> None:
    async def other(stream: trio.SocketStream) -> None:
        await whole_request(stream)
        await stream.send_all(answer)
        await stream.aclose()

    async with Control(f"http://{await upstream(other)}") as control:
        with pytest.raises(FaultError, match=rf"^{re.escape(f'cannot {what}: ')}.*{said}$"):
            await call(control)


@pytest.mark.parametrize(
    "listen", ['"nonsense"', '"127.0.0.1"', '":http"', '"h:0"', '"h:70000"', "5", "null"]
)
async def test_a_proxy_that_listens_nowhere(upstream: Upstream, listen: str) -> None:
    proxy = f'{{"name": "p", "listen": {listen}, "upstream": "u:1", "enabled": true, "toxics": []}}'

    async def other(stream: trio.SocketStream) -> None:
        made = (await whole_request(stream)).startswith(b"POST")
        await stream.send_all(
            answering(b"201 Created", proxy.encode()) if made else answering(b"200 OK", b"{}")
        )
        await stream.aclose()

    async with Control(f"http://{await upstream(other)}") as control:
        with pytest.raises(FaultError, match=rf"^cannot create proxy p \(.*\): {control.url} {STRANGE}$"):
            await control.create_proxy("p", "u:1")


async def test_what_was_given_up_is_not_done_later(toxiproxy: Toxiproxy, upstream: Upstream) -> None:
    """toxiproxy-python lists the proxies before it makes one. If the list is too slow, none is made."""
    asked: list[bytes] = []
    go = trio.Event()

    async def slow(stream: trio.SocketStream) -> None:
        asked.append((await stream.receive_some(10_000)).split()[0])
        await go.wait()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    threads = threading.active_count()
    async with Control(f"http://{await upstream(slow)}", deadline_s=0.2) as control:
        with pytest.raises(FaultError, match="did not answer"):
            await control.create_proxy("p", "u:1")
        go.set()
        await control.settled()
    assert asked == [b"GET"]
    assert threading.active_count() <= threads + 2  # trio keeps idle threads for a while
