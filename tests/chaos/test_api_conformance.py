"""Toxiproxy's HTTP API, as recorded from toxiproxy-server 2.12.0: the embedded server answers the same."""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest
from api_cases import CASES, LATENCY, ON, UP, error
from chaos_servers import Toxiproxy

# What a test server makes of its own: ports, and a key that the real server shows by mistake.
_PORT = re.compile(r'((?:127\.0\.0\.1|\[::\]):)\d+"')
_LOGGER = re.compile(r',"Logger":\{\}')


def normal(text: str) -> str:
    return _PORT.sub(r'\1PORT"', _LOGGER.sub("", text))


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), CASES)
async def test_answers(
    toxiproxy: Toxiproxy, method: str, path: str, body: str | None, status: int, text: str
) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    free = toxiproxy.free_name()
    with socket.create_server(("127.0.0.1", 0)) as blocker:
        used = f"127.0.0.1:{blocker.getsockname()[1]}"

        def filled(template: str) -> str:
            values = {"{p}": proxy.name, "{x}": free, "{used}": used, "$UP": UP, "$ON": ON}
            for key, value in values.items():
                template = template.replace(key, value)
            return template

        answer = await toxiproxy.ask(method, filled(path), None if body is None else filled(body))
    assert (answer.status_code, normal(answer.text)) == (status, normal(filled(text)))


