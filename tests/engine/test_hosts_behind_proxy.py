"""Which targets may be loaded through an HTTP proxy: what only the proxy knows has to be allowed by name."""

from __future__ import annotations

import pytest

from loadtool.engine.hosts import check_target
from loadtool.errors import SetupError, UsageError
from loadtool.plan.job import Endpoint, ProxySpec

PROXY = ProxySpec("127.0.0.1", 3128)


def target(host: str) -> Endpoint:
    return Endpoint("http", host, 80, host, host)


async def test_the_addresses_are_those_that_connections_go_to() -> None:
    assert await check_target(target("127.0.0.2"), None, ()) == ["127.0.0.2"]
    assert await check_target(target("127.0.0.2"), PROXY, ()) == ["127.0.0.1"]


async def test_a_name_without_an_address_here() -> None:
    with pytest.raises(SetupError, match=r"^cannot resolve nowhere\.invalid"):
        await check_target(target("nowhere.invalid"), None, ["nowhere.invalid"])
    with pytest.raises(UsageError) as e:
        await check_target(target("nowhere.invalid"), PROXY, ())
    assert str(e.value) == (
        "target nowhere.invalid has no address here, so only the proxy knows whether it is public: name "
        "it in allow_hosts: [nowhere.invalid] or with --allow-host nowhere.invalid if you may load it"
    )
    assert await check_target(target("nowhere.invalid"), PROXY, ["Nowhere.INVALID"]) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "proxy", "words"),
    [
        ("10.0.0.1", ProxySpec("8.8.8.8", 3128), "client.proxy 8.8.8.8 is the public address"),
        ("8.8.8.8", PROXY, "target 8.8.8.8 is the public address"),
    ],
)
async def test_neither_may_be_public(host: str, proxy: ProxySpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await check_target(target(host), proxy, ["10.0.0.1"])
    assert await check_target(target(host), proxy, [host, proxy.host]) == [proxy.host]