ATTRIBUTES: dict[str, dict[str, int]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "slow_close": {"delay": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "limit_data": {"bytes": 0},
    "noop": {},
    "slicer": {"average_size": 9, "size_variation": 0, "delay": 0},
}


async def test_every_toxic_has_its_attributes_and_defaults_and_its_place(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    shown = []
    for type_, attributes in ATTRIBUTES.items():
        given = {"average_size": 9} if type_ == "slicer" else {}
        stream = "upstream" if type_ == "slicer" else "downstream"
        answer = await proxy.ask("POST", "/toxics", {"type": type_, "stream": stream, "attributes": given})
        want = {
            "attributes": attributes,
            "name": f"{type_}_{stream}",
            "type": type_,
            "stream": stream,
            "toxicity": 1,
        }
        assert answer.json() == want
        assert list(answer.json()["attributes"]) == list(attributes)
        shown.append(want)
    upstream_first = [shown[-1], *shown[:-1]]
    assert (await proxy.ask("GET", "/toxics")).json() == upstream_first
    assert (await proxy.ask("GET")).json()["toxics"] == upstream_first
    assert (await toxiproxy.ask("GET", "/proxies")).json()[proxy.name]["toxics"] == upstream_first


async def test_an_update_merges_attributes_and_changes_toxicity_and_nothing_else(
    toxiproxy: Toxiproxy,
) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    name = await proxy.add("latency", latency=5)
    change = {"attributes": {"jitter": 7}, "name": "n", "type": "noop", "stream": "upstream", "toxicity": 0.5}
    for method in ("PATCH", "POST"):
        answer = await proxy.ask(method, f"/toxics/{name}", change)
        assert answer.text == LATENCY % (5, 7, name, "downstream", 0.5)
    assert (await toxiproxy.ask("PATCH", f"/proxies/{proxy.name}/toxics/{name}", "")).status_code == 400
    wrong = {"attributes": {"latency": "x"}, "toxicity": 0.1}
    assert (await toxiproxy.ask("PATCH", f"/proxies/{proxy.name}/toxics/{name}", wrong)).status_code == 400
    assert (await proxy.ask("GET", f"/toxics/{name}")).text == LATENCY % (5, 7, name, "downstream", 0.5)


async def test_a_toxic_name_is_taken_in_both_directions(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    await proxy.ask("POST", "/toxics", {"type": "latency", "name": "t"})
    again = await toxiproxy.ask(
        "POST", f"/proxies/{proxy.name}/toxics", {"type": "noop", "name": "t", "stream": "upstream"}
    )
    assert (again.status_code, again.text) == error("toxic already exists", 409)


async def test_disabling_keeps_toxics_and_the_address(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    await proxy.add("latency", latency=5)
    before = (await proxy.ask("GET")).json()
    off = (await proxy.ask("PATCH", "", {"enabled": False})).json()
    assert off == before | {"enabled": False}
    with pytest.raises(OSError, match="all attempts to connect"):
        await proxy.connect()
    assert (await proxy.ask("PATCH", "", {"enabled": True})).json() == before


async def test_a_proxy_that_cannot_start_is_not_made(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    name = toxiproxy.free_name()
    body = {"name": name, "upstream": "127.0.0.1:1", "listen": proxy.listen}
    assert (await toxiproxy.ask("POST", "/proxies", body)).status_code == 500
    assert (await toxiproxy.ask("GET", f"/proxies/{name}")).status_code == 404


async def test_a_proxy_that_cannot_start_again_is_disabled(toxiproxy: Toxiproxy) -> None:
    other = await toxiproxy.proxy("127.0.0.1:1")
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    answer = await toxiproxy.ask("PATCH", f"/proxies/{proxy.name}", {"listen": other.listen})
    assert answer.status_code == 500
    shown = (await proxy.ask("GET")).json()
    assert (shown["enabled"], shown["listen"]) == (False, other.listen)


async def test_populate_leaves_alone_what_is_the_same_and_recreates_the_rest(toxiproxy: Toxiproxy) -> None:
    same = await toxiproxy.proxy("127.0.0.1:1")
    changed = await toxiproxy.proxy("127.0.0.1:1")
    new = toxiproxy.free_name()
    for proxy in (same, changed):
        await proxy.add("latency", latency=5)
    wanted: list[dict[str, Any]] = [
        {"name": same.name, "upstream": "127.0.0.1:1", "listen": same.listen},
        {"name": changed.name, "upstream": "127.0.0.1:2", "listen": changed.listen},
        {"name": new, "upstream": "127.0.0.1:3", "listen": "127.0.0.1:0", "enabled": False},
    ]
    answer = await toxiproxy.ask("POST", "/populate", wanted)
    assert answer.status_code == 201
    shown = {p["name"]: p for p in answer.json()["proxies"]}
    assert list(shown) == [same.name, changed.name, new]
    assert [len(p["toxics"]) for p in shown.values()] == [1, 0, 0]
    assert [p["upstream"] for p in shown.values()] == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]
    assert [p["enabled"] for p in shown.values()] == [True, True, False]


async def test_populate_stops_at_the_first_failure_and_keeps_the_earlier_ones(toxiproxy: Toxiproxy) -> None:
    other = await toxiproxy.proxy("127.0.0.1:1")
    names = [toxiproxy.free_name() for _ in range(3)]
    listens = ["127.0.0.1:0", other.listen, "127.0.0.1:0"]
    wanted = [
        {"name": n, "upstream": "127.0.0.1:1", "listen": where}
        for n, where in zip(names, listens, strict=True)
    ]
    answer = await toxiproxy.ask("POST", "/populate", wanted)
    assert answer.status_code == 500
    body = answer.json()
    assert (body["error"], body["status"]) == (
        f"listen tcp {other.listen}: bind: address already in use",
        500,
    )
    assert [p["name"] for p in body["proxies"]] == names[:1]
    found = [(await toxiproxy.ask("GET", f"/proxies/{n}")).status_code for n in names]
    assert found == [200, 404, 404]


async def test_reset_enables_all_and_removes_all_toxics(toxiproxy: Toxiproxy) -> None:
    proxies = [await toxiproxy.proxy("127.0.0.1:1", enabled=enabled) for enabled in (True, False)]
    for proxy in proxies:
        await proxy.add("latency", "upstream")
        await proxy.add("noop")
    answer = await toxiproxy.ask("POST", "/reset", "anything")
    assert (answer.status_code, answer.text) == (204, "")
    for proxy in proxies:
        shown = (await proxy.ask("GET")).json()
        assert (shown["enabled"], shown["toxics"]) == (True, [])


async def test_deleting_closes_the_listener(toxiproxy: Toxiproxy) -> None:
    proxy = await toxiproxy.proxy("127.0.0.1:1")
    answer = await proxy.ask("DELETE")
    assert (answer.status_code, answer.text) == (204, "")
    with pytest.raises(OSError, match="all attempts to connect"):
        await proxy.connect()


async def test_version_is_json(toxiproxy: Toxiproxy) -> None:
    answer = await toxiproxy.ask("GET", "/version")
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert list(answer.json()) == ["version"]
    # `go install` builds a server that calls itself "git"; only release binaries know their version.
    assert answer.json()["version"] in (("2.12.0", "git") if toxiproxy.real else ("2.12.0",))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/proxies", "application/json"),
        ("/proxies/nope", "text/plain; charset=utf-8"),
        ("/nope", "text/plain; charset=utf-8"),
    ],
)
async def test_content_types(toxiproxy: Toxiproxy, path: str, content_type: str) -> None:
    assert (await toxiproxy.ask("GET", path)).headers["content-type"] == content_type


@pytest.mark.parametrize(("agent", "status"), [("Mozilla/5.0 (X11)", 403), ("mozilla/5.0", 200), ("x", 200)])
async def test_browsers_are_refused(toxiproxy: Toxiproxy, agent: str, status: int) -> None:
    answer = await toxiproxy.ask("GET", "/version", **{"User-Agent": agent})
    assert answer.status_code == status
    if status == 403:
        assert answer.text == "User agent not allowed\n"


@pytest.mark.parametrize("path", ["//proxies", "/./proxies", "/x/../proxies"])
async def test_paths_are_cleaned_by_a_redirect(toxiproxy: Toxiproxy, path: str) -> None:
    head = await toxiproxy.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert head.startswith("HTTP/1.1 301 ")
    assert "location: /proxies\r\n" in head.lower()


async def test_requests_one_after_another_on_one_connection(toxiproxy: Toxiproxy) -> None:
    one = "GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = "GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    text = await toxiproxy.raw(one + one + last)
    assert text.count("HTTP/1.1 200 OK") == 3


async def test_metrics_count_bytes_by_direction(toxiproxy: Toxiproxy) -> None:
    answer = await toxiproxy.ask("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4; charset=utf-8")


# What only the embedded server does: it refuses what would break the real one, and foreign Hosts.


@pytest.mark.parametrize(
    ("type_", "attributes", "message"),
    [
        ("slicer", {}, "slicer: average_size must be at least 1 byte, got 0"),
        ("slicer", {"average_size": 4, "size_variation": 5},
         "slicer: size_variation must be from 0 to average_size (4), got 5"),
        ("slicer", {"average_size": 4, "size_variation": -1},
         "slicer: size_variation must be from 0 to average_size (4), got -1"),
        ("bandwidth", {"rate": -1}, "bandwidth: rate must be 0 or more KB/s, got -1"),
    ],
)  # fmt: skip
async def test_what_crashes_the_real_server_is_refused(
    embedded: Toxiproxy, type_: str, attributes: dict[str, int], message: str
) -> None:
    proxy = await embedded.proxy("127.0.0.1:1")
    toxics = f"/proxies/{proxy.name}/toxics"
    answer = await embedded.ask("POST", toxics, {"type": type_, "attributes": attributes})
    assert (answer.status_code, answer.text) == error(f"bad request body: {message}", 400)
    # The same by way of an update, which then changes nothing.
    good = {"average_size": 4, "size_variation": 1} if type_ == "slicer" else {"rate": 1}
    name = await proxy.add(type_, **good)
    before = (await proxy.ask("GET", f"/toxics/{name}")).text
    wrong = {"average_size": 0, **attributes} if type_ == "slicer" and not attributes else attributes
    answer = await embedded.ask("PATCH", f"{toxics}/{name}", {"attributes": wrong, "toxicity": 0.5})
    assert answer.status_code == 400
    assert (await proxy.ask("GET", f"/toxics/{name}")).text == before


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:1", 200), ("a.localhost", 200), ("127.0.0.1:99", 200),
        ("127.9.9.9", 200),
        ("[::1]:8474", 200), ("evil.example", 403), ("localhost.evil.example", 403), ("10.0.0.1", 403),
        ("127.0.0.1.evil.example", 403), ("", 403),
    ],
)  # fmt: skip
async def test_hosts_that_are_not_ours_are_refused(embedded: Toxiproxy, host: str, status: int) -> None:
    head = await embedded.raw(f"GET /version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\r\n\r\n",
        "GET /version HTTP/1.1\r\n\r\n",
        "POST /proxies HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_answered_with_400(embedded: Toxiproxy, text: str) -> None:
    assert (await embedded.raw(text)).startswith("HTTP/1.1 400 ")
